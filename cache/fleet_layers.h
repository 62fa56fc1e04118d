/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_FLEET_LAYERS_H
#define FLEETFS_CACHE_FLEET_LAYERS_H

/* The fleet is the sum of the layers below it. For the files fleet*.c only. */

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
	uint64_t hits;        /* queries answered at once */
};

#endif
