/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_FLEET_H
#define FLEETFS_CACHE_FLEET_H

/*
 * The cache of the agent list: answers the queries of the rest of the program.
 *
 * A query is answered from memory at once, fails, or returns -EAGAIN after it requested the pages
 * that it lacks (cache/query.h). No function blocks. Pages are requested only if a query needs
 * them, or will soon need them as it reads the list. A query that needs a page in flight waits for
 * it, so no page is requested twice at once.
 *
 * Freshness. A page, and each agent on it, is served until it is `ttl` old, counted from its
 * arrival minus the age that the response had. It is also served to every query that began before
 * it arrived. If the response had a validator, the next request is conditional, as long as the
 * records of the page are still as that response had them.
 *
 * Completeness. A listing contains every known agent that stayed connected exactly once, although
 * agents move between pages while the pages are read. A new agent may be missed until the next
 * listing (cache/sweep.h).
 *
 * Failure. cache/backoff.h defines when a failed request is repeated, cache/pages_backoff.c whether
 * the API or one page is to blame. Meanwhile data is served up to `stale` beyond its ttl. During a
 * hold, stale data is served at once, and a name that the last whole list lacks gets the failure.
 * While a request is under way or is retried, a query first waits for 2 s (or 3/4 of the timeout,
 * if that is less; see pages_patience_is_over()). Then stale data is served, and such a name gets
 * -ENOENT. A page that stays bad is skipped: it is a gap of the list, and costs its own agents only
 * (cache/sweep_gaps.h).
 *
 * Refreshing. If it is configured, the cache has one reader of its own, which reads the list
 * periodically: fleet_refresh().
 *
 * Layers, from the lowest: the pages (cache/pages.h), the records of agents (cache/records.h,
 * cache/ingest.h), the sweeps (cache/sweep.h, cache/sweeps.h), and the queries of this header. Each
 * layer calls only those below it.
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

/* Creates a cache without data. config and ports are copied. The values that the first list finds
 * get the time of this call as their modification time. NULL without memory. */
struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_ports *ports);

/* Frees the cache without calling a port. NULL is allowed. */
void fleet_free(struct fleet *fleet);

/* Begins a query. */
struct query fleet_query(struct fleet *fleet);

/* One agent */

/* Finds the agent of this name. Returns 0 and its record, borrowed until the next call; -EAGAIN;
 * -ENOENT if the list does not have it and has no gap; -errno of the first gap if it has one, since
 * the agent may be there; or -errno of the failure if there is no data that may be served stale. */
int fleet_find(struct fleet *fleet, const char *name, struct query *query,
               struct record **ret_record);

/* Renews the data of a record that the caller holds. Returns 0 when it may be served, and the agent
 * is then present; -EAGAIN; -ENOENT if the agent left; or -errno like fleet_find(). If the list has
 * a gap, the call that finds that the agent left returns -errno of the first gap, not -ENOENT. */
int fleet_renew(struct fleet *fleet, struct record *record, struct query *query);

/* Returns for how many ms a record's data is still within its ttl; 0: it has expired. */
int64_t fleet_record_left_ms(const struct fleet *fleet, const struct record *record);

/* The list. Callers refer to a list by a number: the cursor of its first agent. A whole list is one
 * that was read to its end, with or without gaps, or that was completed from memory. */

/*
 * Returns the next agent of a listing: 0 and its record, borrowed until the next call, or NULL at
 * the end. Else -EAGAIN; -ESTALE if the list was forgotten because later ones needed the memory; or
 * -errno of the failure. The end of a list that lacks agents is the -errno of fleet_list_end(). For
 * example, if a page stays bad and its agents are not known or too old, the agents of the other
 * pages come first, and then the page's -errno.
 *
 * *cursor: 0 to begin with a list that answers the query. A call that returns a record advances it.
 * A value that this function returned always means the same position in the same list; it is at
 * least 2^32 and below 2^63.
 *
 * query: with NULL only agents that are known already are returned, though pages may be read ahead.
 * -EAGAIN then does not mean that a page was requested. To fill a reply, pass the query for its
 * first entry and NULL for the others, so that a reply with entries does not wait. Only calls with
 * a query count readers: one at position 0 begins a reader, and one that gets the end ends it.
 */
int fleet_walk(struct fleet *fleet, uint64_t *cursor, struct query *query,
               struct record **ret_record);

/* Returns 0 and a whole list that is within its ttl, or was read after the query began; -EAGAIN; or
 * -errno of the failure. If the API fails or is slow, a list that may be served stale is enough.
 * fleet_walk() without a query then returns all agents of the list that are still present.
 *
 * The list is stored in query->list. Further calls with this query return that list, even if it has
 * expired. So a caller that needs longer than the ttl to process a list does not start over for
 * ever. To get a newer list, set query->list to 0. */
int fleet_whole_list(struct fleet *fleet, struct query *query, uint64_t *ret_list);

/* Returns the newest whole list, also if it has expired; 0 before the first one is complete. */
uint64_t fleet_newest_list(const struct fleet *fleet);

/* Returns whether a whole list was read of which at least one page arrived. Agents that were
 * found earlier belong to the first list, and may have been there all the time. */
bool fleet_list_is_known(const struct fleet *fleet);

/* Returns the result for a name that is not in this list, the first of these that applies:
 * - -errno of the failure because of which the list was completed from memory;
 * - -errno of the first gap of the list (if it was completed from memory, of the one before), since
 *   the name may be there;
 * - -ETIMEDOUT if the list was completed from memory because the API was slow, and lacks agents;
 * - -ENOENT, also for a list that was forgotten. */
