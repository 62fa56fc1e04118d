/* SPDX-License-Identifier: MIT */
#include "fs/program/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/program/log.h"

int background_begin(struct background *background)
{
	int fds[2], status = 0;
	char byte;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return log_failed_start("cannot go into the background: pipe: %s: start with -f",
		                        strerror(errno));
	child = fork();
	if (child < 0)
		return log_failed_start("cannot go into the background: fork: %s: start with -f",
		                        strerror(errno));
	if (child == 0) {
		close(fds[0]);
		setsid();
		background->parent_fd = fds[1];
		background->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (background->null_fd < 0)
			return log_failed_start(
				"cannot go into the background: /dev/null: %s: start with -f",
				strerror(errno));
		return -1;
	}
	close(fds[1]);
	/* background_done() writes a byte; if the child ends before, the pipe is closed. */
	if (read(fds[0], &byte, 1) == 1)
		return EXIT_SUCCESS;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	return log_failed_start(
		"the background process ended without a reason: start with -f to see why");
}

int background_done(struct background *background)
{
	if (background->parent_fd < 0)
		return 0;
	if (chdir("/") < 0 || write(background->parent_fd, "", 1) != 1)
		return -errno;
	dup2(background->null_fd, STDIN_FILENO);
	dup2(background->null_fd, STDOUT_FILENO);
	dup2(background->null_fd, STDERR_FILENO);
	close(background->null_fd);
	close(background->parent_fd);
	background->parent_fd = -1;
	return 0;
}
