/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_SET_H
#define FLEETFS_CACHE_SET_H

/* A set of small numbers. It takes one bit for each number up to the largest that was added. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed set is empty. */
struct set {
	uint64_t *words;
	size_t word_count;
};

/* Frees the memory; the set is empty afterwards. */
void set_done(struct set *set);

/* Whether the set contains the number. */
bool set_has(const struct set *set, size_t number);

/* Adds a number, which may be in the set already. 0 or -ENOMEM. */
int set_add(struct set *set, size_t number);

/* Allocates the memory for all numbers up to this one, so that adding them cannot fail. 0 or
 * -ENOMEM. */
int set_reserve(struct set *set, size_t number);

/* Removes a number, which need not be in the set. */
void set_remove(struct set *set, size_t number);

#endif
