/* SPDX-License-Identifier: MIT */
#include "cache/table.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_AT_FIRST 64

static size_t bucket_of(const struct table *table, uint64_t hash)
{
	/* Multiply and take the upper half: node ids are consecutive numbers, not hashes. */
	return (size_t)((hash * 0x9e3779b97f4a7c15u) >> 32) & (table->bucket_count - 1);
}

static void put(struct table *table, struct table_link *link)
{
	struct table_link **bucket = &table->buckets[bucket_of(table, link->hash)];

	link->next = *bucket;
	*bucket = link;
}

static int resize(struct table *table, size_t bucket_count)
{
	struct table old = *table;

	table->buckets = calloc(bucket_count, sizeof(*table->buckets));
	if (!table->buckets) {
		*table = old;
		return -ENOMEM;
	}
	table->bucket_count = bucket_count;
	for (size_t i = 0; i < old.bucket_count; i++) {
		for (struct table_link *at = old.buckets[i], *next; at; at = next) {
			next = at->next;
			put(table, at);
		}
	}
	free(old.buckets);
	return 0;
}

void table_done(struct table *table)
{
	free(table->buckets);
	*table = (struct table){0};
}

int table_insert(struct table *table, struct table_link *link)
{
	if (table->entry_count >= table->bucket_count) {
		size_t more = table->bucket_count ? table->bucket_count * 2 : BUCKETS_AT_FIRST;

		/* Without memory for more buckets the chains grow longer; only the first is a must.
		 */
		if (resize(table, more) < 0 && table->bucket_count == 0)
			return -ENOMEM;
	}
	put(table, link);
	table->entry_count++;
	return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
	struct table_link **at = &table->buckets[bucket_of(table, link->hash)];

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->next = NULL;
	table->entry_count--;
	/* Give memory back after a crowd has left; a quarter full, so that growth does not follow.
	 */
	if (table->bucket_count > BUCKETS_AT_FIRST && table->entry_count < table->bucket_count / 8)
		resize(table, table->bucket_count / 2);
}

static struct table_link *skip_others(struct table_link *at, uint64_t hash)
{
	while (at && at->hash != hash)
		at = at->next;
	return at;
}

struct table_link *table_first(const struct table *table, uint64_t hash)
{
	if (table->bucket_count == 0)
		return NULL;
	return skip_others(table->buckets[bucket_of(table, hash)], hash);
}

struct table_link *table_next(const struct table_link *link)
{
	return skip_others(link->next, link->hash);
}
