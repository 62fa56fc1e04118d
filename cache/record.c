/* SPDX-License-Identifier: MIT */
#include "cache/record.h"

#include <stdlib.h>
#include <string.h>

struct record *record_new(const char *name, const struct agent *agent)
{
	size_t name_bytes = strlen(name) + 1;
	struct record *record = calloc(1, sizeof(*record) + name_bytes);

	if (!record)
		return NULL;
	record->agent = agent;
	record->present = true;
	memcpy(record->name, name, name_bytes);
	return record;
}

struct record *record_ref(struct record *record)
{
	record->refs++;
	return record;
}

void record_unref(struct record *record)
{
	if (!record || --record->refs > 0)
		return;
	agent_unref(record->agent);
	changes_done(&record->changes);
	free(record);
}

int64_t record_since(const struct record *record, enum agent_field_id field, uint16_t index)
{
	return changes_since(&record->changes, field, index, record->first_ns);
}
