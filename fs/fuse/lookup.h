/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_LOOKUP_H
#define FLEETFS_FS_FUSE_LOOKUP_H

/* LOOKUP: finds a name in a directory. */

#include "fs/fuse/request.h"

/* Replies with the entry of request->name in the directory request->ino. If the name does not
 * exist, replies with a negative entry (node ID 0), whose timeout says how long the kernel may
 * cache it. Results: see fs/fuse/request.h. */
int operation_lookup(struct request *request, struct reply *reply);

#endif
