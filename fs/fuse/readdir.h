/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_READDIR_H
#define FLEETFS_FS_FUSE_READDIR_H

/*
 * READDIRPLUS: lists a directory.
 *
 * No state is kept between two requests of one listing. The offset after an entry is enough to
 * continue there:
 *
 *	0          nothing has been listed
 *	1, 2       after `.`, after `..`
 *	rows       2 + the number of entries listed after `..`
 *	views      2 + the number of the group (fs/reports/groups.h)
 *	rankings   2 + the rank (fs/reports/rankings.h)
 *	agents     a cursor of fleet_walk(), 2^32 or more; also for the links to agents in a
 *	           group or in a question without an order
 */

#include "fs/fuse/request.h"

/* Replies with the entries of the directory request->ino from request->offset on, up to
 * request->size bytes; with an empty reply at the end. Results: see fs/fuse/request.h; -EINVAL if
 * not even one entry fits. */
int operation_readdirplus(struct request *request, struct reply *reply);

#endif
