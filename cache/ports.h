/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_PORTS_H
#define FLEETFS_CACHE_PORTS_H

/*
 * The configuration of the cache, and its ports: the functions that it calls to request pages, to
 * get times and random numbers, and to report changes. Tests have ports of their own, so they run
 * in virtual time without a network.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"

struct record;

#define FLEET_NAME_BYTES 256 /* of a name in the tree, its NUL included */

/* Limits on what the API sends. A page that would exceed the number of agents or their memory is
 * rejected. */
#define FLEET_MAX_PAGES  20000               /* highest page that is requested */
#define FLEET_MAX_AGENTS 1000000             /* known at once */
#define FLEET_MAX_BYTES  (UINT64_C(1) << 30) /* memory of all agents */

struct fleet_config {
	int64_t ttl_ms;     /* how long data is served without asking the API */
	int64_t stale_ms;   /* how long after its ttl it is served while the API fails or is slow */
	int64_t refresh_ms; /* the whole list is read this often without a reader; 0: never */
	int64_t timeout_ms; /* of a file operation; 0: none */
	unsigned int retries;         /* of a failure while readers wait (cache/backoff.h) */
	unsigned int per_page;        /* agents per page, sent with each request */
	unsigned int max_connections; /* requests in flight at once */
};

struct fleet_ports {
	void *user; /* passed to the functions below */

	/* Requests a page; numbers begin at 1. Later fleet_ingest() must be called with the
	 * response, or fleet_failed() with the failure. After fleet_ingest(), fleet_failed() must
	 * also be called if fleet_ingest() returned -ENOMEM or -EFBIG, or if the response was
	 * outdated: older than the ttl when it arrived (`old` in struct page). condition: the
	 * validator for a conditional request, whose response may have `unchanged` set instead of
	 * agents; NULL: an unconditional request. no_cache: no HTTP cache may answer. Returns 0, or
	 * -errno if there will be no result. */
	int (*request_page)(void *user, unsigned int page, const struct validator *condition,
	                    bool no_cache);

	int64_t (*now_ms)(void *user);  /* monotonic clock that counts while suspended */
	int64_t (*wall_ns)(void *user); /* wall clock, since 1970 */
	uint32_t (*random)(void *user); /* 32 random bits */

	/* Writes the name of an agent in the tree. Different ids have different names. */
	void (*name)(const char *id, char ret_name[static FLEET_NAME_BYTES]);

	/* Reports that an agent is new (before is NULL), has changed, or left (after is NULL). The
	 * agents of the first list are reported as new. Those of a page with was_missing
	 * (cache/pages.h) are not, since they may have been there before. Called before the change
	 * is applied; for the agents of a page in the page's order. After an agent left, the cache
	 * releases its own reference to the record. at_ns: wall clock when the page arrived; for an
	 * agent that left, when any page last arrived. Returns 0, or -ENOMEM: the change is then
	 * not applied, and is reported again later. May be NULL. */
	int (*changed)(void *user, const struct record *record, const struct agent *before,
	               const struct agent *after, int64_t at_ns);

	/* Reports an agent whose id occurs twice in one response, or stays on two pages. Called
	 * once per record. May be NULL. */
	void (*duplicate)(void *user, const struct record *record);
};

#endif
