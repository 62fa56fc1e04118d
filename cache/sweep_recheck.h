/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SWEEP_RECHECK_H
#define FLEETFS_CACHE_SWEEP_RECHECK_H

/*
 * What follows a pass: another pass over all pages, a recheck, or the end of the sweep.
 *
 * An agent that is known and that the sweep missed is rechecked: the pages around its last position
 * are read again. If it is missed again it has departed, unless agents of those pages moved
 * meanwhile, which proves nothing; then all pages are rechecked, MOST_RECHECKS times in all.
 */

#include "cache/sweep.h"

/* Ends a pass whose pages were all read: begins another pass, or completes the sweep. 0, or
 * -ENOMEM: call it again. */
int sweep_end_pass(struct sweeps *sweeps, struct sweep *sweep);

#endif
