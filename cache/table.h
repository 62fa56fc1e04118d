/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_TABLE_H
#define FLEETFS_CACHE_TABLE_H

/*
 * A hash table of entries that embed their link, so an entry needs no allocation and can be removed
 * while the caller holds it. The owner of the entries computes the hash and compares the keys:
 *
 *	for (struct table_link *at = table_first(&table, hash); at; at = table_next(at))
 *		if (same_key(TABLE_ENTRY(at, struct thing, link), key))
 *			…
 *
 * Use a seeded hash if outsiders choose the keys.
 */

#include <stddef.h>
#include <stdint.h>

struct table_link {
	struct table_link *next;
	uint64_t hash;
};

/* A zeroed table is empty. */
struct table {
	struct table_link **buckets;
	size_t bucket_count; /* 0 or a power of two */
	size_t entry_count;
};

/* The entry that embeds a link. */
#define TABLE_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Frees the buckets, but not the entries. */
void table_done(struct table *table);

/* Adds an entry whose link->hash is set. Does not check for equal keys. 0 or -ENOMEM. */
int table_insert(struct table *table, struct table_link *link);

/* Removes an entry that is in the table. */
void table_remove(struct table *table, struct table_link *link);

/* Returns the first entry with exactly this hash, or NULL. */
struct table_link *table_first(const struct table *table, uint64_t hash);

/* Returns the next entry with the same hash, or NULL. */
struct table_link *table_next(const struct table_link *link);

#endif
