/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_H
#define FLEETFS_CACHE_SWEEP_H

/*
 * Inside of the cache: the fleet's own structures, and the sweep, which is most of its cleverness
 * (the idea is told in fleet.h). Included by the files of cache/ only.
 */

#include "cache/backoff.h"
#include "cache/fleet.h"
#include "cache/set.h"
#include "cache/table.h"

/* Time is counted twice: in milliseconds for expiry, and in events (arrivals, looks and passes
 * beginning) for before and after, since much happens within one millisecond. */
struct fleet_page {
	struct record **records; /* each once, in the API's order; references */
	size_t count;
	size_t items;     /* elements that the answer had, duplicates and malformed ones included */
	size_t malformed; /* of items */
	size_t repeated;  /* of them, dropped */
	int64_t total_count;  /* as the answer said; AGENT_ABSENT */
	int64_t per_page;     /* as the answer said; AGENT_ABSENT */
	int64_t arrived_ms;   /* less the age that it came with */
	uint64_t arrived_seq; /* 0: never */
	int64_t asked_ms;
	uint64_t asked_seq;
	uint64_t asked_failures; /* fleet->noted when it was asked for */
	bool moved; /* it brought other agents, or in another order, than the time before */
	bool in_flight;
	bool asked_no_cache;
	bool no_cache;              /* how what came last was asked for */
	bool bad;                   /* it fails although the API answers for other pages */
	bool served_stale;          /* in flight, and expired data was served meanwhile */
	struct backoff backoff;     /* the backoff of this page */
	uint64_t failed_seq;        /* when it failed last */
	struct validator validator; /* that it came with, or "" */
};

/* An agent's place in a listing. No reference: listings are kept for long, and an agent that has
 * left must not take memory meanwhile. */
struct seat {
	uint32_t index; /* of its record */
	uint32_t serial;
};

struct sweep {
	struct sweep *older;
	uint64_t number; /* from 1; the upper half of a cursor */
	uint64_t began_seq;
	int64_t used_ms;      /* when it was last read from */
	unsigned int readers; /* that began to read it and have not reached its end */
	int64_t oldest_ms;    /* arrival of its oldest page; INT64_MAX: none yet */
	uint64_t oldest_seq;  /* the same, counted; UINT64_MAX: none yet */
	int64_t good_ms;    /* until then it serves who did not wait for it; INT64_MAX: as above */
	struct seat *order; /* the listing: only grows */
	size_t count;
	size_t capacity;
	struct set in; /* the records in order, by their index */
	bool complete;
	bool verified;
	bool from_memory; /* completed with what was known, since the API failed */

	/* Pages that it does without because they stay bad (cache/gaps.c). */
	struct set gaps; /* their numbers */
	size_t gap_count;
	int missing; /* -errno of the first of them: a name that is not listed may exist. 0: none */
	bool open;   /* agents of a gap are not in the listing, which ends with that error */
	bool endless; /* its last pages are gaps, and more may follow */

	/* The pass under way. A second look is a pass over some pages only. */
	unsigned int passes; /* over all pages, this one included */
	uint64_t pass_seq;   /* when it began */
	int64_t pass_ms;     /* likewise */
	struct set seen;     /* records, by their index */
	unsigned int next_page;
	size_t items;        /* elements that its pages had */
	size_t unique;       /* agents on them, each once */
	size_t repeated;     /* elements that its pages had dropped */
	int64_t total_count; /* as its latest page said */
	size_t skipped;      /* gaps among the pages up to next_page */
	int64_t page_size;   /* elements of a full page, as its latest page said; 0: no page yet */
	unsigned int run;    /* gaps in a row up to next_page */
	unsigned int barren; /* pages in a row without an agent new to the pass; those that have
	                        malformed elements only are not counted */
	unsigned int looks;  /* passes for those who were missed, this one included */
	bool stirred;        /* pages moved while it went on */
	bool pass_read;      /* it has all its pages; what comes of them is still to be found out */
	unsigned int *again; /* second look: pages to read again, ascending */
	size_t again_count;
	size_t again_at;
};

/* A page that is being taken in, some agents at a time. Until it is, it counts as on its way. */
struct arriving {
	unsigned int number;
	struct page *page; /* NULL: none */
	uint64_t seq;
	int64_t at_ms; /* when it came, less its age */
	size_t next;   /* of its agents */
	size_t repeated;
	struct record **records; /* references */
	size_t count;
};

