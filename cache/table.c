/* SPDX-License-Identifier: MIT */
#include "cache/table.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_BUCKETS 64

static size_t table_bucket(const struct table *table, uint64_t hash)
{
	/* Multiply and use the upper half: node IDs are consecutive numbers, not hashes. */
	return (size_t)((hash * 0x9e3779b97f4a7c15u) >> 32) & (table->bucket_count - 1);
}

static void table_put(struct table *table, struct table_link *link)
{
	struct table_link **bucket = &table->buckets[table_bucket(table, link->hash)];

	link->next = *bucket;
	*bucket = link;
}

static int table_resize(struct table *table, size_t bucket_count)
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
			table_put(table, at);
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
		size_t more = table->bucket_count ? table->bucket_count * 2 : FIRST_BUCKETS;

		/* Only the first buckets are indispensable: without more the chains get longer. */
		if (table_resize(table, more) < 0 && table->bucket_count == 0)
			return -ENOMEM;
	}
	table_put(table, link);
	table->entry_count++;
	return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
	struct table_link **at = &table->buckets[table_bucket(table, link->hash)];

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->next = NULL;
	table->entry_count--;
	/* Free memory after many entries left. The table is then a quarter full, so that the next
	 * entries do not make it grow at once. */
	if (table->bucket_count > FIRST_BUCKETS && table->entry_count < table->bucket_count / 8)
		table_resize(table, table->bucket_count / 2);
}

static struct table_link *table_skip_others(struct table_link *at, uint64_t hash)
{
	while (at && at->hash != hash)
		at = at->next;
	return at;
}

struct table_link *table_first(const struct table *table, uint64_t hash)
{
	if (table->bucket_count == 0)
		return NULL;
	return table_skip_others(table->buckets[table_bucket(table, hash)], hash);
}

struct table_link *table_next(const struct table_link *link)
{
	return table_skip_others(link->next, link->hash);
}
