/* SPDX-License-Identifier: MIT */
#include "fs/program/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fs/tree/text.h"

/*
 * The log must never block fleetfs. A stopped terminal, a full pipe or a syslog daemon that hangs
 * (it may be waiting for this very mount) would block write(2) and syslog(3), and with them every
 * reader of the tree. So nothing here waits: a line that cannot be written at once is dropped and
 * counted, and the count is logged before the next line that can be written.
 *
 * Once mounted, a path may lead into the own mount, through a later bind mount for example. The
 * FUSE thread would then wait for itself. So a log file is opened again in a thread of its own, and
 * /dev/log only if the kernel can resolve it from its cache.
 */

#define MESSAGE_BYTES 1000
#define LINE_BYTES    (96 + 4 * MESSAGE_BYTES) /* every byte of the message may become \xNN */

#define FAILED_START_BYTES (1u << 18)

/* What poll(2) calls writable takes a whole line without blocking. */
_Static_assert(LINE_BYTES <= 4096, "a line must fit into a pipe's page");

enum destination { TO_STDERR, TO_FILE, TO_SYSLOG };

static struct {
	enum destination destination;
	enum log_level level;
	int fd;
	char *path;         /* TO_FILE */
	unsigned long lost; /* lines since the last that got through */
	bool torn;          /* the last line got through in part */
} output = {.destination = TO_STDERR, .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of output */

/* The thread that opens the log file again; under the lock. */
static struct {
	bool wanted;
	bool running;
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

/* 0600, as errors quote the API. A FIFO without a reader is an error, not a wait. */
static int open_file(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/*
 * stderr, such that a write to it does not block. O_NONBLOCK belongs to the open file, which the
 * shell and others share; so a terminal or a pipe is opened a second time. poll(2) alone is not
 * enough for a terminal: it is writable as long as it takes one byte. Everything else (a file, the
 * journal's socket) stays as it is.
 */
static int open_stderr(void)
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

static const struct sockaddr_un syslog_address = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};

/* Returns a socket, or -1. Without a syslog daemon it is connected by a later message. */
static int log_open_syslog(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)connect(fd, (const struct sockaddr *)&syslog_address, sizeof(syslog_address));
	return fd;
}

/* Connects the socket again after the syslog daemon was restarted. Returns whether it succeeded. */
static bool log_reconnect_syslog(void)
{
	static const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, _PATH_LOG, &how, sizeof(how));
	bool connected;

	if (fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM))
		/* Linux before 5.12, or a seccomp filter */
		return connect(output.fd, (const struct sockaddr *)&syslog_address,
		               sizeof(syslog_address)) == 0;
	if (fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	connected = connect(output.fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return connected;
}

int log_open(const char *path, bool foreground, bool debug)
{
	char *copy = NULL;
	int fd;

	tzset(); /* otherwise the first localtime_r() would read the time zone's file */
	if (path) {
		fd = open_file(path);
		if (fd < 0)
			return fd;
		copy = strdup(path);
		if (!copy) {
			close(fd);
			return -ENOMEM;
		}
	} else if (foreground) {
		fd = open_stderr();
	} else {
		fd = log_open_syslog();
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
	int fd = open_file(output.path), previous;

	if (fd < 0) {
		log_warning("cannot open %s again: %s", output.path, strerror(-fd));
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
		log_warning("cannot open %s again: %s", output.path, strerror(error));
}

/* As syslog(3), but it does not wait when the daemon's queue is full. */
static ssize_t send_to_syslog(const char *bytes, size_t length)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t sent = send(output.fd, bytes, length, flags);

	if (sent < 0 && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET) &&
	    log_reconnect_syslog())
		sent = send(output.fd, bytes, length, flags);
	return sent;
}

static bool emit(const struct text *line)
{
	ssize_t written;

	if (text_error(line))
		return false;
	if (output.destination == TO_SYSLOG) {
		written = send_to_syslog(line->bytes, line->length);
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

static void compose(struct text *line, enum log_level level, const char *message)
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

/* True if all the lines lost so far have been owned up to. */
static bool emit_loss(struct text *line)
{
	char message[64];

	if (output.lost == 0)
		return true;
	snprintf(message, sizeof(message), "%lu lines lost", output.lost);
	text_clear(line);
	if (output.torn)
		text_bytes(line, "\n", 1);
	compose(line, LOG_LEVEL_WARNING, message);
	if (!emit(line))
		return false;
	output.lost = 0;
	return true;
}

void log_line(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	struct text line;
	va_list arguments;

	if (level > output.level)
		return;
	va_start(arguments, format);
	if (vsnprintf(message, sizeof(message), format, arguments) < 0)
		message[0] = '\0';
	va_end(arguments);

	text_init(&line, LINE_BYTES);
	pthread_mutex_lock(&lock);
	bool through = emit_loss(&line);

	if (through) {
		text_clear(&line);
		compose(&line, level, message);
		through = emit(&line);
	}
	if (!through)
		output.lost++;
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
