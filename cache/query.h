/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_QUERY_H
#define FLEETFS_CACHE_QUERY_H

/*
 * A question to the cache that may have to wait for the API.
 *
 * fleet_query() begins one. A function that takes a query returns -EAGAIN if it has to wait for a
 * page: one that is in flight, or one that a backoff delays. The caller repeats the call with the
 * same query when a page arrived or failed, or at wake_ms. Data that arrived after the query began
 * answers it even if that data has expired meanwhile, so a reader does not starve when a request
 * takes longer than the ttl.
 */

#include <stdbool.h>
#include <stdint.h>

struct query {
	uint64_t began;   /* event number (cache/pages.h) when the query began */
	int64_t began_ms; /* fleet_now_ms() when the query began */
	int64_t wake_ms;  /* set with -EAGAIN: when to repeat the call if no page arrives or fails
	                     before; INT64_MAX: only when one does */
	bool asked;       /* it asked for a page, which may be in flight already or in backoff */
	bool counted;     /* as a hit */
	uint64_t list;    /* the list that answers it, set by fleet_whole_list(); 0: none yet.
	                     fs/reports/ sets a later list if it has a report of that one */
};

#endif
