/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_H
#define FLEETFS_CACHE_SWEEP_H

/*
 * A sweep reads all pages and so builds a listing. A complete sweep is that listing.
 *
 * The API cuts its list into pages by position. When agents join or leave between two requests,
 * those behind them move from page to page, so one reading of all pages may have an agent twice or
 * not at all. The first pass of a sweep reads the pages in order, and appends each agent that the
 * roster lacks. A fresh page needs no request. Readers walk the roster while it grows. If an agent
 * seems to have been missed, further passes recheck some pages or all of them
 * (cache/sweep_recheck.h). Pages that stay bad are skipped (cache/sweep_gaps.h).
 *
 * An agent that was never seen before may still be missed, if it moves to a page that was already
 * read. The next sweep finds it.
 *
 * Above the pages and the records, below the fleet's queries. Most functions of this header are for
 * the other files of this layer: cache/sweep_read.h advances a sweep, cache/sweeps.h keeps them.
 * The queries use sweep_next_page(), sweep_may_serve_stale() and sweep_newest_complete(), too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/pages.h"
#include "cache/records.h"
#include "cache/roster.h"
#include "cache/set.h"

/* A reading of pages. */
struct pass {
	unsigned int *numbers; /* pages to read first, ascending; NULL: none */
	size_t number_count;   /* length of numbers */
	size_t count;          /* pages to read; SIZE_MAX: the end of the list is not known yet. If
	                          it exceeds number_count, the pages after the last of numbers
	                          follow. Without numbers, the pass reads from page 1 on */
	size_t at;             /* pages read or skipped so far */
	uint64_t began_seq;    /* event number when it began */
	int64_t began_ms;      /* time when it began */
	bool moved;            /* a page that it read had `moved` set (struct cached_page) */
};

struct sweep {
	struct sweep *older;
	uint64_t number;      /* from 1; the upper half of a cursor */
	uint64_t began_seq;   /* event number when it began */
	uint64_t renewed_seq; /* once set, the first pass reads only pages that arrived after this
	                         event; 0: it reads fresh pages, too */
	uint64_t oldest_seq;  /* event number of the oldest arrival; UINT64_MAX: no page yet; 0: it
	                         has a gap or came from memory */
	int64_t oldest_ms;  /* arrival of the oldest page minus its age; if no page has data, or if
	                       from_memory, that of the complete sweep before it; INT64_MAX: none */
	int64_t expires_ms; /* for queries that began after this sweep; INT64_MAX: no page yet */
	int64_t used_ms;    /* when it was last advanced or read from */
	unsigned int readers; /* readers that began to read it and have not reached its end */

	struct roster roster;
	bool complete;    /* no pass is under way */
	bool announced;   /* it is complete, and its expiry moved the mtime of the list */
	bool verified;    /* the number of agents agrees with total_count */
	bool from_memory; /* completed with what was known, because the API failed or was slow */
	/* -errno of its first gap; if from_memory, gap_err of the complete sweep before it. 0:
	 * none. */
	int gap_err;
	/* Result for a name that is not listed: gap_err. If from_memory because the API failed:
	 * -errno of that failure. If from_memory because it was slow: gap_err; or -ETIMEDOUT if
	 * gap_err is 0 and lacks_agents is set. 0: -ENOENT. */
	int missing_err;
	/* Some agents are not listed: their data is too old, or they are on a gap and not known.
	 * The listing ends with missing_err. */
	bool lacks_agents;

	struct pass pass;      /* the one under way */
	unsigned int rechecks; /* passes after the first, the one under way included */

	/* Of the first pass */
	size_t elements;   /* of its pages, agents or not */
	size_t dropped;    /* elements that are malformed or repeat an id of their page; if
	                      from_memory, those of the sweep before */
	int64_t page_size; /* elements of a full page: per_page of the latest page; the configured
	                      one if that has none */

	/* Of all passes */
	unsigned int list_pages; /* last page of the list; 0: unknown */
	int64_t total_count;     /* of the page that arrived last; AGENT_ABSENT if it has none; if
	                            from_memory, that of the sweep before */
	uint64_t count_seq;      /* event number of that arrival */
	/* Length of the run of pages, up to the page read last, that have agents but none that the
	 * roster lacked. A page without agents neither counts nor ends the run. In a recheck, each
	 * page up to list_pages begins a new run. */
	unsigned int repeating;

