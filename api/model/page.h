/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_PAGE_H
#define FLEETFS_API_MODEL_PAGE_H

/*
 * One page of agents, from the API or from a saved list. The fetching thread (api/http/client.h)
 * fills it in and hands it over to the FUSE thread, which owns it from then on. Immutable after
 * that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"

/*
 * The validators of a response (RFC 9110), for a conditional request: the values of its ETag and
 * Last-Modified headers, or "". They are visible ASCII; last_modified also has spaces.
 */
struct validator {
	char etag[256];
	char last_modified[40];
	unsigned int token_number; /* which token the request was sent with; set by the client */
};

/* Returns whether there is an ETag or a Last-Modified. */
bool validator_is_present(const struct validator *validator);

/* An element of agent_list that was dropped, because it is not an agent or exceeds a limit. */
struct page_fault {
	const char *reason; /* static, lower case: "it is nested deeper than 32" */
	uint32_t position;  /* in agent_list of the response or the file, from 1 */
	char id[64];        /* the beginning of its agent_id, stored form; "" if it has none */
};

#define PAGE_MAX_FAULTS 8

/* One response to GET /agents, or a part of a saved one. */
struct page {
	int64_t age_ms; /* upper bound of its age when the page was made: 0 for a response that no
	                   cache stored; for a saved list the time since the file was checked */
	int64_t total_count; /* of page_meta; AGENT_ABSENT if missing or not a count */
	int64_t per_page;    /* of page_meta; AGENT_ABSENT if missing or out of range */
	size_t dropped;      /* number of dropped elements of agent_list */
	struct page_fault faults[PAGE_MAX_FAULTS]; /* the first dropped elements */
	size_t fault_count;                        /* entries in faults */
	size_t agent_count;                        /* entries in agents */
	bool unchanged; /* 304: the agents are those of the response whose validator was sent. Only
	                   age_ms, old and validator are set */
	bool old;       /* certainly older than the ttl, but not too old to use (stale) */
	struct validator validator;
	const struct agent *agents[]; /* one reference each */
};

/* Releases the page's references to agents, and frees the page. NULL is allowed. */
void page_free(struct page *page);

#endif
