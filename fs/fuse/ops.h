/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_OPS_H
#define FLEETFS_FS_FUSE_OPS_H

/*
 * Runs the requests of a mount.
 *
 * An operation either replies or lacks data (fs/fuse/request.h). If it lacks data, its request is
 * parked with a deadline and an interrupt function, and runs again from the start when data
 * arrived. So nothing waits, and a request that needs no data is never delayed by one that does. A
 * parked request ends with ETIMEDOUT at its deadline, and with EINTR when its reader must return.
 *
 * Only the FUSE thread calls these functions.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/tree/status.h"

struct filesystem;
struct ops;
struct request;

/*
 * Makes the kernel forget names (fs/fuse/invalidator.h): those of everything in the root except
 * `.fleetfs/` and `agents/`; with agents_too also those of `agents/`.
 *
 * Agents. The kernel keeps the directory of a departed agent until it needs the memory, and until
 * then the node and its record stay in memory, too. So once there are as many such directories as
 * present agents, and at least 1,000, the kernel is made to forget the names of all agents. That
 * bounds the memory of both at about twice what is needed, at the price of reading the present
 * agents again.
 *
 * Views. The names are forgotten when no group, report or ranking was used for a while, since some
 * reports are large; and after 1,000 new questions below `where/`, since a program may ask any
 * number of different ones.
 */
typedef void ops_invalidate(void *user, bool agents_too);

/* fleet and status are borrowed. seed: random bits, for the hash tables. invalidate: may be NULL.
 * Returns NULL if out of memory. */
struct ops *ops_new(struct fleet *fleet, struct status *status, uint64_t seed,
                    ops_invalidate *invalidate, void *user);

/* Replies ENOTCONN to all parked requests and frees everything. Call it after the loop has ended
 * and before fleet_free(). NULL is allowed. */
void ops_free(struct ops *ops);

/* Borrowed. For libfuse's callbacks. */
struct filesystem *ops_filesystem(struct ops *ops);

/* Runs a new request; parks a copy of it if data is missing. The caller sets the members that the
 * kernel's request determines: req, run, operation, ino and so on. */
void ops_start(struct request *request);

/* Runs all parked requests again, and continues a refresh. Call it when data arrived. */
void ops_retry(struct ops *ops);

/* Does everything that is due: one slice of the first job (fs/reports/jobs.h), parked requests
 * whose deadline or wake_ms has passed, checks of interrupted readers, refreshing the list
 * (fleet_refresh()), and freeing unused reports. Call it in each turn of the loop. Returns how long
 * until something is due again, in ms; -1: nothing is. */
int64_t ops_run_due(struct ops *ops);

/* Makes later lookups of directories return new nodes, even for directories that the kernel keeps
 * because they are in use. */
void ops_renew_directories(struct ops *ops);

/* The port `changed` of the fleet: an agent changes, joins or departs. Returns 0 or -errno. */
int ops_changed(struct ops *ops, const struct record *record, const struct agent *before,
                const struct agent *after, int64_t at_ns);

#endif
