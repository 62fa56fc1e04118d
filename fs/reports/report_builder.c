/* SPDX-License-Identifier: MIT */
#include "fs/reports/report_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_BYTES      (16u << 10) /* takes about 0.25 ms to write */
#define STORED_ROW_BYTES (16u << 10) /* longer rows of an agent are referenced */

struct report_builder *report_builder_new(const struct report_kind *kind,
                                          const struct status *status, uint64_t list, uint64_t seed)
{
	struct report_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->kind = kind;
	builder->status = status;
	builder->fleet = status->fleet;
	builder->seed = seed;
	builder->list = list;
	builder->cursor = list; /* a list's number is the cursor of its first agent */
	builder->report = report_new(kind->write_row, kind->sections, seed);
	if (totals_init(&builder->totals, seed) < 0 || !builder->report) {
		report_builder_free(builder);
		return NULL;
	}
	if (kind->begin)
		kind->begin(builder);
	return builder;
}

void report_builder_free(struct report_builder *builder)
{
	if (!builder)
		return;
	report_unref(builder->report);
	totals_done(&builder->totals);
	free(builder);
}

struct text *report_builder_text(struct report_builder *builder, size_t section)
{
	return &builder->report->sections[section].text;
}

/* Writes the rows of an agent. References them if storing them would take too much memory. */
static int report_builder_write_rows(struct report_builder *builder, const struct report_row *row)
{
	const struct report_kind *kind = builder->kind;
	size_t begins[UINT8_MAX], bytes = 0;
	int err = 0;

	for (size_t i = kind->rows_begin; i < kind->rows_end; i++) {
		struct text *text = report_builder_text(builder, i);

		begins[i] = text->length;
		kind->write_row(text, i, row);
		if (text_error(text) < 0)
			return text_error(text);
		bytes += text->length - begins[i];
	}
	if (!kind->rows_are_referenced && bytes <= STORED_ROW_BYTES &&
	    bytes <= row->agent->block_bytes)
		return 0;
	for (size_t i = kind->rows_begin; err == 0 && i < kind->rows_end; i++)
		err = report_reference_row(builder->report, i, begins[i], row);
	return err;
}

/* Adds an agent to the totals. If the kind writes statuses, those that are not documented become a
 * heap, since the order in which they are found changes from list to list. */
static int report_builder_add_to_totals(struct report_builder *builder, const struct agent *agent)
{
	struct groups *statuses = &builder->totals.statuses;
	size_t count = statuses->count;
	int err = totals_add(&builder->totals, agent);

	if (builder->kind->write_status && statuses->count > count)
		groups_heap_push(statuses, AGENT_STATUSES);
	return err;
}

/* Writes the next agent, if there is one. */
static int report_builder_write_agent(struct report_builder *builder)
{
	struct record *record = NULL;
	int err = fleet_walk(builder->fleet, &builder->cursor, NULL, &record);

	if (err < 0)
		return err;
	builder->has_all_agents = !record;
	if (!record)
		return 0;
	err = report_builder_add_to_totals(builder, record->agent);
	if (err < 0)
		return err;
	return report_builder_write_rows(
		builder, &(struct report_row){
				 .agent = record->agent,
				 .fleet_name = builder->status->name,
				 .first_ns = record->first_ns,
				 .status_ns = record_since(record, AGENT_STATUS, CHANGES_WHOLE),
				 .is_first = builder->totals.agents == 1,
			 });
}

/* Returns the next status to write. It must not be called after the last one. */
static const struct group *report_builder_next_status(struct report_builder *builder)
{
	struct groups *statuses = &builder->totals.statuses;
	size_t at = builder->statuses_written++;

	if (at < AGENT_STATUSES)
		return statuses->order[at];
	return groups_heap_pop(statuses, AGENT_STATUSES, statuses->count + AGENT_STATUSES - at);
}

/* Writes the line of the next status or, after the last one, the end of the report. Returns whether
 * the report has ended. */
static bool report_builder_write_status(struct report_builder *builder)
{
	const struct report_kind *kind = builder->kind;

	if (kind->write_status && builder->statuses_written < builder->totals.statuses.count) {
		kind->write_status(builder, report_builder_next_status(builder));
		return false;
	}
	if (kind->end)
		kind->end(builder);
	return true;
}

int report_builder_continue(struct report_builder *builder, size_t max_rows)
{
	struct report *report = builder->report;
	uint64_t enough = report_bytes(report) + SLICE_BYTES;
	bool ended = false;
	int err = 0;

	for (size_t i = 0; err == 0 && !ended && i < max_rows && report_bytes(report) < enough;
	     i++) {
		if (!builder->has_all_agents)
			err = report_builder_write_agent(builder);
		else
			ended = report_builder_write_status(builder);
	}
	if (err == 0)
		err = report_hash(report);
	if (err == 0 && ended)
		return report_finish(report);
	return err < 0 ? err : -EAGAIN;
}

struct report *report_builder_finish(struct report_builder *builder)
{
	struct report *report = builder->report;

	builder->report = NULL;
	report_builder_free(builder);
	return report;
}
