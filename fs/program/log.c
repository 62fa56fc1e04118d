/* SPDX-License-Identifier: MIT */
#include "fs/program/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "api/http/token.h"
#include "fs/program/syslog.h"
#include "fs/tree/text.h"

/*
 * Why logging never waits: a stopped terminal, a full pipe or a syslog daemon that hangs (perhaps
 * because it waits for this very mount) would block write(2) and syslog(3), and with them every
 * reader of the tree.
 *
 * Once mounted, the path of the log may lead into the own mount, through a later bind mount for
 * example. The FUSE thread would then wait for itself, so a thread of its own opens the file again.
 */

#define MESSAGE_BYTES 1000
#define LINE_BYTES    (96 + 4 * MESSAGE_BYTES) /* every byte of the message may become \xNN */

#define FAILED_START_BYTES (1u << 18)

/* A pipe that poll(2) reports as writable takes a whole line without blocking. */
_Static_assert(LINE_BYTES <= 4096, "a line must fit into a pipe's page");

enum destination { TO_STDERR, TO_FILE, TO_SYSLOG };

static struct {
	enum destination destination;
	enum log_level level;
	int fd;
	char *path;            /* TO_FILE */
	unsigned long dropped; /* lines that were dropped since the last one that was written */
	bool torn;             /* only a part of the last line was written, without its newline */
} output = {.destination = TO_STDERR, .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects output and reopening */

/* The thread that opens the log file again. */
static struct {
	bool wanted;  /* it must open the file once more */
	bool running; /* the thread exists */
} reopening;

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

/* Returns a descriptor or -errno. The mode is 0600, since errors quote the API. A FIFO without a
 * reader is an error. */
static int log_open_file(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/*
 * Returns a descriptor of stderr whose writes do not block. O_NONBLOCK belongs to the open file
 * description, which the shell and other programs share, so a terminal or a pipe is opened a second
 * time. poll(2) alone is not enough for a terminal, which is writable if it takes one byte. A file
 * or the journal's socket is used as it is.
 */
static int log_open_stderr(void)
{
	struct stat attributes;

	if (fstat(STDERR_FILENO, &attributes) == 0 &&
	    (S_ISCHR(attributes.st_mode) || S_ISFIFO(attributes.st_mode))) {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	return STDERR_FILENO;
}

int log_open(const char *path, bool foreground, bool debug)
{
	char *copy = NULL;
	int fd;

	if (path) {
		fd = log_open_file(path);
		if (fd < 0)
			return fd;
		copy = strdup(path);
		if (!copy) {
			close(fd);
			return -ENOMEM;
		}
	} else if (foreground) {
		fd = log_open_stderr();
	} else {
		tzset(); /* else localtime_r() would read the file of the time zone, once mounted */
		fd = syslog_open();
	}
	if (output.fd > STDERR_FILENO)
		close(output.fd);
	free(output.path);
	output.destination = path ? TO_FILE : foreground ? TO_STDERR : TO_SYSLOG;
	output.level = debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	output.fd = fd;
	output.path = copy;
	output.torn = false;
	return 0;
}

static void log_reopen_file(void)
{
	int fd = log_open_file(output.path), previous;

	if (fd < 0) {
		log_warning("cannot open log_file %s again: %s: the old file stays in use",
		            output.path, strerror(-fd));
		return;
	}
	pthread_mutex_lock(&lock);
	previous = output.fd;
	output.fd = fd;
	output.torn = false;
	pthread_mutex_unlock(&lock);
	close(previous);
}

static void *log_run_reopening(void *user)
{
	pthread_detach(pthread_self());
	pthread_mutex_lock(&lock);
	while (reopening.wanted) {
		reopening.wanted = false;
		pthread_mutex_unlock(&lock);
		log_reopen_file();
		pthread_mutex_lock(&lock);
	}
	reopening.running = false;
	pthread_mutex_unlock(&lock);
	return user;
}

void log_reopen(void)
{
	pthread_t thread;
	int error = 0;

	if (output.destination != TO_FILE)
		return;
	pthread_mutex_lock(&lock);
	reopening.wanted = true;
	if (!reopening.running) {
		error = pthread_create(&thread, NULL, log_run_reopening, NULL);
		reopening.running = error == 0;
	}
	pthread_mutex_unlock(&lock);
	if (error != 0)
		log_warning("cannot open log_file %s again: %s: the old file stays in use",
		            output.path, strerror(error));
}

/* Writes a line if that does not block. Returns whether all of it was written. */
static bool log_write(const struct text *line)
{
	ssize_t written;

	if (text_error(line))
		return false;
	if (output.destination == TO_SYSLOG) {
		written = syslog_send(output.fd, line->bytes, line->length);
	} else {
		struct pollfd writable = {.fd = output.fd, .events = POLLOUT};

		if (poll(&writable, 1, 0) != 1 || !(writable.revents & POLLOUT))
			return false;
		written = write(output.fd, line->bytes, line->length);
	}
	if (written > 0)
		output.torn = (size_t)written < line->length;
	return written == (ssize_t)line->length;
}

/* Appends a line in the format of the destination. */
static void log_format(struct text *line, enum log_level level, const char *message)
{
	struct timespec now;
	struct tm local;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	switch (output.destination) {
	case TO_STDERR:
		text_printf(line, "fleetfs: ");
		break;
	case TO_FILE:
		text_time(line, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
		text_printf(line, " %s: ", levels[level].name);
		break;
	case TO_SYSLOG:
		localtime_r(&now.tv_sec, &local);
		strftime(stamp, sizeof(stamp), "%b %e %T", &local);
		text_printf(line, "<%d>%s fleetfs[%d]: ", LOG_DAEMON | levels[level].priority,
		            stamp, (int)getpid());
		break;
	}
	text_escaped(line, message);
	if (output.destination != TO_SYSLOG)
		text_bytes(line, "\n", 1);
}

/* Logs how many lines were dropped. Returns false if that is dropped, too. */
static bool log_write_dropped(struct text *line)
{
	char message[64];

	if (output.dropped == 0)
		return true;
	snprintf(message, sizeof(message), "%lu lines dropped", output.dropped);
	text_clear(line);
	if (output.torn)
		text_bytes(line, "\n", 1);
	log_format(line, LOG_LEVEL_WARNING, message);
	if (!log_write(line))
		return false;
	output.dropped = 0;
	return true;
}

void log_line(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	struct text line;
	va_list arguments;
	bool written;

	if (level > output.level)
		return;
	va_start(arguments, format);
	if (vsnprintf(message, sizeof(message), format, arguments) < 0)
		message[0] = '\0';
	va_end(arguments);

	text_init(&line, LINE_BYTES);
	pthread_mutex_lock(&lock);
	written = log_write_dropped(&line);

	if (written) {
		text_clear(&line);
		log_format(&line, level, message);
		written = log_write(&line);
	}
	if (!written)
		output.dropped++;
	pthread_mutex_unlock(&lock);
	text_done(&line);
}

int log_failed_start(const char *format, ...)
{
	va_list arguments;
	struct text line;
	char *message;
	int length;

	va_start(arguments, format);
	length = vasprintf(&message, format, arguments);
	va_end(arguments);
	if (length >= 0)
		token_hide(message);
	text_init(&line, FAILED_START_BYTES);
	text_printf(&line, "fleetfs: ");
	text_escaped(&line, length < 0 ? "out of memory" : message);
	text_bytes(&line, "\n", 1);
	fwrite(line.bytes, 1, line.length, stderr);
	text_done(&line);
	if (length >= 0)
		free(message);
	return EXIT_FAILURE;
}
