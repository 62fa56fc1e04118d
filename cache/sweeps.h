/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEPS_H
#define FLEETFS_CACHE_SWEEPS_H

/*
 * Which sweep serves a query, and which sweeps are kept for readers that continue in them.
 *
 * The kernel does not report when a reader stops, and a reader may pause for any time. So a sweep
 * is forgotten when all sweeps together are too many or take too much memory, or when those without
 * a reader (sweep_count_reader()) take more than a smaller limit. Those without a reader are
 * forgotten first; among equals the one that was used least recently.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/query.h"
#include "cache/sweep.h"

/* pages and records are borrowed. */
void sweeps_init(struct sweeps *sweeps, struct pages *pages, struct records *records);

/* Frees all sweeps. */
void sweeps_done(struct sweeps *sweeps);

/* Returns the sweep that serves the query, and begins one if none does. from_memory: whether a
 * sweep that was completed from memory may serve. It is good enough for a listing, but does not
 * prove that a name is absent. NULL without memory. */
struct sweep *sweeps_for(struct sweeps *sweeps, const struct query *query, bool from_memory);

/* Returns a sweep that began after the query and reads only pages that arrived after the query
 * began: the oldest one that is neither older than the newest complete sweep nor completed from
 * memory. If no sweep is like that, the function begins one. Returns NULL without memory.
 *
 * A sweep that a reader began is returned, too, if every page that it has read so far arrived after
 * the query began. From then on it reads only pages that arrive after its own beginning. */
struct sweep *sweeps_renewal(struct sweeps *sweeps, const struct query *query);

/* Returns the sweep of this number, or NULL if it was forgotten. */
struct sweep *sweeps_find(const struct sweeps *sweeps, uint64_t number);

/* Returns whether a sweep, complete or not, is fresh enough for a query: it began after the query,
 * or all its pages arrived after the query began, or it has not expired. An incomplete sweep that
 * would still read an expired page serves only queries that began before it. */
bool sweeps_serves(const struct sweeps *sweeps, const struct sweep *sweep,
                   const struct query *query);

/* Counts readers. begins: a reader reads from the beginning of the sweep; ends: it got the end. A
 * reader that stops in the middle is counted for ever, which only makes its sweep one of the last
 * to be forgotten. */
void sweep_count_reader(struct sweep *sweep, bool begins, bool ends);

/* Appends a newcomer, an agent that was unknown when the newest sweep was completed, to the listing
 * of that sweep. Does nothing while that sweep is incomplete. 0 or -ENOMEM. */
int sweeps_add_newcomer(struct sweeps *sweeps, const struct record *record);

/* Returns the event number when the pass under way in the newest sweep began; UINT64_MAX if there
 * is none. */
uint64_t sweeps_pass_seq(const struct sweeps *sweeps);

/* Expires all sweeps. */
void sweeps_expire_all(struct sweeps *sweeps);

/* Returns for how many ms the kernel may cache the newest complete list. 0 if it has expired, came
 * from memory or has gaps. */
int64_t sweeps_list_left_ms(const struct sweeps *sweeps);

/* Returns the modification time of the list of names, wall clock. First adds 1 ns to it if a
 * complete list has expired since the last call; also once a second while the newest complete list
 * has gaps or came from memory. */
int64_t sweeps_list_mtime_ns(struct sweeps *sweeps);

#endif
