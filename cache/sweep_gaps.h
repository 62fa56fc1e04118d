/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_GAPS_H
#define FLEETFS_CACHE_SWEEP_GAPS_H

/*
 * Gaps: pages that a sweep skips because they stay bad (pages_may_skip()).
 *
 * A gap costs the agents of its page only, and the sweep goes on with the next page. Agents that
 * are known from the page are listed while they may be served stale. After that the listing ends
 * with the error of the gap, the -errno of the page's failure. Any other agent may be on the page
 * as well, so a name that is not listed gets the error of the first gap, not -ENOENT. An agent that
 * the sweep missed does not depart at once if it may be on the page: see sweep_may_be_in_gap() and
 * sweep_handle_missed_in_gap().
 *
 * Empty pages. The first empty page usually ends the list. But if the total_count of that page
 * counts agents behind it, the first pass goes on, for a few pages. If a later page has elements,
 * the pass reads the empty pages before it once more, and those that stay empty are gaps. If no
 * later page has elements, the list ends at the first empty page: it shrank, and total_count lags
 * or is wrong. The next sweep expects no page for this excess (`unexplained` of struct sweeps).
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/sweep.h"

/* Makes the page a gap. Returns 0 or -ENOMEM. After -ENOMEM the page is not a gap: the caller calls
 * this function again, or reads the page if the page has arrived meanwhile. */
int sweep_add_gap(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number);

/* Call this before the first pass reads a page that has elements. If the pages directly before it
 * are empty, the pass goes back once to read them again, unless the first of them has failed_empty.
 * Returns whether the pass went back. */
bool sweep_go_back_to_empty(const struct sweeps *sweeps, struct sweep *sweep);

/* Makes gaps of the empty pages that the first pass just read, if any. Call this before the pass
 * reads a page behind them that has elements, or skips one that may have some. 0, or -ENOMEM: call
 * it again. */
int sweep_skip_empty(const struct sweeps *sweeps, struct sweep *sweep);

/* Counts the run of empty pages that ends at the page that the first pass just read. */
void sweep_count_empty(struct sweep *sweep, const struct cached_page *page, unsigned int number);

/* Returns whether the first pass ends after the empty page that it just read. */
bool sweep_ends_in_empty_page(const struct sweeps *sweeps, const struct sweep *sweep,
                              const struct cached_page *page);

/* Returns the last page of the list at the end of the first pass: the last page that the pass read
 * or skipped; or, if the pass ended with empty pages, the first of them. That empty page does not
 * count as failed any more. */
unsigned int sweep_end_list(const struct sweeps *sweeps, const struct sweep *sweep);

/* Returns whether the first pass ends after the gap that was just added. Sets sweep->endless if
 * more pages may follow, but too many in a row are gaps or FLEET_MAX_PAGES is reached. Sets
 * lacks_agents if neither total_count nor an earlier list shows where the list ends. */
bool sweep_ends_in_gap(const struct sweeps *sweeps, struct sweep *sweep);

/* Returns the number of elements on the pages of the first pass so far; a gap counts as a full
 * page. */
uint64_t sweep_covered_elements(const struct sweep *sweep);

/* Returns whether total_count may be right: it is at least the number of elements on the
 * pages of the first pass. */
bool sweep_count_is_plausible(const struct sweep *sweep);

/* Returns whether the page is a gap, or behind the end of an endless list. Any number is allowed.
 */
bool sweep_is_gap(const struct sweep *sweep, unsigned int number);

/* Returns whether a record that the sweep missed may be on a gap. It may be if there is a gap, and:
 * the record was last read on a gap or next to one; or agents moved during the latest recheck; or
 * total_count is missing, not plausible, or larger than the number of agents that are listed. */
bool sweep_may_be_in_gap(const struct sweep *sweep, const struct record *record);

/* Handles a record for which sweep_may_be_in_gap() is true. Lists it while it may be served stale.
 * After that it is not listed. It departs at the earliest a minute after the end of its ttl, and
 * never while the page where it was last read is a gap. 0 or -ENOMEM. */
int sweep_handle_missed_in_gap(struct sweeps *sweeps, struct sweep *sweep, struct record *record);

/* Returns the page to request when the first pass lacks a page: the lacked one, unless the API is
 * in backoff. Then one request probes the API, for a page that has not failed itself if there is
 * one, so that a bad page is not mistaken for an API that is down. Before the second hold of the
 * API, a page that the pass has not read is preferred; later, one that it has read. last: the
 * likely last page. */
unsigned int sweep_probe(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int last);

#endif
