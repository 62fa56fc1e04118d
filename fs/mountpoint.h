/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_MOUNTPOINT_H
#define FLEETFS_FS_MOUNTPOINT_H

/* The directory that fleetfs mounts on. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mountpoint {
	char *path;  /* absolute, without symlinks */
	int lock_fd; /* holds the directory against another start; -1: none */
	/* The directory that was checked: the path may lead elsewhere when it is mounted on. */
	dev_t device;
	uint64_t inode;
	uint64_t mount_id; /* 0: the kernel does not report it (before Linux 5.8) */
};

/*
 * Checks that path is an existing directory without a FUSE file system on it, and locks it against
 * other starts. A dead mount left by a crash ("Transport endpoint is not connected") is detached
 * first. mountpoint: zeroes, with lock_fd -1. Returns 0; or -errno, with a sentence in ret_why.
 */
int mountpoint_prepare(struct mountpoint *mountpoint, const char *path, char *ret_why,
                       size_t why_bytes);

/*
 * Checks that the path still leads to the directory that was prepared, since a start can take as
 * long as the API does: it may have been removed or replaced, or something mounted there. Returns
 * 0; or -errno, with a sentence in ret_why.
 */
int mountpoint_check_unchanged(const struct mountpoint *mountpoint, char *ret_why,
                               size_t why_bytes);

/* Releases the lock. Once the mount exists, another start sees it. */
void mountpoint_unlock(struct mountpoint *mountpoint);

/* Frees the path and releases the lock. */
void mountpoint_done(struct mountpoint *mountpoint);

/* Unmounts whatever is mounted at path, lazily, as root or through fusermount3, which does it for
 * the owner of a FUSE mount. Returns 0 or -errno. */
int mountpoint_detach(const char *path);

#endif