struct fleet {
	struct fleet_config config;
	struct fleet_ports ports;
	uint64_t seq;       /* the count of events */
	uint64_t flush_seq; /* what arrived before has been declared expired */
	uint64_t hash_seed;

	struct table by_name;
	struct record **records; /* by index; NULL: free */
	uint32_t *free_indices;
	size_t record_count; /* indices in use or free */
	size_t free_count;
	size_t record_capacity;
	size_t present;
	uint32_t met;         /* records so far */
	struct agent *nobody; /* what a record has for its agent once that left */
	uint64_t agent_bytes; /* that those present take */

	struct fleet_page *pages; /* page n is pages[n - 1] */
	unsigned int page_count;
	unsigned int last_page; /* that the fleet is known to have */
	unsigned int in_flight;

	struct sweep *sweeps; /* newest first */
	uint64_t sweep_number;
	size_t unexplained;   /* by how much the last sweep disagreed with total_count to the end */
	uint64_t list_number; /* of the last whole sweep */
	int64_t list_ms;      /* arrival of the oldest page of the last whole sweep */

	int64_t names_ns;          /* when the set of names last changed */
	int64_t names_bump;        /* expiries announced since */
	uint64_t names_bumped_for; /* sweep whose expiry was announced last */
	int64_t names_bumped_ms;   /* when */
	int64_t mounted_ns;

	struct arriving arriving;
	int64_t arrival_ns; /* when a page last came: what is seen of late was first seen then */

	struct backoff backoff;     /* of the API as a whole */
	int64_t success_ms;         /* when a page last arrived, if one did */
	uint64_t success_seq;       /* the same, counted; 0: never */
	uint64_t noted;             /* its failures noted */
	unsigned int suspect;       /* the page that failed since then; 0: none */
	unsigned int backed_off;    /* pages with a backoff */
	unsigned int bad_pages;     /* pages that are bad */
	unsigned int stale_pages;   /* pages with served_stale */
	struct failure failure;     /* the last one, of whatever kind */
	struct fleet_health health; /* the counters in it; the rest is filled in on demand */
};

/* fleet.c */

/* Whether something that was read then may be served now. */
bool fleet_fresh(const struct fleet *fleet, int64_t read_ms, uint64_t read_seq);

/* The page's place, made if need be; NULL without memory or beyond FLEET_MAX_PAGES. May move all
 * pages. */
struct fleet_page *fleet_page(struct fleet *fleet, unsigned int number);

/* Wants a page for a look, unless it is on its way or the failure of late forbids it. past_caches:
 * no cache on the way is to answer, as none is for what was expired by hand. -EAGAIN, or -errno of
 * that failure. */
int fleet_ask(struct fleet *fleet, unsigned int number, bool no_cache, struct query *query);

/* Whether the agents of a page, or an agent, that was read then may still be served although a
 * refresh fails or is slow. */
bool fleet_may_serve_stale(const struct fleet *fleet, int64_t read_ms);

/* The set of names is another than before. */
void fleet_names_changed(struct fleet *fleet);

/* arrival.c */

/* Who sits there; NULL: it has left. */
struct record *fleet_seated(const struct fleet *fleet, struct seat seat);

/* Who has this name in the tree now, or NULL. */
struct record *fleet_named(const struct fleet *fleet, const char *name);

/* The agent has left. 0, or -ENOMEM: it has not yet. */
int fleet_depart(struct fleet *fleet, struct record *record);

/* The list was found to have so many pages; what is known of further ones is dropped. */
void fleet_forget_pages(struct fleet *fleet, unsigned int last_page);

/* As if it had never come. */
void fleet_page_reset(struct fleet_page *page);

bool fleet_page_is_intact(const struct fleet_page *page, unsigned int number);

/* What is being taken in is given up. */
void fleet_arriving_done(struct fleet *fleet);

/* backoff.c: which backoff a failure counts for, that of its page or that of the API. trouble.h is
 * one backoff, and how long it lasts. */

/* The page is asked for again without a delay. */
void fleet_page_recovers(struct fleet *fleet, struct fleet_page *page);

/* A page has arrived: the API answers again, and this page is not bad. */
void fleet_page_answers(struct fleet *fleet, struct fleet_page *page);

/* The page is no longer in flight, since it arrived or failed. Returns whether the reply counts:
 * one to a request from before fleet_expire() does not. */
