/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_ROSTER_H
#define FLEETFS_CACHE_ROSTER_H

/*
 * The agents of a listing, in a fixed order. Agents are only appended, so a position always means
 * the same agent.
 *
 * A roster holds no references: listings are kept for a long time, and an agent that left must not
 * take memory meanwhile. Its entry remains and leads to no record.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/records.h"
#include "cache/set.h"

struct roster_entry {
	uint32_t index;  /* of the record */
	uint32_t serial; /* of the record */
};

/* A zeroed roster is empty. */
struct roster {
	struct roster_entry *entries;
	size_t count;
	size_t capacity;
	size_t present;     /* entries whose agents are present, or were so at roster_shrink() */
	struct set indices; /* indices of the records of these entries; empty after
	                       roster_shrink() */
};

/* Frees the memory; the roster is empty afterwards. */
void roster_done(struct roster *roster);

/* Appends a record unless the roster has it. 0 or -ENOMEM. */
int roster_append(struct roster *roster, const struct record *record);

/* Allocates the memory for all records that are present, so that appending any of them cannot fail.
 * 0 or -ENOMEM. */
int roster_reserve(struct roster *roster, const struct records *records);

/* Returns whether the roster has the record. */
bool roster_has(const struct roster *roster, const struct record *record);

/* Returns the first record at *position or later whose agent is present, and moves *position to it.
 * NULL at the end. */
struct record *roster_next(const struct roster *roster, const struct records *records,
                           size_t *position);

/* Removes the index of a record whose agent left, and no longer counts its entry as present.
 * Another record may get the index; roster_has() is then false for it. */
void roster_forget_index(struct roster *roster, size_t index);

/* Frees the memory that only roster_append() and roster_has() need. Neither may be called
 * afterwards. */
void roster_shrink(struct roster *roster);

/* Returns the memory that the roster takes. */
size_t roster_bytes(const struct roster *roster);

#endif
