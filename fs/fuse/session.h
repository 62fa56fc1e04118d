/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_SESSION_H
#define FLEETFS_FS_FUSE_SESSION_H

/*
 * The libfuse session: turns each request of the kernel into a struct request (fs/fuse/request.h)
 * and runs it (fs/fuse/ops.h).
 *
 * OPEN and OPENDIR are replied to with ENOSYS. The kernel then sends neither again, and serves
 * repeated reads from its page cache without any request. So no state can be kept for an open file.
 *
 * With auto_unmount OPENDIR succeeds, and the kernel sends it each time. fusermount3 (libfuse 3.14)
 * unmounts after a crash only if open(2) of the mount point fails with ENOTCONN. After ENOSYS the
 * kernel would open directories by itself, also those of a dead mount.
 */

#include <stdbool.h>

struct fuse_args;
struct fuse_session;
struct ops;

/* Makes a session that is not yet mounted. ops is borrowed. Returns NULL on an error, which libfuse
 * has logged. */
struct fuse_session *session_new(struct ops *ops, struct fuse_args *args, bool auto_unmount);

/* Prepares a session that was just mounted for loop_run(). Returns 0 or -errno. */
int session_attach(struct fuse_session *session);

#endif
