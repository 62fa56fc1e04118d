/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_MOUNTPOINT_H
#define FLEETFS_FS_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes sure that a mount point can be mounted on: it exists, is a folder, and no FUSE file system
 * is mounted there. One left dead by a crash ("Transport endpoint is not connected") is detached
 * first. 0 and its absolute path, to be freed; or -errno and a sentence that says what to do in
 * ret_why.
 */
int mountpoint_prepare(const char *path, char **ret_absolute, char *ret_why, size_t why_bytes);

struct fuse_session;

/*
 * Mounts a session there. 0; or -EIO and the reason in ret_why, as fusermount3 tells it to an
 * ordinary user ("" if it was not asked, or with debug, when its words stay on stderr among
 * libfuse's).
 */
int mountpoint_mount(struct fuse_session *session, const char *path, bool debug, char *ret_why,
                     size_t why_bytes);

#endif
