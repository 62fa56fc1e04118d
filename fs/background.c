/* SPDX-License-Identifier: MIT */
#include "fs/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/log.h"

int background_begin(int *ret_parent_fd)
{
	int fds[2], status = 0;
	char byte;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return log_failed_start("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return log_failed_start("fork: %s", strerror(errno));
	if (child == 0) {
		close(fds[0]);
		setsid();
		*ret_parent_fd = fds[1];
		return -1;
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) == 1)
		return EXIT_SUCCESS;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	return log_failed_start("the background process died");
}

int background_done(int parent_fd)
{
	int null_fd;

	if (parent_fd < 0)
		return 0;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || chdir("/") < 0 || write(parent_fd, "", 1) != 1)
		return -errno;
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(null_fd, STDERR_FILENO);
	close(null_fd);
	close(parent_fd);
	return 0;
}
