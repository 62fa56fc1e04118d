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
 * Makes the kernel forget names (fs/fuse/invalidator.h): those of the views; with agents_too also
 * those of agents.
 *
 * The kernel keeps the directory of a departed agent until it needs the memory, and until then the
 * daemon must keep it, too. Therefore, once more agents departed than are present, the kernel has
 * to forget all of them. That bounds the memory of both at twice what is needed, at the price of
 * reading the present agents again. The names of the views are forgotten when no view was used for
 * a while, since some reports are large.
 */
typedef void ops_invalidate(void *user, bool agents_too);

/* fleet and status are borrowed. seed: random bits, for the hash tables. invalidate: NULL if the
 * kernel need not forget. Returns NULL without memory. */
struct ops *ops_new(struct fleet *fleet, struct status *status, uint64_t seed,
                    ops_invalidate *invalidate, void *user);

/* Replies ENOTCONN to all parked requests and frees all. Call it after the loop has ended and
 * before fleet_free(). NULL is fine. */
void ops_free(struct ops *ops);

/* Borrowed. For libfuse's callbacks. */
struct filesystem *ops_filesystem(struct ops *ops);

/* Runs a new request; parks a copy of it if data is missing. The caller sets what its operation
 * needs: req, run, operation, ino and so on. */
void ops_start(struct request *request);

/* Runs all parked requests again. Call it when data arrived. */
void ops_retry(struct ops *ops);

/* Runs one slice of the first job (fs/reports/jobs.h), and what is due: deadlines, and requests
 * that asked to be woken by now. Returns how long until the next is due, in ms; -1 if there is
 * none. */
int64_t ops_due_ms(struct ops *ops);

/* Gives all directories new nodes, also those that the kernel keeps because they are in use. */
void ops_renew_directories(struct ops *ops);

/* The port `changed` of the fleet: an agent changes, joins or departs. Returns 0 or -errno. */
int ops_changed(struct ops *ops, const struct record *record, const struct agent *before,
                const struct agent *after, int64_t at_ns);

#endif
