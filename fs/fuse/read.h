/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_READ_H
#define FLEETFS_FS_FUSE_READ_H

/* OPEN, READ and READLINK. Results: see fs/fuse/request.h. */

#include "fs/fuse/request.h"

/* OPEN and OPENDIR: returns -ENOSYS, see fs/fuse/session.h. */
int operation_open(struct request *request, struct reply *reply);

/* OPENDIR with auto_unmount: succeeds, so that the kernel sends it for each open(2) of a directory.
 */
int operation_opendir(struct request *request, struct reply *reply);

/* Replies with up to request->size bytes of the file request->ino from request->offset on; fewer
 * only at the end of the file. */
int operation_read(struct request *request, struct reply *reply);

/* Replies with the target of the link request->ino. */
int operation_readlink(struct request *request, struct reply *reply);

#endif
