/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_FLEET_H
#define FLEETFS_CACHE_FLEET_H

/*
 * The agent list under a ttl: what is known, how fresh it is, and which page is missing.
 *
 * Ask, and ask again. Every question either is answered from memory at once, or fails, or returns
 * -EAGAIN: then the pages that it lacks have been wanted through the port, and the caller asks the
 * very same question, with the same `look`, when one has arrived (or failed), or at look.wake_ms.
 * Nothing here waits, nothing here is fetched unless somebody asked, and because whoever asks for a
 * page that is on its way just waits for it too, no page is ever fetched twice at once.
 *
 * Freshness. A page, and each agent on it, is served for `ttl` from the moment it arrived, less the
 * age that it came with; and to a look that began before it arrived, however long that look takes.
 * So a look never starves on a ttl that is shorter than its own fetching.
 *
 * A page that came with a validator is asked for with it as long as what it brought is still just
 * what is known: nobody on it was met elsewhere since, or has left. If it is unchanged, it is as if
 * it had come again.
 *
 * Completeness. The API pages by offset, so while agents come and go between two requests the pages
 * shift, and a pass over all of them can meet an agent twice or not at all. A sweep is a listing in
 * the making, an order that only grows; readers walk it by position while it is made. It takes the
 * pages in order (those still fresh without asking again), drops what it has already, and at the
 * end of a pass compares with `total_count`: if they disagree it makes another pass, three at most,
 * and merges. An agreeing count proves little, since one agent may have come for each that was
 * overlooked: so an agent that was known, and that the pass missed, gets a second look at once, at
 * the pages around where it was last seen, and only one missed twice has left. If those pages moved
 * meanwhile, the look proves nothing, and all pages are looked at, and if need be once more. What
 * no look can promise is an agent never seen before that moved against the reading in its very
 * first sweep; the next one finds it.
 *
 * Failure. See trouble.h for when the API is asked again, and backoff.c for whether the API or one
 * page is to blame. Meanwhile data is served up to `stale` beyond its ttl: at once if the failure
 * is fresh; after 2 s if the API is merely slow. A page that stays bad costs its own agents only
 * (gaps.c): a sweep goes on without it, and what it does not list may yet exist.
 *
 * One thread. Clock, randomness and the source of pages are ports, so tests run in virtual time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"
#include "cache/record.h"

#define FLEET_NAME_BYTES 256
#define FLEET_MAX_PAGES  20000   /* that a sweep asks for, whatever the API says it has */
#define FLEET_MAX_AGENTS 1000000 /* known at once; the page that would exceed it is refused */
#define FLEET_MAX_BYTES  (UINT64_C(1) << 30) /* that they take; likewise */

struct fleet_config {
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t timeout_ms; /* of an operation, which serves stale data before that; 0: none */
	unsigned int retries;
	unsigned int per_page;        /* what a page is asked to hold */
	unsigned int max_connections; /* how many pages are worth asking for at once */
};

struct fleet_ports {
	void *user;
	/* Fetch a page (from 1); exactly one fleet_arrived() or fleet_failed() follows, later. With
	 * a condition (else NULL) it may be a page that says only that it is unchanged, if it still
	 * has that validator. past_caches: no cache on the way is to answer, since it has not
	 * come since fleet_expire(), or is looked at once more. 0 or -errno, then nothing follows.
	 */
	int (*want)(void *user, unsigned int page, const struct validator *condition,
	            bool no_cache);
	int64_t (*now_ms)(void *user);  /* never goes back; counts while suspended too */
	int64_t (*wall_ns)(void *user); /* since 1970 */
	uint32_t (*random)(void *user);
	/* The name of an agent in the tree; different ids, different names. */
	void (*name)(const char *id, char ret_name[static FLEET_NAME_BYTES]);
	/* What is known of an agent is about to be another thing, since something arrived then
	 * (wall clock). before NULL: it joined; after NULL: it left, and its record lives on only
	 * by references. Told in the order of each page, each change once. 0, or -ENOMEM: then it
	 * is as it was, and this is told again. May be NULL. */
	int (*changed)(void *user, const struct record *record, const struct agent *before,
	               const struct agent *after, int64_t at_ns);
	/* An id that stands twice in one answer, told once per record. May be NULL. */
	void (*duplicate)(void *user, const struct record *record);
};

struct fleet;

/* NULL without memory. config and ports are copied. Wall time at this moment is the age of all that
 * the first sweep finds. */
struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_ports *ports);

/* Calls no port. NULL is fine. */
void fleet_free(struct fleet *fleet);

/* A question's memory from one asking to the next. */
struct query {
	uint64_t began;   /* the fleet's count of events when it was first asked */
	int64_t began_ms; /* its clock, likewise */
	int64_t wake_ms; /* set with -EAGAIN: when to ask again at the latest; INT64_MAX: no need */
	bool waited;     /* it could not be answered at once */
	uint64_t list;   /* what fleet_whole() told it, or a later one; 0: nothing yet */
};

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