	/* The run of empty pages that ends at the page that the first pass read most recently */
	unsigned int empty_count;
	unsigned int empty_first; /* the first of them, if there is one */
	bool empty_again;         /* the pass went back to read them again */
	/* The first pass reads only pages that arrived after this event. It is the last event
	 * before the request for the first empty page (asked_seq); or, if the pass went back after
	 * that, the event of going back. 0: no limit. */
	uint64_t empty_seq;

	/* Pages that it skipped because they stay bad (cache/sweep_gaps.h) */
	struct set gaps;  /* their numbers */
	size_t gap_count; /* number of gaps */
	bool endless;     /* the last pages of the list are gaps, and more may follow */
};

/* The sweeps that are kept, and what they share. */
struct sweeps {
	struct pages *pages;     /* borrowed */
	struct records *records; /* borrowed */
	struct sweep *newest;
	uint64_t last_number; /* of the newest sweep */
	uint64_t unexplained; /* total_count minus sweep_expected_count() of the last sweep that was
	                         read to its end without gaps; 0 if that is negative */

	int64_t announced_ms; /* when sweeps_list_mtime_ns() last moved the mtime */

	/* For struct fleet_health. */
	int64_t completed_ns; /* when a list was last read to its end, wall clock; 0: never */
	uint64_t completed;   /* lists that were read to their end */
	uint64_t passes;      /* over all pages */
};

/* Begins a sweep, which is not in sweeps yet. NULL without memory. */
struct sweep *sweep_new(struct sweeps *sweeps);

/* Frees a sweep, which is not in sweeps any more. */
void sweep_free(struct sweep *sweep);

/* Begins a pass over these pages, and takes the array over. numbers: NULL for the first pass.
 * count: see struct pass. */
void sweep_begin_pass(struct sweeps *sweeps, struct sweep *sweep, unsigned int *numbers,
                      size_t count);

/* Marks the sweep complete, and frees what only a pass needs. */
void sweep_end_passes(struct sweep *sweep);

/* Returns page i of the pass under way. */
unsigned int sweep_pass_page(const struct sweep *sweep, size_t i);

/* Returns the number of the page that the pass under way reads next. */
unsigned int sweep_next_page(const struct sweep *sweep);

/* Returns whether the pass under way may read the page as it is. The first pass may read a page
 * that is fresh or arrived during the pass; if renewed_seq is set, only one that arrived after that
 * event. Behind an empty page it reads only a page that arrived after empty_seq, because the list
 * may have shrunk. A recheck needs a page that arrived after the recheck began, and whose data is
 * no older: no HTTP cache may have answered the request, or the age of the response proves it. */
bool sweep_may_take(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int number);

/* Notes the total_count of a page, unless a page that arrived later was noted. */
void sweep_note_count(struct sweep *sweep, const struct cached_page *page);

/* Returns the total_count that the API should report if the roster has all agents. Agents of the
 * roster that departed by a newer sweep do not count. */
uint64_t sweep_expected_count(const struct sweep *sweep);

/* Returns whether the list may be served although the API fails or is slow. NULL is allowed. */
bool sweep_may_serve_stale(const struct sweeps *sweeps, const struct sweep *sweep);

/* Returns whether a page arrived and has as many elements as a full page. */
bool sweep_page_is_full(const struct sweep *sweep, const struct cached_page *page);

/* Appends a record whose data may have expired, and lets the list expire when that data may no
 * longer be served stale. If that is so already, only sets lacks_agents. 0 or -ENOMEM. */
int sweep_append_stale(const struct sweeps *sweeps, struct sweep *sweep,
                       const struct record *record);

/* Appends the agents of a page that are present to the roster. 0 or -ENOMEM. */
int sweep_append_page(struct sweep *sweep, const struct cached_page *page);

/* Removes a record whose agent left, and its index from all rosters. 0; or -ENOMEM: it stays. */
int sweeps_depart(struct sweeps *sweeps, struct record *record);

/* Returns the newest complete sweep among this one (NULL is allowed) and older ones, or NULL. */
struct sweep *sweep_newest_complete(struct sweep *sweep);

#endif
