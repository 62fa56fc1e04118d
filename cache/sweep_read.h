/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_READ_H
#define FLEETFS_CACHE_SWEEP_READ_H

/*
 * Advances a sweep: reads the pages that it may read, requests those that it lacks, and completes
 * it from memory if the API fails.
 */

#include "cache/query.h"
#include "cache/sweep.h"

/* Reads pages until the sweep is complete or lacks a page, and skips those that stay bad. Returns
 * 0; or -ENOMEM: call it again. */
int sweep_advance(struct sweeps *sweeps, struct sweep *sweep);

/* Requests the pages that an incomplete sweep needs next: one before the first page was read,
 * afterwards up to max_connections at once. Returns -EAGAIN, or -errno of a failure. */
int sweep_ask(struct sweeps *sweeps, struct sweep *sweep, struct query *query);

/* Completes the sweep with all agents whose data may be served stale, in the order of the complete
 * sweep before it. If the data of others is too old, the listing lacks them.
 *
 * err: result of sweep_ask(). A failure becomes the result for names that are not listed. With
 * -EAGAIN (the API is slow) these names get -ENOENT, or -errno of a gap of the sweep before.
 *
 * Returns 0; -ENOENT if no data may be served stale, and if err is -EAGAIN also when the list
 * before this sweep is too old, even if some agents are not; or -ENOMEM. */
int sweep_complete_from_memory(struct sweeps *sweeps, struct sweep *sweep, int err);

#endif
