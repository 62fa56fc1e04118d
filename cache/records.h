/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_RECORDS_H
#define FLEETFS_CACHE_RECORDS_H

/*
 * The agents that are known: a record for each, found by name or by index.
 *
 * Above the pages, below the sweeps. An agent is added when a page has it (cache/ingest.h) and
 * departs when a sweep has shown that it left.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/pages.h"
#include "cache/record.h"
#include "cache/table.h"

struct records {
	struct pages *pages; /* borrowed */

	struct table by_name;
	uint64_t hash_seed;       /* of by_name: agents choose their names */
	struct record **by_index; /* references; NULL: free */
	uint32_t *free_indices;
	size_t free_count;
	size_t count;           /* number of indices, in use or free */
	size_t capacity;        /* of by_index and of free_indices */
	size_t present;         /* number of agents that are present */
	uint64_t agent_bytes;   /* memory of these agents */
	uint32_t last_serial;   /* of the newest record */
	struct agent *departed; /* empty; replaces the agent of a record whose agent left */

	bool list_known;        /* fleet_list_is_known(): agents that are found later have joined,
	                           except those of pages with was_missing */
	int64_t started_ns;     /* wall clock when the cache was created */
	int64_t names_mtime_ns; /* when the set of names last changed, without additions before
	                           list_known; started_ns: never. Each move by
	                           sweeps_list_mtime_ns() since then adds 1 ns */

	/* Counters for struct fleet_health. */
	uint64_t duplicates, malformed, unchanged;
};

/* pages is borrowed. 0 or -ENOMEM. */
int records_init(struct records *records, struct pages *pages);

/* Releases the references to all records, and frees the rest. */
void records_done(struct records *records);

/* Returns the record of the agent with this name in the tree, or NULL. */
struct record *records_find(const struct records *records, const char *name);

/* Returns the record that has this index and serial, or NULL if its agent left. */
struct record *records_at(const struct records *records, uint32_t index, uint32_t serial);

/* Adds an agent that is not known, and takes a reference to it. report: report it to the port
 * `changed`. If so, and if a whole list is known, its values have the time at_ns; otherwise it may
 * have been in the list before, and they have the time of the mount. name: in the tree. at_ns: wall
 * clock when its page arrived. Returns 0 and a borrowed record; -EFBIG beyond a limit; or -ENOMEM.
 */
int records_add(struct records *records, const struct agent *agent, const char *name, bool report,
                int64_t at_ns, struct record **ret_record);

/* Gives a record the agent's new data. at_ns: wall clock when its page arrived. 0; or -EFBIG or
 * -ENOMEM: the record keeps the old data. */
int records_update(struct records *records, struct record *record, const struct agent *agent,
                   int64_t at_ns);

/* Removes a record whose agent left, and reports that. 0; or -ENOMEM: the record stays. */
int records_depart(struct records *records, struct record *record);

#endif
