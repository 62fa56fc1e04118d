/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_GROUPS_H
#define FLEETFS_FS_REPORTS_GROUPS_H

/*
 * The different values that were met, in the order of their first coming, and how often each was:
 * what a folder of groups (by-status/) lists, and what a summary counts.
 *
 * They may be met anew, in another list of agents: those that are met again stay the groups that
 * they are, with their number, and in their order; the others go in the end (groups_end()). So a
 * number means one place in a listing, whatever became of the list meanwhile.
 *
 * Values are strangers' strings, told apart by the names that they have in the tree
 * (fs/tree/names.h: different strings, different names).
 */

#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/table.h"

#define GROUPS_MOST (1u << 20) /* further values are left out */

struct group {
	struct table_link by_name;
	uint64_t number; /* from 1, in the order in which values were first met; never reused */
	uint64_t list;   /* the last list in which it was met */
	struct record *first; /* the first agent that had it in that list: a reference, or NULL */
	size_t count;         /* how often it was met in that list; 0: groups_expect() only */
	char value[];
};

struct groups {
	struct table by_name;
	struct group **order; /* by their numbers */
	size_t count;
	size_t capacity;
	size_t bytes;    /* memory of the groups */
	uint64_t list;   /* that they are being met in; the caller's, for groups_end() another each
	                    time */
	uint64_t number; /* the last one given */
	int absent; /* set by the caller: the result of looking up any other name: -ENOENT, or the
	               -errno of a page that the list lacks */
	int end;    /* set by the caller: the result at the end of a listing: 0 or -errno */
	uint64_t seed; /* of the hashes */
};

/* No groups yet; allocates nothing. */
void groups_init(struct groups *groups, uint64_t seed);

/* As after groups_init(), but that no number comes again. */
void groups_done(struct groups *groups);

/* All of groups->list have been met: who was not in it goes. */
void groups_end(struct groups *groups);

/* The position in the order of the first one after this number. */
size_t groups_after(const struct groups *groups, uint64_t number);

/* Counts a value once. record: the agent that has it, or NULL. Returns 0 or -ENOMEM. */
int groups_add(struct groups *groups, const char *value, struct record *record);

/* Makes a group exist in groups->list, even if no agent has its value. Returns 0 or -ENOMEM. */
int groups_expect(struct groups *groups, const char *value);

/* The group of this name in the tree; NULL: there is none. */
struct group *groups_find(const struct groups *groups, const char *name);

#endif
