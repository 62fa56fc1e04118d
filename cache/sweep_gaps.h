/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_GAPS_H
#define FLEETFS_CACHE_SWEEP_GAPS_H

/*
 * Gaps: pages that a sweep does without because they stay bad (pages_may_skip()).
 *
 * A bad page costs its own agents only. The sweep skips it and goes on with the next one. Agents
 * that are known from the page are listed while they may be served stale; after that the listing
 * ends with the page's error. Any other agent may be on the page as well, so no name is denied. An
 * agent that the sweep missed has not departed if it was last seen next to the gap, or if the API
 * counts more agents than are listed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/sweep.h"

/* Makes the page a gap. 0, or -ENOMEM: call it again. */
int sweep_add_gap(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number);

/* Returns whether the list ends, as far as is known, with the gap that was added last. */
bool sweep_ends_in_gap(const struct sweeps *sweeps, struct sweep *sweep);

/* Returns the elements of the pages of the first pass so far; a gap counts as a full page. */
uint64_t sweep_covered_items(const struct sweep *sweep);

/* Returns whether the page is a gap. Any number is allowed. */
bool sweep_is_gap(const struct sweep *sweep, unsigned int number);

/* Returns whether a record that the sweep missed may be on a gap: it was last read next to a gap,
 * or the API counts more agents than are listed. */
bool sweep_may_be_in_gap(const struct sweep *sweep, const struct record *record);

/* Handles such a record: lists it while it may be served stale, then retains it without listing it.
 * One that was last read on another page departs in the end. 0 or -ENOMEM. */
int sweep_keep_missed(struct sweeps *sweeps, struct sweep *sweep, struct record *record);

/* Returns the page to request when the first pass needs a page. That is this page, except while the
 * API is failing: then it is a page that has not failed itself, if there is one, so that a bad page
 * is not mistaken for an API that is down. The first probe is a page that was not read yet; after
 * that has failed too, the next probe is one that was read. last: the likely last page. */
unsigned int sweep_probe(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int last);

#endif
