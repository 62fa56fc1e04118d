/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_OWN_MOUNT_H
#define FLEETFS_FS_FUSE_OWN_MOUNT_H

/*
 * The mount that this process makes.
 *
 * Only this mount, and bind mounts of it in the same place, are ever unmounted. It is identified by
 * its IDs, not by its path: after a lazy unmount another file system may be mounted at that path,
 * and a mount can be moved. libfuse unmounts by path, so it is kept from unmounting.
 * Without /proc only the path is known; then libfuse unmounts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_session;

struct own_mount {
	bool mounted; /* set by own_mount_make(); the caller of own_mount_remove() clears it */
	int id;       /* as in mountinfo; 0: not known */
	uint64_t unique_id; /* never reused; 0: not known, as before Linux 6.8 */
	const char *path;   /* where it was mounted; borrowed */
	char device[32];    /* of the file system, as in mountinfo */
	bool device_is_own; /* the connection was alive when own_mount_remove() began, so the
	                       kernel has not given its device number to another file system */
	/* Opened with the mount: at the end there may be no free descriptor, and the mount point or
	 * another mount may hide /proc. */
	int mountinfo_fd; /* of mountinfo_open(). Not set while id is 0 */
	int hangup_fd; /* write end of a pipe without a reader; -1: none. Not set while id is 0 */
	int device_copy_fd; /* /dev/fuse once more, for auto_unmount: the kernel releases it after
	                       libfuse's socket to fusermount3. -1: none */
};

/*
 * Mounts a session at path, which is absolute, without symlinks, and borrowed until the end.
 * fusermount3 inherits each descriptor without FD_CLOEXEC, so the caller sets this flag first.
 * auto_unmount: the session has this option. debug: the messages of fusermount3 go to stderr, and
 * libfuse keeps its log function; otherwise the caller has to set that again. Returns 0; or -errno,
 * with a sentence in ret_why.
 */
int own_mount_make(struct own_mount *mount, struct fuse_session *session, const char *path,
                   bool auto_unmount, bool debug, char *ret_why, size_t why_bytes);

/*
 * Closes the session's connection, which fails every request without a reply. Then unmounts the own
 * mount, wherever it is now, the bind mounts of it that are stacked on it, and those that have
 * taken its place. Needs no free descriptor, except to run fusermount3.
 *
 * It is no error if the own mount is gone. If another file system is mounted over the own mount or
 * inside it, both stay. Returns 0; -EEXIST if the own mount is gone and a bind mount of it is left,
 * or may be left; or -errno if a dead mount is left. Unless it returns 0, ret_why has a sentence.
 * If the own mount was gone and the connection had ended before, no bind mount is reported: another
 * file system may have the device number.
 */
int own_mount_remove(struct own_mount *mount, struct fuse_session *session, char *ret_why,
                     size_t why_bytes);

#endif
