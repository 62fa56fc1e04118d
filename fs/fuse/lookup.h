/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_LOOKUP_H
#define FLEETFS_FS_FUSE_LOOKUP_H

/* LOOKUP: finds a name in a directory. */

#include "fs/fuse/request.h"

/* Replies with the entry of request->name in the directory request->ino, or with an entry without a
 * node, which tells the kernel for how long the name does not exist. Results: see
 * fs/fuse/request.h. */
int operation_lookup(struct request *request, struct reply *reply);

#endif
