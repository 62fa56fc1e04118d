/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_MOUNTINFO_H
#define FLEETFS_FS_MOUNTINFO_H

/* Reads the mounts of this process' namespace, /proc/self/mountinfo (proc_pid_mountinfo(5)). */

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct mountinfo {
	FILE *file;
	char *line;
	size_t line_bytes;
};

struct mountinfo_mount {
	int id; /* the kernel gives the ID of a mount that is gone to a later one */
	int parent_id;
	char device[32]; /* of the file system: "0:61" */
	char path[PATH_MAX];
};

/* Opens the list. Returns 0; or -errno, and mountinfo then needs no mountinfo_close(). */
int mountinfo_open(struct mountinfo *mountinfo);

/* Reads the next mount. Returns false at the end. */
bool mountinfo_next(struct mountinfo *mountinfo, struct mountinfo_mount *ret_mount);

void mountinfo_close(struct mountinfo *mountinfo);

#endif
