/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_RECORD_H
#define FLEETFS_CACHE_RECORD_H

/*
 * What is known of one agent, and when it was read.
 *
 * A record is present as long as its agent is in the list. Anything that keeps it longer (a page, a
 * directory that the kernel knows) holds a reference. After the agent left, its record has no data
 * and never becomes present again; an agent that comes back gets a new record.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "cache/changes.h"
#include "cache/table.h"

struct record {
	struct table_link by_name; /* in struct records */
	unsigned int refs;
	uint32_t index;  /* in struct records; dense, and used again after the agent left */
	uint32_t serial; /* no two records have the same */
	const struct agent *agent; /* as last read; an empty one after it left; never NULL */
	int64_t read_ms;           /* arrival of its page minus the page's age; monotonic */
	uint64_t read_seq;         /* event number of that arrival */
	int64_t first_ns;          /* time of values that never changed: when the agent joined, or
	                              when the cache was created; wall clock */
	struct changes changes;    /* time of values that changed: when they last did */
	unsigned int page;         /* where it was last read, from 1 */
	uint32_t position;         /* among the agents of that page, from 0 */
	unsigned int other_page;   /* another page that had it too; 0: none */
	uint32_t other_position;   /* among the agents of the other page */
	uint64_t other_seq;        /* event number of the arrival when the other page had it */
	bool stays_on_two;         /* read again on both pages: a duplicate, it did not move */
	bool duplicate_reported;   /* to the port `duplicate` */
	bool present;              /* false: the agent left */
	unsigned int renewals; /* how often it was read again; moves the mtime of its directories */
	char name[];           /* in the tree, NUL-terminated */
};

/* Creates a record that is present, without references. Borrows the agent: the caller adds
 * the record's reference to it once nothing can fail any more. NULL without memory. */
struct record *record_new(const char *name, const struct agent *agent);

/* Adds a reference. */
struct record *record_ref(struct record *record);

/* Releases a reference; the last one frees the record. NULL is allowed. */
void record_unref(struct record *record);

/* Returns when a value last changed, or first_ns; wall clock. field and index: see
 * cache/changes.h. */
int64_t record_since(const struct record *record, enum agent_field_id field, uint16_t index);

#endif