int fleet_list_absent(struct fleet *fleet, uint64_t list);

/* Returns the result at the end of this list: 0; or if it lacks agents, since they never arrived or
 * are too old, the result of fleet_list_absent(). 0 for a list that was forgotten. */
int fleet_list_end(struct fleet *fleet, uint64_t list);

/* Returns for how many ms the kernel may cache the newest whole list, and the absence of a name
 * from it. 0 if the list has expired, has gaps or came from memory. */
int64_t fleet_list_left_ms(const struct fleet *fleet);

/* Returns the modification time of the list of names, wall clock: when the set of names last
 * changed after the first list was known, and some ns more. The call adds 1 ns if a whole list has
 * expired since the last call, and once a second while the newest whole list has gaps or came from
 * memory. This makes the kernel list again. */
int64_t fleet_list_mtime_ns(struct fleet *fleet);

/* Refreshing without a reader (refresh_ms of the configuration) */

/*
 * Begins to read the whole list if that is due, or continues. Call it when a page arrived or
 * failed, and at fleet_refresh_due_ms().
 *
 * A refresh requests every page, however fresh it is; only the first refresh may use fresh pages.
 * The next refresh is due refresh_ms after this one began, or after the oldest data of the newest
 * whole list (arrival minus age), if that is later. If the API fails, the refresh continues as soon
 * as the backoff permits. Does nothing if refresh_ms is 0.
 */
void fleet_refresh(struct fleet *fleet);

/* Returns when to call fleet_refresh() if nothing arrives before, on the clock of fleet_now_ms();
 * INT64_MAX: never, or only when something arrives. */
int64_t fleet_refresh_due_ms(const struct fleet *fleet);

/* The configured refresh_ms. */
int64_t fleet_refresh_ms(const struct fleet *fleet);

/* Responses */

/* Ingests a response to a request of the port `request_page`, and takes it over. number: of the
 * page, from 1.
 *
 * Returns 0; -EAGAIN if some agents are left: call fleet_ingest_more() until it returns another
 * result, and neither fleet_ingest() nor fleet_failed() meanwhile; or -ENOMEM or -EFBIG: the page
 * keeps its old content, but some of its agents may have new data, and fleet_failed() must follow.
 *
 * A response `unchanged` is ignored if the page's records changed since its last response; the next
 * request for the page is then unconditional. An outdated response (older than the ttl when it
 * arrived: `old` in struct page) is ignored if the known page is younger. */
int fleet_ingest(struct fleet *fleet, unsigned int number, struct page *page);

/* Ingests more of the same response. Returns the same values as fleet_ingest(). */
int fleet_ingest_more(struct fleet *fleet);

/* Notes that a request failed. Call it also after a response that was ingested but outdated, so
 * that its page is not requested again at once. */
void fleet_failed(struct fleet *fleet, unsigned int number, const struct failure *failure);

/* Expires all data, ends all backoffs, and ignores the responses to requests in flight. */
void fleet_expire(struct fleet *fleet);

/* Time and settings */

/* The monotonic clock of all times in ms. */
int64_t fleet_now_ms(const struct fleet *fleet);

/* The wall clock, ns since 1970. */
int64_t fleet_wall_ns(const struct fleet *fleet);

/* Wall clock of fleet_new(): the modification time of values that the first list found. */
int64_t fleet_started_ns(const struct fleet *fleet);

/* The configured ttl. */
int64_t fleet_ttl_ms(const struct fleet *fleet);

/* The configured timeout of a file operation; 0: none. */
int64_t fleet_timeout_ms(const struct fleet *fleet);

/* Health */

struct fleet_health {
	size_t agents;       /* that are known and present */
	unsigned int pages;  /* of the last whole list */
	bool swept;          /* fleet_list_is_known() */
	bool verified;       /* the last whole list agreed with total_count */
	bool failing;        /* the API or a page failed and has not succeeded since */
	bool stale;          /* failing, and data may be served stale; or expired data was served
	                        because the API is slow */
	int64_t list_age_ms; /* of the oldest page of the last whole list; -1: none */
	int64_t success_ns;  /* when a page last arrived, wall clock; 0: never */
	int64_t sweep_ns;    /* when a whole list was last read to its end, wall clock; 0: never */
	int64_t retry_ms;    /* until the API, or else the first page in backoff, may be requested
	                        again; 0: now, or there is no backoff */
	int64_t refresh_ms;  /* until the next refresh; 0: it is under way; -1: refreshing is off */
	uint64_t asked;      /* pages that were requested */
	uint64_t arrived;    /* pages that arrived; without failures and ignored responses */
	uint64_t unchanged;  /* of arrived: those that the response called unchanged (304) */
	uint64_t coalesced;  /* queries whose first request was for a page already in flight */
	uint64_t hits;       /* queries answered from memory, with 0 or -ENOENT */
	uint64_t sweeps;     /* whole lists that were read to their end */
	uint64_t passes;     /* first passes of the sweeps, and rechecks of all pages */
	uint64_t duplicates; /* agents dropped: an earlier page, or the same response, has the id */
	uint64_t malformed;  /* elements that were no agents */
	uint64_t failures[FAILURE_CAUSES]; /* by cause */
};

/* Returns the present health. */
void fleet_health(const struct fleet *fleet, struct fleet_health *ret_health);

/* Returns the last failure, or NULL if there was none. Borrowed until the next failure. */
const struct failure *fleet_last_failure(const struct fleet *fleet);

#endif
