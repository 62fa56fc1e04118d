/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_FLEET_LAYERS_H
#define FLEETFS_CACHE_FLEET_LAYERS_H

/* The members of a fleet: the layers below the queries. For the files fleet*.c only. */

#include "cache/fleet.h"
#include "cache/ingest.h"
#include "cache/pages.h"
#include "cache/records.h"
#include "cache/sweeps.h"

struct fleet {
	struct fleet_config config;
	struct fleet_ports ports;
	struct pages pages;
	struct records records;
	struct sweeps sweeps;
	struct ingest ingest; /* the response that is being ingested */
	uint64_t hits;        /* as in struct fleet_health */

	/* Refreshing, in cache/fleet_refresh.c. Zeroes at first. */
	struct query refresh; /* of the refresh under way */
	bool refresh_renews;  /* the refresh uses no page that arrived before it began; false: it
	                         reads the first list, and may use fresh pages */
	bool refreshing;      /* a refresh is under way */
	int64_t refresh_began_ms; /* when the last refresh, or the one under way, began; 0: none */
	int64_t refresh_due_ms;   /* when to begin the next one, or to continue this one */
};

/* Counts a hit if the result err answers the query and no page had to be asked for. Returns err. */
int fleet_count_hit(struct fleet *fleet, struct query *query, int err);

/* Returns refresh_ms of struct fleet_health. */
int64_t fleet_refresh_left_ms(const struct fleet *fleet);

#endif
