/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_TABLE_H
#define FLEETFS_CACHE_TABLE_H

/*
 * A hash table of things that carry their own link: no allocation per entry, and removal while one
 * is held. The owner of the things computes the hash and compares the keys:
 *
 *	for (struct table_link *at = table_first(&table, hash); at; at = table_next(at))
 *		if (same_key(TABLE_ENTRY(at, struct thing, link), key))
 *			…
 *
 * Not for keys chosen by strangers unless the hash is seeded.
 */

#include <stddef.h>
#include <stdint.h>

struct table_link {
	struct table_link *next;
	uint64_t hash;
};

struct table {
	struct table_link **buckets;
	size_t bucket_count; /* 0 or a power of two */
	size_t entry_count;
};

/* The thing around a link. */
#define TABLE_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Frees the buckets; the entries are their owner's. A zeroed table is an empty one. */
void table_done(struct table *table);

/* Adds an entry, link->hash set by the caller. 0 or -ENOMEM. Does not look for equal keys. */
int table_insert(struct table *table, struct table_link *link);

/* Removes an entry that is in the table. */
void table_remove(struct table *table, struct table_link *link);

/* The first entry with exactly this hash, or NULL. */
struct table_link *table_first(const struct table *table, uint64_t hash);

/* The next one with the same hash, or NULL. */
struct table_link *table_next(const struct table_link *link);

#endif
