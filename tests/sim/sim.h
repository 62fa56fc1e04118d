/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_SIM_H
#define FLEETFS_SIM_SIM_H

/*
 * The simulator as a whole: what the API (tests/sim/api.h) and the control surface
 * (tests/sim/control.h) both act on.
 *
 * One lock covers all of it. It is taken once for each call from libmicrohttpd and for each turn of
 * the main thread's loop, so nothing below takes a lock or has to think of threads.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/fault.h"
#include "tests/sim/fleet.h"
#include "tests/sim/gate.h"
#include "tests/sim/pages.h"

#define SIM_MS_MAX (INT64_C(366) * 24 * 3600 * 1000) /* the longest period or delay */

struct sim {
	pthread_mutex_t lock;
	struct fleet *fleet;
	struct pages *pages;
	struct gate *gate;
	struct faults *faults;
	char *token;          /* accepted; heap */
	const char *jwt;      /* accepted too, or NULL */
	const char *team;     /* that a JWT has to name */
	uint64_t churn_ms;    /* between two steps; 0: none */
	int64_t next_step_ms; /* monotonic; INT64_MAX: none */
	bool shuffle;         /* each request of page 1 begins a new order */
	bool closing;         /* nothing is answered any more */
	int wake_fd;          /* eventfd: the main thread has to look at its timers again */
};

/* Steps of churn come every so many ms from now on; 0: no more. */
void sim_set_churn(struct sim *sim, uint64_t period_ms);

/* Reads a decimal number, digits only, from least to most. */
bool sim_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number);

#endif
