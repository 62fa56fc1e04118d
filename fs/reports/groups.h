/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_GROUPS_H
#define FLEETFS_FS_REPORTS_GROUPS_H

/*
 * The distinct values of a field in a list of agents, in the order in which they were first found,
 * and how often each was found. A directory of groups (by-status/) lists them, and a summary shows
 * the counts.
 *
 * The groups can be built again from another list. A value that is in both lists keeps its group
 * and its number, and the order of the groups does not change; groups_finish() removes the groups
 * of other values. So a listing can continue after a number (groups_after()), however the list of
 * agents changes.
 *
 * Values are strings that agents choose. The name of a group is name_encode() of its value, so
 * different values have different names (fs/tree/names.h). A group is looked up by its name.
 */

#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/table.h"

#define GROUPS_MAX (1u << 20) /* further values are ignored */

struct group {
	struct table_link by_name;
	uint64_t number; /* from 1, in the order in which values were first found; never reused */
	uint64_t list;   /* the last list that has the value */
	struct record *first; /* the first agent of that list that has it; a reference, or NULL */
	size_t count;         /* calls of groups_add() with the value for that list */
	char value[];
};

struct groups {
	struct table by_name;
	struct group **order; /* by number, unless it has a heap: see groups_heap_push() */
	size_t count;
	size_t capacity;
	size_t bytes;    /* memory of the groups themselves */
	uint64_t number; /* the highest number of a group so far */
	uint64_t seed;   /* of the hashes */

	/* Set by the caller */
	uint64_t list; /* the list from which the groups are built */
	int absent;    /* result of looking up a name without a group: -ENOENT, or the -errno of a
	                  page that the list lacks */
	int end;       /* result at the end of a listing: 0, or the -errno of such a page */
};

/* Makes an empty set of groups; allocates nothing. seed: random bits. */
void groups_init(struct groups *groups, uint64_t seed);

/* Frees all groups. More can be added afterwards; their numbers continue. */
void groups_done(struct groups *groups);

/* Ends building: removes the groups that were neither added nor expected for groups->list. */
void groups_finish(struct groups *groups);

/*
 * A heap for sorting groups by value one by one, since qsort() of many groups takes too long for a
 * slice. It is the part of groups->order that begins at position `first`. Its root is the group
 * with the lowest value. groups_after() and groups_finish() must not be called for these groups.
 */

/* Adds the last group of groups->order to the heap, which has all others from `first` on. */
void groups_heap_push(struct groups *groups, size_t first);

/* Takes the root from the heap, which ends before position `end`, and moves it to position end - 1,
 * before which the heap then ends. Returns the group. The heap must not be empty. */
struct group *groups_heap_pop(struct groups *groups, size_t first, size_t end);

/* The position in groups->order of the first group with a higher number; groups->count: none. */
size_t groups_after(const struct groups *groups, uint64_t number);

/* Adds a value of an agent: makes its group if it is new, and counts it. record: of the agent, for
 * group->first; may be NULL. Returns 0 or -ENOMEM. */
int groups_add(struct groups *groups, const char *value, struct record *record);

/* Makes the group of a value, without counting it: groups_finish() keeps it even if no agent has
 * the value. Returns 0 or -ENOMEM. */
int groups_expect(struct groups *groups, const char *value);

/* The group with this name, or NULL. */
struct group *groups_find(const struct groups *groups, const char *name);

#endif
