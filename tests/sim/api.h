/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_API_H
#define FLEETFS_SIM_API_H

/*
 * The simulated API: GET /api/v1/agents and the same at /api/v1/r/agents, as strict as its
 * reference.
 *
 * A token is good when it is the simulator's. `ak-…` never is; one that begins with `eyJ` is a JWT,
 * which needs X-Team-ID (400 without, 403 with another team) and is no use at /r/agents (403); any
 * other is sent alone, and X-Team-ID is ignored.
 */

#include "tests/sim/sim.h"

/*
 * Answers a request that is not for the control surface, or parks it and will be called again. The
 * result is for libmicrohttpd. The caller holds the lock.
 */
enum MHD_Result api_answer(struct sim *sim, struct request *request, const char *method,
                           const char *path);

#endif
