/* SPDX-License-Identifier: MIT */
#include "fs/program/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES (1u << 20) /* of each thread; the decoder, the deepest, needs a tenth of it */

/* How long before the kernel's limit a request must be answered: the kernel checks the age of
 * requests at intervals only. */
#define TIMEOUT_MARGIN_MS INT64_C(1000)

void process_prepare(void)
{
	signal(SIGCHLD, SIG_DFL);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			/* open(2) returns the lowest free number, which is fd. fusermount3 is to
			 * inherit it, like any standard descriptor.
			 * NOLINTNEXTLINE(android-cloexec-open) */
			int opened = open("/dev/null", O_RDWR);

			/* Any file keeps the number in use. Reading and writing this one fails. */
			if (opened < 0)
				opened = open("/", O_PATH); /* NOLINT(android-cloexec-open) */
			if (opened >= 0 && opened != fd)
				close(opened);
		}
	}
}

/* Raises a soft limit to `needed` if it is lower. Returns false, and changes nothing, if the hard
 * limit is lower, too. */
static bool process_raise_limit(int resource, rlim_t needed)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return true;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed)
		return true;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < needed)
		return false;
	limit.rlim_cur = needed;
	return setrlimit(resource, &limit) == 0;
}

/* Raises the default stack size of threads, libcurl's resolver included. glibc read it from
 * RLIMIT_STACK when the process started, so raising the limit does not change it. */
static void process_set_thread_stack(void)
{
	pthread_attr_t attributes;
	size_t bytes;

	if (pthread_getattr_default_np(&attributes) != 0)
		return;
	if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < STACK_BYTES) {
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		pthread_setattr_default_np(&attributes);
	}
	pthread_attr_destroy(&attributes);
}

int process_raise_limits(size_t descriptors, char *ret_why, size_t why_bytes)
{
	if (!process_raise_limit(RLIMIT_NOFILE, descriptors)) {
		snprintf(ret_why, why_bytes,
		         "fleetfs needs %zu open files, but the hard limit is lower: raise it with "
		         "ulimit -n %zu",
		         descriptors, descriptors);
		return -EMFILE;
	}
	if (!process_raise_limit(RLIMIT_STACK, STACK_BYTES)) {
		snprintf(ret_why, why_bytes,
		         "fleetfs needs a stack of %u KiB, but the hard limit is lower: raise it "
		         "with "
		         "ulimit -s %u",
		         STACK_BYTES >> 10, STACK_BYTES >> 10);
		return -ENOMEM;
	}
	process_set_thread_stack();
	return 0;
}

const char *process_thread_remedy(int error)
{
	/* Also if there is no room for its stack. */
	return error == EAGAIN ? ": raise the limit of processes or memory with ulimit -u or "
	                         "ulimit -v"
	                       : "";
}

void process_close_on_exec(void)
{
	struct rlimit limit;

	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	/* Linux before 5.11 */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	for (int fd = STDERR_FILENO + 1; (rlim_t)fd < limit.rlim_cur && fd < 65536; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0)
			fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	}
}

int process_take_signals(bool foreground)
{
	static const int read_by_loop[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXCPU};
	static const int ignored[] = {SIGPIPE, SIGXFSZ,   SIGUSR1, SIGUSR2,   SIGALRM,
	                              SIGPOLL, SIGVTALRM, SIGPROF, SIGSTKFLT, SIGPWR};
	static const int terminal[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t mask;
	int fd;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	for (size_t i = 0; !foreground && i < sizeof(terminal) / sizeof(terminal[0]); i++)
		signal(terminal[i], SIG_IGN);
	sigemptyset(&mask);
	/* SIG_DFL, since fusermount3 inherits a SIG_IGN. The signalfd itself works with both. */
	for (size_t i = 0; i < sizeof(read_by_loop) / sizeof(read_by_loop[0]); i++) {
		sigaddset(&mask, read_by_loop[i]);
		signal(read_by_loop[i], SIG_DFL);
	}
	if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int process_open_terminal(void)
{
	struct sigaction action;

	if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		return -1;
	return open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

bool process_must_end(int number, int code, int terminal_fd)
{
	if (number != SIGHUP)
		return true;
	/* The kernel may send SIGHUP before it takes the terminal away; a shell sends it later.
	 * tcgetpgrp(3) fails on a terminal that hung up or is not the controlling one. */
	return terminal_fd >= 0 && (code == SI_KERNEL || tcgetpgrp(terminal_fd) < 0);
}

/* Returns a timeout of fs.fuse, in s; 0 if it is not set or unknown to this kernel. */
static int64_t process_read_timeout_s(const char *path)
{
	char line[64] = "";
	long value;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		*line = '\0';
	fclose(file);
	value = strtol(line, NULL, 10);
	return value > 0 && value <= 86400 ? value : 0;
}

int64_t process_longest_request_ms(void)
{
	int64_t limit_s = process_read_timeout_s("/proc/sys/fs/fuse/default_request_timeout");
	int64_t most_s = process_read_timeout_s("/proc/sys/fs/fuse/max_request_timeout");
	int64_t limit_ms;

	if (most_s > 0 && (limit_s == 0 || limit_s > most_s))
		limit_s = most_s;
	limit_ms = limit_s * 1000;
	return limit_ms > 2 * TIMEOUT_MARGIN_MS ? limit_ms - TIMEOUT_MARGIN_MS : limit_ms / 2;
}
