/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_RECORD_H
#define FLEETFS_CACHE_RECORD_H

/*
 * What is known of one agent, and when it was read. A record lives as long as its agent is in the
 * list; whoever keeps one longer (a page, a folder that the kernel knows) holds a reference. After
 * the agent has left, its record only says so: one that comes back is a new record.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "cache/changes.h"
#include "cache/table.h"

struct record {
	struct table_link by_name; /* in the fleet's table */
	unsigned int refs;
	uint32_t index;  /* dense: below the fleet's count of records, no other record has it */
	uint32_t serial; /* of all that had this index, none other had this */
	const struct agent *agent; /* as last read; an empty one when it left; never NULL */
	int64_t read_ms;           /* when the page it was read on arrived; monotonic */
	uint64_t read_seq;         /* the same, in the fleet's count of arrivals */
	int64_t first_ns;          /* the age of what it had when first seen; wall clock */
	struct changes changes;
	unsigned int page;  /* on which it was last seen, from 1 */
	uint32_t position;  /* among the elements of that page, from 0 */
	uint64_t other_seq; /* when another page had it too, in the fleet's count of arrivals */
	unsigned int other_page; /* that page; 0: none */
	uint32_t other_position; /* on that page */
	bool doubled;            /* it stayed on both pages: it does not just move */
	unsigned int renewals;   /* how often it was read again */
	bool present;            /* false: it left the list */
	bool told_duplicate;     /* the port `duplicate` was called for it */
	char name[];             /* as the tree shows it, NUL-terminated */
};

/* A record without references, present, agent's reference taken over. NULL without memory (agent
 * is then still the caller's). */
struct record *record_new(const char *name, const struct agent *agent);

struct record *record_ref(struct record *record);

/* NULL is fine. */
void record_unref(struct record *record);

/* Since when a value is as it is (cache/changes.h); wall clock. */
int64_t record_since(const struct record *record, enum agent_field_id field, uint16_t index);

#endif
