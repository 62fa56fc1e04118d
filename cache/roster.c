/* SPDX-License-Identifier: MIT */
#include "cache/roster.h"

#include <errno.h>
#include <stdlib.h>

void roster_done(struct roster *roster)
{
	free(roster->entries);
	set_done(&roster->indices);
	*roster = (struct roster){0};
}

static int roster_grow(struct roster *roster, size_t capacity)
{
	struct roster_entry *entries = realloc(roster->entries, capacity * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	roster->entries = entries;
	roster->capacity = capacity;
	return 0;
}

int roster_append(struct roster *roster, const struct record *record)
{
	int err = 0;

	if (roster_has(roster, record))
		return 0;
	if (roster->count == roster->capacity)
		err = roster_grow(roster, roster->capacity ? roster->capacity * 2 : 128);
	if (err == 0)
		err = set_add(&roster->indices, record->index);
	if (err < 0)
		return err;
	roster->entries[roster->count++] =
		(struct roster_entry){.index = record->index, .serial = record->serial};
	roster->present++;
	return 0;
}

int roster_reserve(struct roster *roster, const struct records *records)
{
	size_t needed = roster->count;
	int err = set_reserve(&roster->indices, records->count);

	for (size_t i = 0; i < records->count; i++)
		needed += records->by_index[i] && !roster_has(roster, records->by_index[i]);
	return err == 0 && needed > roster->capacity ? roster_grow(roster, needed) : err;
}

bool roster_has(const struct roster *roster, const struct record *record)
{
	return set_has(&roster->indices, record->index);
}

struct record *roster_next(const struct roster *roster, const struct records *records,
                           size_t *position)
{
	for (; *position < roster->count; ++*position) {
		const struct roster_entry *entry = &roster->entries[*position];
		struct record *record = records_at(records, entry->index, entry->serial);

		if (record)
			return record;
	}
	return NULL;
}

void roster_forget_index(struct roster *roster, size_t index)
{
	roster->present -= set_has(&roster->indices, index);
	set_remove(&roster->indices, index);
}

void roster_shrink(struct roster *roster)
{
	struct roster_entry *entries;

	set_done(&roster->indices);
	if (roster->count == 0 || roster->count == roster->capacity)
		return;
	entries = realloc(roster->entries, roster->count * sizeof(*entries));
	if (entries) {
		roster->entries = entries;
		roster->capacity = roster->count;
	}
}

size_t roster_bytes(const struct roster *roster)
{
	return roster->capacity * sizeof(*roster->entries) +
	       roster->indices.word_count * sizeof(uint64_t);
}
