/* SPDX-License-Identifier: MIT */
#include "fs/fuse/reader.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* Signals whose default action does not end a process. */
#define NOT_FATAL                                                                                \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU) | \
	 SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

int reader_open_proc(void)
{
	return open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool reader_must_return(int proc_fd, pid_t tid)
{
	/* The lines of proc_pid_status(5) that hold a mask of signals each. */
	static const char *const names[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
	uint64_t masks[5] = {0};
	char path[64], line[256];
	size_t found = 0;
	FILE *status;
	int fd;

	if (tid <= 0)
		return true;
	snprintf(path, sizeof(path), "%d/status", (int)tid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	status = fdopen(fd, "r");
	if (!status) {
		close(fd);
		return true;
	}
	while (fgets(line, sizeof(line), status)) {
		for (size_t i = 0; i < 5; i++) {
			if (strncmp(line, names[i], strlen(names[i])) != 0)
				continue;
			masks[i] = strtoull(line + strlen(names[i]), NULL, 16);
			found++;
		}
	}
	fclose(status);
	return found < 5 ||
	       ((masks[0] | masks[1]) & ~masks[2] & ~masks[3] & (masks[4] | ~NOT_FATAL)) != 0;
}
