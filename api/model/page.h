/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_PAGE_H
#define FLEETFS_API_MODEL_PAGE_H

/* The model: one page of agents, as the API or a saved list returned it. Immutable once decoded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"

/* By what an answer can be recognised when it is asked for again: the ETag and Last-Modified of RFC
 * 9110, as they came; "" where there is none. Visible ASCII, and spaces in the latter. */
struct validator {
	char etag[256];
	char last_modified[40];
	unsigned int token_number; /* with which it came; the client's */
};

bool validator_is_there(const struct validator *validator);

/* An element of agent_list that was dropped. */
struct page_fault {
	const char *reason; /* static, lower case: "it is nested deeper than 32" */
	uint32_t position;  /* in agent_list of the response or the file, from 1 */
	char id[64];        /* the beginning of its agent_id, stored form; "" if it has none */
};

#define PAGE_MAX_FAULTS 8

/* One answer of GET /agents, or a part of a saved one. */
struct page {
	int64_t age_ms;      /* how old it may be when handed over; 0 for the API's own answer */
	int64_t total_count; /* as page_meta says; AGENT_ABSENT when it says nothing usable */
	int64_t per_page;    /* as page_meta says; AGENT_ABSENT likewise */
	size_t malformed;    /* elements of agent_list that are no agent, and were dropped */
	struct page_fault faults[PAGE_MAX_FAULTS]; /* the first elements that were dropped */
	size_t fault_count;                        /* entries in faults */
	size_t agent_count;
	bool unchanged; /* what came last time is still so; nothing but the age and the validator of
	                   this page counts */
	bool old;       /* it is older than the ttl for sure, and there was no other to be had */
	struct validator validator;
	const struct agent *agents[]; /* one reference each */
};

/* Gives the page and its references back. NULL is fine. */
void page_free(struct page *page);

#endif
