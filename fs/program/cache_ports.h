/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_CACHE_PORTS_H
#define FLEETFS_FS_PROGRAM_CACHE_PORTS_H

/* The ports of the cache (cache/fleet.h): clocks, randomness, requests for pages, and reports of
 * changes. */

#include <stdint.h>

#include "cache/fleet.h"

struct program;

/* Returns the ports for a program. program->client and program->ops need not exist yet: a port uses
 * them when the cache calls it. */
struct fleet_ports cache_ports(struct program *program);

/* The wall clock, in ns since 1970. */
int64_t cache_ports_wall_ns(void);

/* Random bits that need not be secret. Never waits. */
uint32_t cache_ports_random(void);

#endif
