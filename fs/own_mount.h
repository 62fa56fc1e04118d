/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_OWN_MOUNT_H
#define FLEETFS_FS_OWN_MOUNT_H

/*
 * The mount that this process makes.
 *
 * Only this mount is ever unmounted. It is known by its IDs, not by its path: after a lazy unmount
 * something else may be mounted at that path, and a mount can be moved. libfuse unmounts by path.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_session;

struct own_mount {
	bool mounted;
	int id;             /* as in mountinfo; 0: not known */
	uint64_t unique_id; /* never reused; 0: not known, as before Linux 6.8 */
	char device[32];    /* of the file system, as in mountinfo */
};

/*
 * Mounts a session at path, which is absolute and without symlinks. Returns 0; or -errno, with the
 * reason in ret_why as fusermount3 gives it to an ordinary user ("" if fusermount3 was not run, or
 * with debug, when its message goes to stderr).
 */
int own_mount_make(struct own_mount *mount, struct fuse_session *session, const char *path,
                   bool debug, char *ret_why, size_t why_bytes);

/*
 * Closes the session's connection and unmounts the own mount, wherever it is by now; it may be gone
 * already. Every request must have been answered. Returns 0; -EEXIST if it is unmounted and a bind
 * mount of it is left; or -errno if a dead mount is left. Unless 0, ret_why has a sentence.
 */
int own_mount_remove(const struct own_mount *mount, struct fuse_session *session, char *ret_why,
                     size_t why_bytes);

#endif
