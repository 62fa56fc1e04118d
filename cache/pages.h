/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_PAGES_H
#define FLEETFS_CACHE_PAGES_H

/*
 * The pages of the list: which of them arrived and when, when each expires, which are in flight,
 * and when one that failed may be requested again.
 *
 * Lowest layer of the cache. It knows nothing of sweeps, and changes no record: pages hold
 * references to records, and page_is_intact() compares these with the last response.
 *
 * There are two clocks: milliseconds for expiry, and event numbers for the order in which things
 * happened, because much happens within one millisecond. Events are numbered from 1. They are:
 * arrivals, failures, queries, calls of pages_expire_all(), the beginning of a sweep or pass, and a
 * pass that goes back to empty pages. A request is no event.
 *
 * A page is never requested twice at once: a query that needs a page in flight waits for it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/failure.h"
#include "api/model/page.h"
#include "cache/backoff.h"
#include "cache/ports.h"
#include "cache/query.h"
#include "cache/record.h"

struct cached_page {
	struct record **records;    /* in the API's order, each once; references */
	size_t count;               /* of records */
	size_t elements;            /* of the response, agents or not */
	size_t dropped;             /* those that are malformed or repeat an id of the response */
	int64_t total_count;        /* of the response; AGENT_ABSENT if it has none */
	int64_t per_page;           /* of the response; AGENT_ABSENT if it has none */
	struct validator validator; /* of the response; empty if it has none */
	int64_t arrived_ms;         /* arrival minus its age; monotonic */
	uint64_t arrived_seq;       /* event number of its arrival; 0: it counts as not arrived */
	bool no_cache;              /* the response is certainly not from an HTTP cache */
	bool moved; /* the last response had other agents, or another order, than the one before;
	             * also if agents only joined or left */

	bool in_flight;
	bool asked_no_cache; /* no HTTP cache may answer the last request */
	int64_t awaited_ms;  /* time of the last request; if that was a retry, of the first one */
	uint64_t asked_seq;  /* number of the last event before the last request */
	bool served_stale;   /* while it is in flight, expired data was served */

	struct backoff backoff;
	uint64_t failed_seq; /* event number of its last failure */
	bool bad;            /* its failure counts for the page, not for the API */
	bool failed_empty;   /* it is bad because it arrived empty (pages_fail_empty()) */
	bool was_missing;    /* a hold began while it had no content and gapless_list_known was
	                        false: its agents may have been there since the mount */
};

struct pages {
	const struct fleet_config *config;
	const struct fleet_ports *ports;
	uint64_t seq;         /* number of the last event */
	uint64_t expired_seq; /* event number of the last pages_expire_all() */

	struct cached_page *pages; /* page n is pages[n - 1] */
	unsigned int count;        /* length of this array; pages never requested are zeroed */
	unsigned int last;         /* highest page that the list is known to have */
	bool gapless_list_known;   /* a list without gaps was read: no page gets was_missing any
	                              more, since new agents have joined */
	unsigned int in_flight;    /* number of pages in flight */

	struct backoff backoff;      /* of the API as a whole */
	uint64_t failed_seq;         /* event number of its last failure */
	bool needs_later_success;    /* the API's backoff ends only with a page that was requested
	                                after the failure */
	unsigned int suspect;        /* page that failed since the last success, perhaps because
	                                the API fails; 0: none */
	int64_t success_ms;          /* last arrival of a page minus its age; monotonic */
	uint64_t success_seq;        /* event number of the last arrival that was not outdated
	                                (page_is_outdated()); 0: none */
	int64_t success_ns;          /* wall clock of the last arrival; 0: none yet */
	unsigned int backed_off;     /* number of pages whose backoff is active */
	unsigned int bad;            /* number of pages that are bad */
	unsigned int stale;          /* number of pages with served_stale */
	struct failure last_failure; /* at_ns is 0 if there was none */

	/* Counters for struct fleet_health. */
	uint64_t asked, arrived, coalesced;
	uint64_t failures_of[FAILURE_CAUSES];
};

/* config and ports are borrowed. Calls no port. */
void pages_init(struct pages *pages, const struct fleet_config *config,
                const struct fleet_ports *ports);

/* Frees all pages. */
void pages_done(struct pages *pages);

/* Returns the time of the monotonic clock. */
int64_t pages_now_ms(const struct pages *pages);

/* Returns the time of the wall clock, since 1970. */
int64_t pages_wall_ns(const struct pages *pages);

/* Returns the page, which it creates if need be. NULL without memory or beyond FLEET_MAX_PAGES. May
 * move all pages in memory. number: from 1. */
struct cached_page *pages_create(struct pages *pages, unsigned int number);

/* Returns the page, or NULL if it is not in the array. Any number is allowed. */
struct cached_page *pages_find(const struct pages *pages, unsigned int number);

/* Requests */

