/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEPS_H
#define FLEETFS_CACHE_SWEEPS_H

/*
 * Which sweep serves a query, and which sweeps are kept for readers that continue in them.
 *
 * Nothing says when a reader of a listing is done with it: there is no close, and a reader may
 * pause for as long as it likes. So a sweep is forgotten only when all of them take too much
 * memory, the one that was read from the longest ago first. Sweeps without a reader that has yet to
 * reach the end go before them, and are allowed less memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/query.h"
#include "cache/sweep.h"

/* pages and records are borrowed. */
void sweeps_init(struct sweeps *sweeps, struct pages *pages, struct records *records);

/* Frees all sweeps. */
void sweeps_done(struct sweeps *sweeps);

/* Returns the sweep that serves the query, which it begins if need be. from_memory: one that was
 * completed from memory may serve: that is good enough for a listing, but proves no absence. NULL
 * without memory. */
struct sweep *sweeps_for(struct sweeps *sweeps, const struct query *query, bool from_memory);

/* Returns the sweep of this number, or NULL if it was forgotten. */
struct sweep *sweeps_find(const struct sweeps *sweeps, uint64_t number);

/* Returns whether a sweep, complete or not, is fresh enough for a query: it began after the query,
 * or all its pages arrived after the query began, or it has not expired. */
bool sweeps_serves(const struct sweeps *sweeps, const struct sweep *sweep,
                   const struct query *query);

/* Notes that a reader got the first entry of a sweep, or that one that had the first got the end. A
 * reader that never asks again is counted for ever, which only makes its sweep one of the last to
 * be forgotten. */
void sweep_count_reader(struct sweep *sweep, bool begins, bool ends);

/* Appends an agent that no sweep found to the newest listing, if that is complete. 0 or -ENOMEM. */
int sweeps_add_newcomer(struct sweeps *sweeps, const struct record *record);

/* Returns the event number when the pass under way in the newest sweep began; UINT64_MAX if there
 * is none. */
uint64_t sweeps_pass_seq(const struct sweeps *sweeps);

/* Expires all sweeps. */
void sweeps_expire_all(struct sweeps *sweeps);

/* Returns how long the newest whole list may still be served, ms. 0 if it has expired, came from
 * memory or lacks a page: the kernel then has to ask each time. */
int64_t sweeps_list_left_ms(const struct sweeps *sweeps);

/* Returns the modification time of the list of names, wall clock. It moves by 1 ns when a whole
 * list expires. */
int64_t sweeps_list_mtime_ns(struct sweeps *sweeps);

#endif
