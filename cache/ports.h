/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_PORTS_H
#define FLEETFS_CACHE_PORTS_H

/*
 * What the cache is configured with, and what it needs from outside: a source of pages, clocks and
 * random numbers. All of it is a port, so tests run in virtual time without a network.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"

struct record;

#define FLEET_NAME_BYTES 256
#define FLEET_MAX_PAGES  20000   /* that are requested, whatever the API says it has */
#define FLEET_MAX_AGENTS 1000000 /* known at once; a page that exceeds it is rejected */
#define FLEET_MAX_BYTES                                                          \
	(UINT64_C(1) << 30) /* of all agents; a page that exceeds it is rejected \
	                     */

struct fleet_config {
	int64_t ttl_ms;       /* how long data is served without asking the API */
	int64_t stale_ms;     /* how long it is served beyond that while the API fails or is slow */
	int64_t timeout_ms;   /* of a file operation; 0: none */
	unsigned int retries; /* of the first failure */
	unsigned int per_page;        /* agents that a request asks for */
	unsigned int max_connections; /* requests in flight at once */
};

struct fleet_ports {
	void *user; /* passed to the functions below */

	/* Requests a page; numbers begin at 1. Exactly one fleet_ingest() or fleet_failed()
	 * follows later. condition: validator for a conditional request, or NULL; the page may
	 * then be one that says only that it is unchanged. no_cache: no HTTP cache may answer.
	 * Returns 0, or -errno if nothing will follow. */
	int (*want)(void *user, unsigned int page, const struct validator *condition,
	            bool no_cache);

	int64_t (*now_ms)(void *user);  /* monotonic clock that counts while suspended */
	int64_t (*wall_ns)(void *user); /* since 1970 */
	uint32_t (*random)(void *user);

	/* Writes the name of an agent in the tree. Different ids have different names. */
	void (*name)(const char *id, char ret_name[static FLEET_NAME_BYTES]);

	/* Reports that an agent joined (before is NULL), changed, or left (after is NULL; its
	 * record then lives on by references only). Called before the change is applied, once per
	 * change, in the order of each page. at_ns: wall clock when its page arrived. Returns 0, or
	 * -ENOMEM: the change is then not applied, and is reported again later. May be NULL. */
	int (*changed)(void *user, const struct record *record, const struct agent *before,
	               const struct agent *after, int64_t at_ns);

	/* Reports an id that occurs twice in one response, or stays on two pages; once per record.
	 * May be NULL. */
	void (*duplicate)(void *user, const struct record *record);
};

#endif
