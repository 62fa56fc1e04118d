/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_H
#define FLEETFS_CACHE_SWEEP_H

/*
 * A sweep: a listing in the making.
 *
 * The API pages by offset. While agents come and go between two requests, agents move from page to
 * page, so one reading of all pages may have an agent twice or not at all. A sweep reads the pages
 * in order (a page that is fresh without a request), and appends each agent that its roster lacks.
 * Readers walk the roster while it grows. At the end of a pass the sweep compares the number of
 * agents with total_count, and makes another pass over all pages if they differ. An agreeing count
 * proves little, since one agent may have come for each that was missed: so an agent that was known
 * and that the passes missed causes a recheck, a pass over the pages around its last position
 * (cache/sweep_recheck.h). Pages that stay bad are skipped (cache/sweep_gaps.h).
 *
 * An agent that was never seen before and moves against the reading may still be missed. The next
 * sweep finds it.
 *
 * Above the pages and the records, below the fleet's queries. The functions of this header are for
 * the other files of this layer: cache/sweep_read.h advances a sweep, cache/sweeps.h keeps them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/pages.h"
#include "cache/records.h"
#include "cache/roster.h"
#include "cache/set.h"

struct sweep {
	struct sweep *older;
	uint64_t number; /* from 1; the upper half of a cursor */
	uint64_t began_seq;
	int64_t used_ms;      /* when it was last read from */
	unsigned int readers; /* that began to read it and have not reached its end */
	int64_t oldest_ms;    /* arrival of its oldest page; INT64_MAX: none yet */
	uint64_t oldest_seq;  /* event number of the oldest arrival; UINT64_MAX: none yet */
	int64_t expires_ms;   /* for queries that did not wait for it; INT64_MAX: no page yet */
	struct roster roster;
	bool complete;
	bool verified;    /* its first pass agreed with total_count */
	bool from_memory; /* completed with what was known, since the API failed */

	/* Pages that it does without because they stay bad. */
	struct set gaps; /* their numbers */
	size_t gap_count;
	int missing; /* -errno of the first of them: a name that is not listed may exist. 0: none */
	bool open;   /* agents of a gap are not in the roster, which ends with that error */
	bool endless; /* its last pages are gaps, and more may follow */

	/* The pass under way. A recheck is a pass over some pages only. */
	unsigned int passes; /* over all pages, this one included */
	uint64_t pass_seq;   /* event number when it began */
	int64_t pass_ms;     /* time when it began */
	struct set seen;     /* indices of the records that it read */
	unsigned int next_page;
	size_t items;        /* elements that its pages had */
	size_t unique;       /* agents on them, each once */
	size_t dropped;      /* elements that its pages dropped */
	int64_t total_count; /* as its latest page said */
	size_t skipped;      /* gaps among the pages up to next_page */
	int64_t page_size;   /* elements of a full page, as its latest page said; 0: no page yet */
	unsigned int run;    /* gaps in a row up to next_page */
	unsigned int barren; /* pages in a row without an agent new to the pass; those that have
	                        malformed elements only are not counted */
	unsigned int rechecks; /* this one included */
	bool moved;            /* agents of its pages moved while it went on */
	bool pass_read;        /* all its pages were read */
	unsigned int *again;   /* recheck: pages to read again, ascending */
	size_t again_count;
	size_t again_at;
};

/* The sweeps that are kept, and what they share. */
struct sweeps {
	struct pages *pages;     /* borrowed */
	struct records *records; /* borrowed */
	struct sweep *newest;
	uint64_t last_number;
	size_t unexplained;   /* by how much the last sweep disagreed with total_count to the end */
	uint64_t list_number; /* of the last whole sweep */
	int64_t list_ms;      /* arrival of the oldest page of the last whole sweep */

	uint64_t announced;   /* number of the sweep whose expiry was announced last */
	int64_t announced_ms; /* when an expiry was announced last */

	/* For struct fleet_health. */
	unsigned int list_pages; /* of the last whole sweep */
	bool verified;           /* likewise */
	int64_t completed_ns;    /* likewise */
	uint64_t completed, passes;
};

/* Begins a sweep, which is not in sweeps yet. NULL without memory. */
struct sweep *sweep_new(struct sweeps *sweeps);

/* Frees a sweep, which is not in sweeps any more. */
void sweep_free(struct sweep *sweep);

/* Begins a pass over sweep->again. */
void sweep_begin_pass(struct sweeps *sweeps, struct sweep *sweep);

/* Begins a pass over all pages. */
void sweep_begin_full_pass(struct sweeps *sweeps, struct sweep *sweep);

/* Frees what only a pass needs. */
void sweep_end_passes(struct sweep *sweep);

/* Whether the pass under way is the first. */
bool sweep_is_in_first_pass(const struct sweep *sweep);

/* Returns the page that the pass needs next. */
unsigned int sweep_lacks(const struct sweep *sweep);

/* Whether the pass accepts the page as it is. The first pass accepts a page that is fresh. A
 * further pass must see for itself, so it needs a page that arrived after it began, and from the
 * API rather than from an HTTP cache. */
bool sweep_may_take(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int number);

/* Removes a record whose agent left. 0 or -ENOMEM. */
int sweeps_depart(struct sweeps *sweeps, struct record *record);

/* Returns the newest sweep that is complete, or NULL. */
struct sweep *sweeps_newest_whole(const struct sweeps *sweeps);

#endif