/* Requests a page for a query, unless it is in flight, a backoff delays it, or the API is in
 * backoff and another page is in flight. no_cache: no HTTP cache may answer; after
 * pages_expire_all() none may until the page has arrived again. Returns -EAGAIN if the query should
 * wait, also before a retry (then query->wake_ms is set); -errno of the failure during a hold;
 * -EFBIG beyond FLEET_MAX_PAGES; -ENOMEM; or -errno of the port. */
int pages_ask(struct pages *pages, unsigned int number, bool no_cache, struct query *query);

/* Returns whether stale data may now answer a query that waits for a slow page: after 2 s, or 3/4
 * of the timeout if that is less. If not, sets query->wake_ms.
 *
 * The wait counts from the beginning of the query, or from awaited_ms of the page if that is
 * earlier. So several queries in turn do not each wait for the same request. If this page is
 * neither in flight nor being retried, and the API is in backoff, awaited_ms of any page in flight
 * counts instead. */
bool pages_patience_is_over(const struct pages *pages, unsigned int number, struct query *query);

/* Notes that expired data was served while this page is in flight. If it is not in flight, notes
 * that for one other page that is, if there is one. */
void pages_note_stale(struct pages *pages, unsigned int number);

/* Notes that the request of a page has ended: the page is no longer in flight. */
void pages_land(struct pages *pages, struct cached_page *page);

/* Returns whether the response to the last request is to be ignored, because pages_expire_all() was
 * called meanwhile. */
bool page_ignores_response(const struct pages *pages, const struct cached_page *page);

/* Expiry */

/* Returns whether data with this read_ms and read_seq (struct record) is within its ttl. */
bool pages_fresh(const struct pages *pages, int64_t read_ms, uint64_t read_seq);

/* Returns for how many ms such data is still within its ttl; 0: it has expired. */
int64_t pages_left_ms(const struct pages *pages, int64_t read_ms, uint64_t read_seq);

/* Returns until when data with this read_ms may be served although a refresh fails or is slow. */
int64_t pages_stale_end_ms(const struct pages *pages, int64_t read_ms);

/* Returns whether that time is still to come. */
bool pages_may_serve_stale(const struct pages *pages, int64_t read_ms);

/* Returns when a page expires: after its ttl; but if page_is_outdated(), when it may be requested
 * again, at the latest when it may no longer be served stale. 0 if it has not arrived, or not since
 * pages_expire_all(). */
int64_t page_expires_ms(const struct pages *pages, const struct cached_page *page);

/* Returns whether a page has not expired. */
bool page_is_fresh(const struct pages *pages, const struct cached_page *page);

/* Returns whether the last result of the page was an outdated response, one that was older than the
 * ttl when it arrived (FAILURE_OLD). It remains so until the next result, also while the page may
 * be requested again. */
bool page_is_outdated(const struct cached_page *page);

/* Expires all pages, ends all backoffs, and ignores the responses to requests in flight. */
void pages_expire_all(struct pages *pages);

/* Content */

/* Notes that the page arrived, with or without new content. at_ms: arrival minus the age of the
 * response. seq: event number of the arrival. */
void pages_note_arrival(struct pages *pages, struct cached_page *page, const struct page *response,
                        int64_t at_ms, uint64_t seq);

/* Removes the content of a page, which then counts as not arrived. */
void page_reset(struct cached_page *page);

/* Makes this the last page of the list: removes the content of the pages after it, and ends their
 * backoffs. */
void pages_truncate(struct pages *pages, unsigned int last);

/* Returns whether the records of the page are still as its last response had them: each is present
 * and was last read on this page, and no agent was dropped because an earlier page has it too. If
 * one was dropped, a response `unchanged` could hide an agent that the earlier page lost. */
bool page_is_intact(const struct cached_page *page, unsigned int number);

/* Failures (pages_backoff.c) */

/* Notes that the request of a page failed, or that its response was outdated. Decides whether the
 * page or the API is to blame. */
void pages_fail(struct pages *pages, unsigned int number, const struct failure *failure);

/* Notes as a failure that a page arrived without elements, though pages behind it have agents.
 * The page then counts as not arrived. Its backoff ends when it arrives with elements. Does nothing
 * if the page counts as not arrived and is in backoff already. */
void pages_fail_empty(struct pages *pages, unsigned int number);

/* Ends the backoff of a page. */
void pages_end_backoff(struct pages *pages, struct cached_page *page);

/* Notes that a page arrived: ends its backoff, unless it has failed_empty and is empty again. Also
 * ends the backoff of the API and shortens those of the other pages, unless the API's backoff needs
 * a later success (needs_later_success). */
void pages_succeed(struct pages *pages, struct cached_page *page);

/* Returns whether readers should go on without this page: its backoff holds, and the API is not in
 * backoff. */
bool pages_may_skip(const struct pages *pages, unsigned int number);

/* If the API is in backoff, returns when it may be requested again. Else returns the earliest such
 * time of all pages in backoff; INT64_MAX if there are none. */
int64_t pages_next_try_ms(const struct pages *pages);

#endif
