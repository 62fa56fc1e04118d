/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_REPORT_WORLD_H
#define FLEETFS_TESTS_UNIT_REPORT_WORLD_H

/* A fleet whose list is one page, in virtual time, for tests of reports and views. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/tree/status.h"

#define WORLD_SEED       12345
#define WORLD_TTL_MS     10000
#define WORLD_MAX_AGENTS 3000
#define WORLD_WALL_NS    INT64_C(1700000000000000000) /* when now_ms is 0 */

struct report_world {
	struct fleet *fleet;
	struct status status; /* of the fleet */
	int64_t now_ms;
	unsigned int wanted;   /* pages that were wanted and have not arrived */
	unsigned int arrivals; /* pages that have arrived */

	/* The agents of the API. They are m0, m1, …, and idle. */
	size_t count;
	const char *first_status; /* of m0 */
	bool own_statuses;        /* each agent has a status of its own instead, … */
	int status_bytes;         /* … which is at least so long */
	bool json_is_too_long;    /* for a report */
	bool rows_are_mixed;      /* some rows are owned and some borrowed; else all are owned */
};

extern struct report_world world;

/* Creates a world with so many agents. */
void world_begin(size_t count);

void world_end(void);

/* The page arrives. */
void world_bring(void);

/* The cursor of the whole list, which arrives if the last one has expired. */
uint64_t world_list(void);

#endif
