/* SPDX-License-Identifier: MIT */
#include "fs/reader.h"

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* Signals whose default action does not end a process. */
#define HARMLESS                                                                                 \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU) | \
	 SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

bool reader_must_return(pid_t tid)
{
	uint64_t own = 0, shared = 0, blocked = 0, ignored = 0, caught = 0;
	char path[64], line[256];
	bool complete = false;
	FILE *status;

	if (tid <= 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	status = fopen(path, "re");
	if (!status)
		return true;
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "SigPnd: %" SCNx64, &own);
		sscanf(line, "ShdPnd: %" SCNx64, &shared);
		sscanf(line, "SigBlk: %" SCNx64, &blocked);
		sscanf(line, "SigIgn: %" SCNx64, &ignored);
		complete |= sscanf(line, "SigCgt: %" SCNx64, &caught) == 1;
	}
	fclose(status);
	return !complete || ((own | shared) & ~blocked & ~ignored & (caught | ~HARMLESS)) != 0;
}
