/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_CONTROL_H
#define FLEETFS_SIM_CONTROL_H

/*
 * The control surface: what a test tells the simulator to do, and asks it, under /_sim/.
 *
 * Made for curl: no authorization, numbers in the query, plain text or JSON as the answer, 400 with
 * a sentence for a mistake. What there is stands in one table in control.c, which is also the
 * answer to an unknown path. README.md describes it.
 */

#include "tests/sim/sim.h"

#define CONTROL_PREFIX "/_sim/"

/* Answers a request for a path that begins with the prefix. The result is for libmicrohttpd. The
 * caller holds the lock. */
enum MHD_Result control_answer(struct sim *sim, struct MHD_Connection *connection,
                               const char *method, const char *path, const char *body,
                               size_t body_bytes);

#endif
