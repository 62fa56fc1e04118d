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
 * afterwards up to max_connections at once. Returns the result of pages_ask() for the first one. */
int sweep_ask(struct sweeps *sweeps, struct sweep *sweep, struct query *query);

/* Completes the sweep with all agents whose data may be served stale. The agents that it has read
 * come first, then those of the complete sweep before it, then all others that are known. If the
 * data of an agent is too old, the listing lacks it.
 *
 * err: result of sweep_ask(). A failure becomes the result for names that are not listed. With
 * -EAGAIN (the API is slow) these names get the -errno of the first gap of the sweep before if it
 * has one; else -ETIMEDOUT if the listing lacks agents; else -ENOENT.
 *
 * Returns 0; -ENOMEM; or -ENOENT if there is no complete sweep before. If that one may no longer be
 * served stale, also returns -ENOENT if err is -EAGAIN, or if the data of every agent is too old.
 * If the result is not 0, the sweep is unchanged. */
int sweep_complete_from_memory(struct sweeps *sweeps, struct sweep *sweep, int err);

#endif
