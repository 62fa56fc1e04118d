/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_QUERY_H
#define FLEETFS_CACHE_QUERY_H

/*
 * A question to the cache that may have to wait for the API.
 *
 * fleet_query() begins one. A function that takes a query returns -EAGAIN if it lacks a page, which
 * it has then requested. The caller repeats the call with the same query when a page arrived or
 * failed, or at wake_ms. Data that arrived after the query began answers it, however long the query
 * takes; so a reader does not starve on a ttl that is shorter than a request.
 */

#include <stdbool.h>
#include <stdint.h>

struct query {
	uint64_t began;   /* event number of the cache when the query began */
	int64_t began_ms; /* fleet_now_ms() when the query began */
	int64_t wake_ms;  /* set with -EAGAIN: repeat the call at the latest then; INT64_MAX: no
	                     need */
	bool waited;      /* it was not answered at once */
	uint64_t list; /* what fleet_whole_list() returned for it, or a later list; 0: none yet */
};

#endif
