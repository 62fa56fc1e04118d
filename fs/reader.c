/* SPDX-License-Identifier: MIT */
#include "fs/reader.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* Signals whose default action does not end a process. */
#define HARMLESS                                                                                 \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU) | \
	 SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

bool reader_must_return(pid_t tid)
{
	/* The lines of proc_pid_status(5) that hold a mask of signals each. */
	static const char *const names[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
	uint64_t masks[5] = {0};
	char path[64], line[256];
	size_t found = 0;
	FILE *status;

	if (tid <= 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	status = fopen(path, "re");
	if (!status)
		return true;
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
	       ((masks[0] | masks[1]) & ~masks[2] & ~masks[3] & (masks[4] | ~HARMLESS)) != 0;
}
