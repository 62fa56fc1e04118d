/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_MOUNTINFO_H
#define FLEETFS_FS_FUSE_MOUNTINFO_H

/* Reads the list of mounts in this process' mount namespace (proc_pid_mountinfo(5)), and the mount
 * IDs of descriptors. */

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

/* The list while it is read. */
struct mountinfo {
	FILE *file;
	char *line;
	size_t line_bytes;
};

struct mountinfo_mount {
	int id; /* greater than 0; the kernel reuses the IDs of mounts that are gone */
	int parent_id;
	char device[32];     /* of the file system, such as "0:61" */
	char path[PATH_MAX]; /* of the mount point, without escapes */
};

/* Opens the list. Returns 0; or -errno, and then mountinfo_close() is not needed. */
int mountinfo_open(struct mountinfo *mountinfo);

/* Reads the next mount. Returns false at the end. */
bool mountinfo_next(struct mountinfo *mountinfo, struct mountinfo_mount *ret_mount);

void mountinfo_close(struct mountinfo *mountinfo);

/* Returns the ID of the mount that a descriptor leads to, or 0 without /proc. Sends no request to
 * the file system, which may be dead or served by this thread. */
int mountinfo_id_of(int fd);

#endif
