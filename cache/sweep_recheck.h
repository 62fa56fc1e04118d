/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_RECHECK_H
#define FLEETFS_CACHE_SWEEP_RECHECK_H

/*
 * What follows a pass: a recheck, or the end of the sweep.
 *
 * An agent that is known and that the sweep missed is rechecked: the pages around its last position
 * are read again. If it is missed again it has departed, unless agents of those pages moved
 * meanwhile, or total_count counts more agents than are listed. Both mean that it may be anywhere,
 * so all pages are rechecked. An agent that moves to a page that was already read can be missed any
 * number of times, so after a fixed number of rechecks it departs anyway.
 *
 * The first pass reads fresh pages as they are, so its pages may be of different ages. An agent
 * that was missed may have moved to a page that arrived before the sweep began: the first recheck
 * reads such pages, too. If the list grew, it may have more pages than the first pass found: a
 * recheck continues behind a full last page.
 *
 * The first sweep does not know which agents it missed. So it rechecks all pages if total_count
 * does not agree with the number of agents. Later sweeps know which agents they missed, and do not
 * recheck because of total_count alone. A new agent that was missed appears with the next sweep.
 *
 * Measured by tests/bench/fleet_completeness.c.
 */

#include "cache/sweep.h"

/* Ends a pass whose pages were all read: begins another pass, or completes the sweep. 0, or
 * -ENOMEM: call it again. */
int sweep_end_pass(struct sweeps *sweeps, struct sweep *sweep);

#endif
