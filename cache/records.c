/* SPDX-License-Identifier: MIT */
#include "cache/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int records_init(struct records *records, struct pages *pages)
{
	const struct fleet_ports *ports = pages->ports;

	*records = (struct records){.pages = pages};
	records->departed = calloc(1, sizeof(*records->departed));
	if (!records->departed)
		return -ENOMEM;
	records->departed->refs = 1;
	records->departed->id = "";
	records->hash_seed =
		(uint64_t)ports->random(ports->user) << 32 | ports->random(ports->user);
	records->started_ns = pages_wall_ns(pages);
	records->names_mtime_ns = records->started_ns;
	return 0;
}

void records_done(struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		record_unref(records->by_index[i]);
	free(records->by_index);
	free(records->free_indices);
	table_done(&records->by_name);
	agent_unref(records->departed);
}

static uint64_t records_hash(const struct records *records, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), records->hash_seed);
}

struct record *records_find(const struct records *records, const char *name)
{
	struct table_link *at = table_first(&records->by_name, records_hash(records, name));

	for (; at; at = table_next(at)) {
		struct record *record = TABLE_ENTRY(at, struct record, by_name);

		if (strcmp(record->name, name) == 0)
			return record;
	}
	return NULL;
}

struct record *records_at(const struct records *records, uint32_t index, uint32_t serial)
{
	struct record *record = records->by_index[index];

	return record && record->serial == serial ? record : NULL;
}

static int records_report(const struct records *records, const struct record *record,
                          const struct agent *before, const struct agent *after, int64_t at_ns)
{
	const struct fleet_ports *ports = records->pages->ports;

	return ports->changed ? ports->changed(ports->user, record, before, after, at_ns) : 0;
}

static void records_names_changed(struct records *records)
{
	records->names_mtime_ns = pages_wall_ns(records->pages);
}

/* Makes room for one more index. */
static int records_reserve_index(struct records *records)
{
	size_t more = records->capacity ? records->capacity * 2 : 128;
	struct record **by_index;
	uint32_t *indices;

	if (records->free_count > 0 || records->count < records->capacity)
		return 0;
	by_index = realloc(records->by_index, more * sizeof(*by_index));
	if (!by_index)
		return -ENOMEM;
	records->by_index = by_index;
	indices = realloc(records->free_indices, more * sizeof(*indices));
	if (!indices)
		return -ENOMEM;
	records->free_indices = indices;
	records->capacity = more;
	return 0;
}

/* Takes a free index. There is one after records_reserve_index(). */
static uint32_t records_take_index(struct records *records)
{
	if (records->free_count > 0)
		return records->free_indices[--records->free_count];
	return (uint32_t)records->count++;
}

int records_add(struct records *records, const struct agent *agent, const char *name, bool report,
                int64_t at_ns, struct record **ret_record)
{
	struct record *record;
	int err = records_reserve_index(records);

	if (err < 0)
		return err;
	if (records->present >= FLEET_MAX_AGENTS ||
	    records->agent_bytes + agent->block_bytes > FLEET_MAX_BYTES)
		return -EFBIG;
	record = record_new(name, agent);
	if (!record)
		return -ENOMEM;
	record->by_name.hash = records_hash(records, name);
	err = table_insert(&records->by_name, &record->by_name);
	if (err < 0) {
		free(record);
		return err;
	}
	err = report ? records_report(records, record, NULL, agent, at_ns) : 0;
	if (err < 0) {
		table_remove(&records->by_name, &record->by_name);
		free(record);
		return err;
	}
	agent_ref(agent);
	record->index = records_take_index(records);
	record->serial = ++records->last_serial;
	records->by_index[record->index] = record_ref(record);
	records->present++;
	records->agent_bytes += agent->block_bytes;
	/* The agents of the first list have been there, as far as is known, since the mount. So
	 * finding them does not change the set of names. */
	record->first_ns = records->list_known && report ? at_ns : records->started_ns;
	if (records->list_known)
		records_names_changed(records);
	*ret_record = record;
	return 0;
}

int records_update(struct records *records, struct record *record, const struct agent *agent,
                   int64_t at_ns)
{
	uint64_t other_bytes = records->agent_bytes - record->agent->block_bytes;
	struct changes changes;
	int err;

	if (agent_equal(record->agent, agent)) {
		record->renewals++;
		return 0;
	}
	if (other_bytes + agent->block_bytes > FLEET_MAX_BYTES)
		return -EFBIG;
	err = changes_build(&record->changes, record->agent, agent, record->first_ns, at_ns,
	                    &changes);
	if (err < 0)
		return err;
	err = records_report(records, record, record->agent, agent, at_ns);
	if (err < 0) {
		changes_done(&changes);
		return err;
	}
	changes_done(&record->changes);
	record->changes = changes;
	records->agent_bytes = other_bytes + agent->block_bytes;
	agent_unref(record->agent);
	record->agent = agent_ref(agent);
	record->renewals++;
	return 0;
}

int records_depart(struct records *records, struct record *record)
{
	int err = records_report(records, record, record->agent, NULL, records->pages->success_ns);

	if (err < 0)
		return err;
	record->present = false;
	table_remove(&records->by_name, &record->by_name);
	records->by_index[record->index] = NULL;
	records->free_indices[records->free_count++] = record->index;
	records->present--;
	records->agent_bytes -= record->agent->block_bytes;
	records_names_changed(records);
	/* The kernel may hold the agent's directory, and so the record, for an unlimited time. */
	agent_unref(record->agent);
	record->agent = agent_ref(records->departed);
	changes_done(&record->changes);
	record_unref(record);
	return 0;
}
