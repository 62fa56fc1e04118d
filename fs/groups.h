/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_GROUPS_H
#define FLEETFS_FS_GROUPS_H

/*
 * The different values that were met, in the order of their first coming, and how often each was:
 * what a folder of groups (by-status/) lists, and what a summary counts.
 *
 * Values are strangers' strings, told apart by the names that they have in the tree
 * (fs/names.h: different strings, different names).
 */

#include <stddef.h>
#include <stdint.h>

#include "cache/table.h"

#define GROUPS_MOST (1u << 20) /* further values are left out */

struct group {
	struct table_link by_name;
	size_t count;
	uint64_t first; /* where it was met first */
	char value[];
};

struct groups {
	struct table by_name;
	struct group **order;
	size_t count;
	size_t capacity;
	uint64_t list; /* of the agents that have them, as fleet_whole() tells it; the caller's */
	uint64_t seed; /* of the hashes */
};

/* No groups yet; allocates nothing. */
void groups_init(struct groups *groups, uint64_t seed);

void groups_done(struct groups *groups);

/* Counts one more of this value; where: a cursor of fleet_walk() that gives who has it. 0 or
 * -ENOMEM. */
int groups_add(struct groups *groups, const char *value, uint64_t where);

/* The group of this name in the tree; NULL: there is none. */
struct group *groups_find(const struct groups *groups, const char *name);

#endif
