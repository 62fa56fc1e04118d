/* SPDX-License-Identifier: MIT */
#include "fs/program/bounded.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/program/log.h"
#include "fs/program/process.h"
#include "fs/program/program.h"

/* More than the start takes if it waits for another start and for fusermount3, 2 s each. */
#define LIMIT_S 5

struct bounded {
	struct program *program;
	int (*step)(struct program *program);
	int status;
	_Atomic pid_t thread_id; /* for /proc; 0: the thread has not begun */
};

static void *bounded_thread(void *data)
{
	struct bounded *bounded = data;

	bounded->thread_id = gettid();
	bounded->status = bounded->step(bounded->program);
	return NULL;
}

static int bounded_report(struct program *program)
{
	const char *path = program->waiting_for, *mountpoint = program->options.mountpoint;

	if (program->session)
		return log_failed_start(
			"cannot mount on %s: no response within %d s from fusermount3 or the file "
			"system there: try fusermount3 as the same user, or choose another mount "
			"point",
			program->mountpoint.path, LIMIT_S);
	if (mountpoint && path == mountpoint)
		return log_failed_start(
			"mount point %s: no response within %d s: what is mounted there hangs: end "
			"the program that serves it, or fusermount3 -uz %s (root: umount -l %s), "
			"or choose another",
			path, LIMIT_S, path, path);
	if (!path)
		return log_failed_start("no progress within %d s: the machine may be overloaded: "
		                        "start again",
		                        LIMIT_S);
	return log_failed_start("%s: no response within %d s: its file system hangs: repair or "
	                        "unmount that, or choose another file",
	                        path, LIMIT_S);
}

/* Kills the children of a thread: fusermount3, which would wait for ever. */
static void bounded_kill_children(pid_t thread_id)
{
	char text[1024], *end = text;
	ssize_t bytes;
	int fd;

	snprintf(text, sizeof(text), "/proc/self/task/%d/children", (int)thread_id);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes > 0 ? bytes : 0] = '\0';
	for (long pid; (pid = strtol(end, &end, 10)) > 0;)
		kill((pid_t)pid, SIGKILL);
}

int bounded_run(struct program *program, int (*step)(struct program *program))
{
	/* Not on the stack of this function, since an abandoned thread goes on using it. */
	struct bounded *bounded = malloc(sizeof(*bounded));
	int saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct timespec deadline;
	pthread_t thread;
	int error, status;

	if (!bounded)
		return log_failed_start("out of memory");
	*bounded = (struct bounded){.program = program, .step = step};
	program->waiting_for = NULL;
	error = pthread_create(&thread, NULL, bounded_thread, bounded);
	if (error) {
		free(bounded);
		return log_failed_start("cannot start a thread: %s%s", strerror(error),
		                        process_thread_remedy(error));
	}
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += LIMIT_S;
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) != 0) {
		program->abandoned = bounded->thread_id > 0 ? bounded->thread_id : -1;
		/* The step may have redirected it. */
		if (saved_stderr >= 0)
			dup2(saved_stderr, STDERR_FILENO);
		return bounded_report(program);
	}
	if (saved_stderr >= 0)
		close(saved_stderr);
	status = bounded->status;
	free(bounded);
	return status;
}

void bounded_exit(const struct program *program, int status)
{
	bounded_kill_children(program->abandoned);
	_exit(status);
}
