/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_FLEET_H
#define FLEETFS_CACHE_FLEET_H

/*
 * The agent list under a ttl: the queries that the rest of the program asks.
 *
 * A query is answered from memory at once, fails, or returns -EAGAIN after it requested the pages
 * that it lacks (cache/query.h). Nothing here waits, and nothing is requested that no query needs.
 * A query that needs a page in flight waits for it, so no page is requested twice at once.
 *
 * Freshness. A page, and each agent on it, is served for `ttl` from its arrival, less the age that
 * it had then; and to a query that began before it arrived. A page whose response had a validator
 * is requested with it as long as its records are still as that response had them.
 *
 * Completeness. A listing contains every agent that stayed connected exactly once, although agents
 * move between pages while the pages are read (cache/sweep.h).
 *
 * Failure. cache/backoff.h defines when a failed request is repeated, cache/pages_backoff.c whether
 * the API or one page is to blame. Meanwhile data is served up to `stale` beyond its ttl: at once
 * while a backoff holds, after 2 s if the API is slow. A page that stays bad costs its own agents
 * only (cache/sweep_gaps.h).
 *
 * Layers, each of which calls only those below it: the pages (cache/pages.h), the records of agents
 * (cache/records.h, cache/ingest.h), the sweeps (cache/sweep.h, cache/sweeps.h), these queries.
 *
 * Thread: one. The clocks, random numbers and the source of pages are ports (cache/ports.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/failure.h"
#include "api/model/page.h"
#include "cache/ports.h"
#include "cache/query.h"
#include "cache/record.h"

struct fleet;

/* NULL without memory. config and ports are copied. Wall time at this moment is the age of all that
 * the first sweep finds. */
struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_ports *ports);

/* Calls no port. NULL is fine. */
void fleet_free(struct fleet *fleet);

/* Begins a question. */
struct query fleet_query(struct fleet *fleet);

/* The agent of this name, read within the ttl (or as stale as the failing API permits). 0 and a
 * record, borrowed until the next call that can wait; -ENOENT once a whole sweep was without it;
 * -EAGAIN; or -errno of the failure. */
int fleet_find(struct fleet *fleet, const char *name, struct query *query, struct record **ret);

/* The same for a record at hand: 0 when it is fresh, -ENOENT when the agent has left. */
int fleet_renew(struct fleet *fleet, struct record *record, struct query *query);

/*
 * The next agent of a listing. *cursor is 0 to begin, and is moved on with each record: it is a
 * number that means this place in this sweep for ever (below 2^63, above 2^32). 0 and a record, or
 * 0 and NULL at the end; -EAGAIN; -ESTALE when its sweep was forgotten, since later ones needed the
 * room; or -errno of the failure, which for a page that stays bad comes after the agents of the
 * other pages.
 *
 * With look NULL only what is there already is returned, and nothing is requested. A reader gives
 * its look until it has the first entry of a reply, and NULL after that: so it is known when it
 * began, and that it got an empty reply at the end.
 */
int fleet_walk(struct fleet *fleet, uint64_t *cursor, struct query *query, struct record **ret);

/* The whole list: 0 and the cursor of its first agent (for fleet_walk() without a look, which then
 * meets everybody who is still there) once it was read to its end within the ttl, or is as stale as
 * the failing API permits; -EAGAIN; or -errno of the failure. That is the newest, so that a look
 * that began later is told no earlier one. A look that was told a list is told the same again,
 * until it sets look->list to 0: who takes longer than the ttl over it would otherwise be sent from
 * one to the next. */
int fleet_whole(struct fleet *fleet, struct query *query, uint64_t *ret_cursor);

/* What a name that is not in this list gets: -ENOENT, or -errno of a page that the list does
 * without, since the name may be on it. */
int fleet_list_absent(struct fleet *fleet, uint64_t list);

/* What fleet_walk() ends with in this list: 0, or -errno of a page whose agents are not in it,
 * since they may not be served stale any more or were never read. */
int fleet_list_end(struct fleet *fleet, uint64_t list);

/* The newest whole list, fresh or not, as fleet_whole() tells it; 0: there is none. */
uint64_t fleet_newest(const struct fleet *fleet);

/* How long an agent's data, the newest whole list, or the answer that a name does not exist may
 * still be served, ms; 0: no longer. */
int64_t fleet_record_ms(const struct fleet *fleet, const struct record *record);
int64_t fleet_list_ms(const struct fleet *fleet);

/* Modification time of the list of names, wall clock: when the set of names last changed, and 1 ns
 * more each time that it expired (so that the kernel lists again). Never waits. */
int64_t fleet_list_mtime_ns(struct fleet *fleet);

/* The time that the values of the first sweep have, wall clock. */
int64_t fleet_mounted_ns(const struct fleet *fleet);

/* The clock that all ms here count by. */
int64_t fleet_now_ms(const struct fleet *fleet);

/* As configured. */
int64_t fleet_ttl_ms(const struct fleet *fleet);
int64_t fleet_timeout_ms(const struct fleet *fleet);

/* The wall clock, ns since 1970. */
int64_t fleet_wall_ns(const struct fleet *fleet);

/* A page wanted has come; takes it over. One that is unchanged counts as not come, and will be
 * asked for as a whole, if what came last time is no longer just what is known; one that is old
 * counts as not come if what came last time is younger. -EAGAIN: some of it is taken in, and
 * fleet_arrive_on() is to be called until that returns something else; no other
 * page may come before. 0, or -ENOMEM or -EFBIG: then it counts as not come, though some of its
 * agents may be known now, and fleet_failed() must follow. */
int fleet_arrived(struct fleet *fleet, unsigned int number, struct page *page);
int fleet_arrive_on(struct fleet *fleet);

/* A page wanted could not be had. Or it did arrive, but was old: then this follows, and says that
 * it is not to be asked for again at once. */
void fleet_failed(struct fleet *fleet, unsigned int number, const struct failure *failure);

/* From now on everything known counts as expired, and so does what is on its way. */
void fleet_expire(struct fleet *fleet);

struct fleet_health {
	size_t agents;       /* known and present */
	unsigned int pages;  /* of the last whole sweep */
	bool swept;          /* there was a whole sweep */
	bool verified;       /* and it agreed with total_count */
	bool failing;        /* the last thing that arrived was a failure of the API */
	bool stale;          /* failing, and what was read last may still be served; or expired data
	                        was served because the API is slow */
	int64_t list_age_ms; /* of the oldest page of the last whole sweep; -1: none */
	int64_t success_ns;  /* when a page last arrived, wall clock; 0: never */
	int64_t sweep_ns;    /* when the last whole sweep ended, wall clock; 0: never */
	int64_t retry_ms;    /* how long until the API is asked again; 0: at the next access */
	uint64_t asked;      /* pages wanted */
	uint64_t arrived;    /* pages that came */
	uint64_t unchanged;  /* of them, those that were as the time before, and said only that */
	uint64_t coalesced;  /* looks that waited for a page that was already on its way */
	uint64_t hits;       /* looks answered at once */
	uint64_t sweeps;     /* whole sweeps */
	uint64_t passes;     /* over all pages, repetitions included */
	uint64_t duplicates; /* agents listed twice, and dropped the second time */
	uint64_t malformed;  /* elements that were no agent */
	uint64_t failures[FAILURE_CAUSES];
};

void fleet_health(const struct fleet *fleet, struct fleet_health *ret_health);

/* The last failure, or NULL if there was none. Borrowed until the next arrives. */
const struct failure *fleet_last_failure(const struct fleet *fleet);

#endif
