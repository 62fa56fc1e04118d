/* SPDX-License-Identifier: MIT */
#include "fs/process.h"

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

#define STACK_BYTES (1u << 20) /* of each thread; the deepest, the decoder, needs a tenth of it */

void process_open_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			/* open(2) takes the lowest number that is free, which is fd. It has to
			 * survive fusermount3's exec, as any standard descriptor does.
			 * NOLINTNEXTLINE(android-cloexec-open) */
			int opened = open("/dev/null", O_RDWR);

			if (opened >= 0 && opened != fd)
				close(opened);
		}
	}
}

/* Raises a soft limit to at least `needed`, as far as the hard limit allows. */
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

/* Without a size of their own, threads get one from RLIMIT_STACK, libcurl's resolver included. */
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
		         "the limit of open descriptors is too low: raise it to %zu (ulimit -n)",
		         descriptors);
		return -EMFILE;
	}
	if (!process_raise_limit(RLIMIT_STACK, STACK_BYTES)) {
		snprintf(ret_why, why_bytes,
		         "the limit of the stack is too low: raise it to %u KiB (ulimit -s)",
		         STACK_BYTES >> 10);
		return -ENOMEM;
	}
	process_set_thread_stack();
	return 0;
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
	/* With SIGCHLD ignored nobody could wait for fusermount3. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	/* The default action for SIGTERM and so on: an ignored one is read all the same if it is
	 * blocked, but fusermount3 would inherit that. */
	for (size_t i = 0; i < sizeof(read_by_loop) / sizeof(read_by_loop[0]); i++) {
		sigaddset(&mask, read_by_loop[i]);
		signal(read_by_loop[i], SIG_DFL);
	}
	if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool process_can_open_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool process_has_terminal(void)
{
	struct sigaction action;

	/* nohup(1) asks to outlive the terminal. */
	if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		return false;
	return process_can_open_terminal();
}

bool process_terminal_gone(bool had_terminal, int signal_code)
{
	/* The kernel's own SIGHUP may come before it takes the terminal away; a shell's comes
	 * after. */
	return had_terminal && (signal_code == SI_KERNEL || !process_can_open_terminal());
}

static long process_read_sysctl(const char *directory, const char *name)
{
	char path[256], line[64] = "";
	long value;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		*line = '\0';
	fclose(file);
	value = strtol(line, NULL, 10);
	return value > 0 && value <= 86400 ? value : 0;
}

long process_kernel_timeout_ms(const char *directory)
{
	long usual_s = process_read_sysctl(directory, "default_request_timeout");
	long most_s = process_read_sysctl(directory, "max_request_timeout");

	if (most_s > 0 && (usual_s == 0 || usual_s > most_s))
		usual_s = most_s;
	return usual_s * 1000;
}
