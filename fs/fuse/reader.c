/* SPDX-License-Identifier: MIT */
#include "fs/fuse/reader.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* The signals after which a thread goes on waiting: those whose default action does not end a
 * process. A program catches them to note an event, such as the end of a child, and not to
 * interrupt a call. */
#define HARMLESS                                                                                 \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU) | \
	 SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

/* The lines of proc_pid_status(5) that hold a mask of signals each. */
enum reader_mask {
	READER_PENDING,        /* for the thread */
	READER_SHARED_PENDING, /* for the process */
	READER_BLOCKED,
	READER_IGNORED,
	READER_CAUGHT,
	READER_MASKS
};

int reader_open_proc(void)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char self[16];
	ssize_t length;

	if (fd < 0)
		return -1;
	length = readlinkat(fd, "self", self, sizeof(self) - 1);
	self[length > 0 ? length : 0] = '\0';
	if (strtol(self, NULL, 10) == getpid())
		return fd;
	close(fd);
	return -1;
}

/* Opens the status of a thread. Returns NULL on an error. */
static FILE *reader_open_status(int proc_fd, pid_t tid)
{
	char path[64];
	FILE *status;
	int fd;

	snprintf(path, sizeof(path), "%d/status", (int)tid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	status = fdopen(fd, "r");
	if (!status)
		close(fd);
	return status;
}

/* Returns whether all masks were read. */
static bool reader_read_masks(FILE *status, uint64_t ret_masks[static READER_MASKS])
{
	static const char *const names[] = {
		[READER_PENDING] = "SigPnd:", [READER_SHARED_PENDING] = "ShdPnd:",
		[READER_BLOCKED] = "SigBlk:", [READER_IGNORED] = "SigIgn:",
		[READER_CAUGHT] = "SigCgt:",
	};
	char line[256];
	size_t found = 0;

	while (fgets(line, sizeof(line), status)) {
		for (size_t i = 0; i < READER_MASKS; i++) {
			if (strncmp(line, names[i], strlen(names[i])) != 0)
				continue;
			ret_masks[i] = strtoull(line + strlen(names[i]), NULL, 16);
			found++;
		}
	}
	return found == READER_MASKS;
}

bool reader_must_return(int proc_fd, pid_t tid)
{
	uint64_t masks[READER_MASKS] = {0}, pending, harmless;
	FILE *status = tid > 0 ? reader_open_status(proc_fd, tid) : NULL;
	bool known;

	if (!status)
		return true;
	known = reader_read_masks(status, masks);
	fclose(status);
	if (!known)
		return true;
	pending = masks[READER_PENDING] | masks[READER_SHARED_PENDING];
	/* SIGIO ends a process that does not catch it. */
	harmless = HARMLESS | (SIGNAL_BIT(SIGIO) & masks[READER_CAUGHT]);
	return (pending & ~masks[READER_BLOCKED] & ~masks[READER_IGNORED] & ~harmless) != 0;
}
