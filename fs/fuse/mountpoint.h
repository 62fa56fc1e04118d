/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_MOUNTPOINT_H
#define FLEETFS_FS_FUSE_MOUNTPOINT_H

/* The directory that fleetfs mounts on: checked and locked before mounting, and cleared of dead
 * mounts. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Identifies the directory that a path leads to. */
struct mountpoint_directory {
	dev_t device;
	uint64_t inode;
	int mount_id; /* as in mountinfo; 0: not known */
};

struct mountpoint {
	char *path;  /* absolute, without symlinks */
	int lock_fd; /* holds the lock against other starts; -1: not locked */
	struct mountpoint_directory directory; /* the one that was checked */
};

/*
 * Checks that path is an existing directory without a FUSE file system on it, and locks it against
 * other starts of fleetfs. Detaches a dead mount left by a crash ("Transport endpoint is not
 * connected") first. mountpoint: zeroes, with lock_fd -1. Returns 0; or -errno, with a sentence in
 * ret_why.
 */
int mountpoint_prepare(struct mountpoint *mountpoint, const char *path, char *ret_why,
                       size_t why_bytes);

/*
 * Checks that the path still leads to the directory that was prepared. A start waits for the API,
 * and meanwhile the directory may be removed, replaced or mounted on. Returns 0; or -errno, with a
 * sentence in ret_why.
 */
int mountpoint_check_unchanged(const struct mountpoint *mountpoint, char *ret_why,
                               size_t why_bytes);

/* Releases the lock. Call it once the mount exists: other starts then see that the mount point is
 * busy. */
void mountpoint_unlock(struct mountpoint *mountpoint);

/* Frees the path and releases the lock. */
void mountpoint_done(struct mountpoint *mountpoint);

/* Lazily unmounts the topmost mount at path. If umount2(2) fails, runs fusermount3, and if that
 * fails, umount(8): both unmount a FUSE mount for its owner. A program that takes longer than 2 s
 * is killed, and no other is tried. Returns 0 or -errno. */
int mountpoint_detach(const char *path);

/* Returns the end of a sentence about an error of mountpoint_detach(). Static, or as strerror(3).
 */
const char *mountpoint_detach_error(int err);

#endif
