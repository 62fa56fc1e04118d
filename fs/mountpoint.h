/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_MOUNTPOINT_H
#define FLEETFS_FS_MOUNTPOINT_H

/*
 * The directory that fleetfs mounts on, and the mount itself.
 *
 * Only the own mount is ever unmounted. It is known by its mount ID and device, not by its path:
 * after a lazy unmount something else may be mounted at that path, and a mount can be moved.
 */

#include <stdbool.h>
#include <stddef.h>

struct fuse_session;

struct mountpoint {
	char *path;      /* absolute, without symlinks */
	int lock_fd;     /* holds the directory against another start, until mounted; -1: none */
	bool mounted;    /* mountpoint_mount() succeeded */
	int id;          /* the mount ID; 0: not known */
	char device[32]; /* the file system's device in mountinfo: "0:61" */
};

/*
 * Checks that path is an existing directory without a FUSE file system on it, and locks it against
 * other starts. A dead mount left by a crash ("Transport endpoint is not connected") is detached
 * first. mountpoint: zeroes, with lock_fd -1. Returns 0; or -errno, with a sentence in ret_why.
 */
int mountpoint_prepare(struct mountpoint *mountpoint, const char *path, char *ret_why,
                       size_t why_bytes);

/* Whether a file, or one that would be made there, is below the mount point. fleetfs would open
 * such a file through its own mount and wait for itself. */
bool mountpoint_hides(const struct mountpoint *mountpoint, const char *file);

/*
 * Mounts a session there. Returns 0; or -errno, with the reason in ret_why as fusermount3 gives it
 * to an ordinary user ("" if fusermount3 was not run, or with debug, when its message goes to
 * stderr).
 */
int mountpoint_mount(struct mountpoint *mountpoint, struct fuse_session *session, bool debug,
                     char *ret_why, size_t why_bytes);

/*
 * Closes the session's connection and unmounts the own mount, wherever it is by now; it may be gone
 * already. Returns 0; or -errno, with a sentence in ret_why, if a dead mount is left. Every request
 * must have been answered.
 */
int mountpoint_unmount(const struct mountpoint *mountpoint, struct fuse_session *session,
                       char *ret_why, size_t why_bytes);

/* Frees the path and releases the lock. */
void mountpoint_done(struct mountpoint *mountpoint);

#endif
