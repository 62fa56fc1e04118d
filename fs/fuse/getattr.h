/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_GETATTR_H
#define FLEETFS_FS_FUSE_GETATTR_H

/* GETATTR, ACCESS and STATFS. Results: see fs/fuse/request.h. */

#include "fs/fuse/request.h"

/* Replies with the attributes of request->ino. */
int operation_getattr(struct request *request, struct reply *reply);

/* Checks request->mask against the permissions, which are the same for all users. */
int operation_access(struct request *request, struct reply *reply);

/* Replies with a file system without blocks and inodes. */
int operation_statfs(struct request *request, struct reply *reply);

#endif