bool fleet_page_landed(struct fleet *fleet, struct fleet_page *page);

/* Expired data was served because this page, or another one in flight, is slow. */
void fleet_served_stale(struct fleet *fleet, unsigned int number);

/* sweep.c */

/* The newest sweep, if it may still serve this look; else a new one. remembered_too: even if it was
 * completed from memory, which is good enough for a listing, but proves no absence. NULL without
 * memory. */
struct sweep *sweep_for(struct fleet *fleet, const struct query *query, bool remembered_too);

/* The sweep of this number, or NULL if it is forgotten. */
struct sweep *sweep_find(struct fleet *fleet, uint64_t number);

/* Whether a complete or unfinished sweep is fresh enough for this look. */
bool sweep_serves(const struct fleet *fleet, const struct sweep *sweep, const struct query *query);

/* Adds a record to the end of the listing, unless it has it. 0 or -ENOMEM. */
int sweep_append(struct sweep *sweep, struct record *record);

/* The page that it lacks next, from 1. */
unsigned int sweep_lacks(const struct sweep *sweep);

/* Takes in every page that it can. 0, or -ENOMEM. */
int sweep_advance(struct fleet *fleet, struct sweep *sweep);

/* Wants the pages that it lacks next: as many at once as the reader's progress suggests. -EAGAIN,
 * or -errno of a failure. */
int sweep_ask(struct fleet *fleet, struct sweep *sweep, struct query *query);

/* Completes it with all that is known, in the order of the sweep before it. 0, or -ENOENT when
 * there is nothing that may still be served, or -ENOMEM. */
int sweep_remember(struct fleet *fleet, struct sweep *sweep);

/* A record of this index has left, and its index goes to another: no listing has that one. */
void sweep_reuse_index(struct fleet *fleet, size_t index);

/* An agent was met for the first time outside of any sweep: the newest listing gains it. */
int sweep_add_newcomer(struct fleet *fleet, struct record *record);

/* Frees a sweep that is not in fleet->sweeps any more. */
void sweep_free(struct sweep *sweep);

void sweep_free_all(struct fleet *fleet);

/* listings.c: which sweeps are kept for readers that go on in them. */

/* Forgets the listings that are needed least, as far as all together take too much memory. A cursor
 * of a forgotten listing gets -ESTALE. */
void listings_forget(struct fleet *fleet);

/* A reader got the first entry, or asked for more and got the end. A reader that never asks again
 * is counted for ever, which only makes its listing one of the last to be forgotten. */
void listing_count_reader(struct sweep *sweep, bool begins, bool ends);

/* gaps.c: pages that a sweep does without because they stay bad. */

/* Whether the sweep is to go on without this page, which it lacks: the page is bad, its retries are
 * used up, and the API answers. */
bool sweep_may_skip(const struct fleet *fleet, unsigned int number);

/* Goes on without a page. Its agents are listed as long as they may be served stale. 0, or -ENOMEM:
 * to be called again. */
int sweep_skip(struct fleet *fleet, struct sweep *sweep, unsigned int number);

/* Whether the list ends, as far as is known, with the gap that was skipped last. */
bool sweep_ends_in_gap(const struct fleet *fleet, struct sweep *sweep);

/* Elements of the pages up to next_page; of a gap as many as a full page has. */
uint64_t sweep_covered(const struct fleet *fleet, const struct sweep *sweep);

/* Whether the page is a gap of the sweep. */
bool sweep_is_gap(const struct sweep *sweep, unsigned int number);

/* Whether a record that the sweep has missed may be on a page that it did without: it was last seen
 * next to that page, or the API counts more agents than are listed so far. */
bool sweep_may_be_in_gap(const struct sweep *sweep, const struct record *record);

/* Keeps such a record: in the listing as long as it may be served stale, then known but not listed.
 * One that was last seen on another page leaves in the end. 0 or -ENOMEM. */
int sweep_keep(struct fleet *fleet, struct sweep *sweep, struct record *record);

/* The page to ask for when the sweep lacks next_page. That is next_page, except while the API is
 * failing: then it is a page that has not failed itself, if there is one, so that a bad page does
 * not pass for an API that is down. At first that is a page that is not read yet, and after that
 * has failed too one that was read. last_page: the last page there seems to be. */
unsigned int sweep_probe(const struct fleet *fleet, const struct sweep *sweep,
                         unsigned int last_page);

#endif
