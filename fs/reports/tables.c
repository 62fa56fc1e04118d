/* SPDX-License-Identifier: MIT */
#include "fs/reports/report_kinds.h"

#include <inttypes.h>
#include <string.h>

#include "fs/tree/names.h"

/* summary */

enum { SUMMARY_AGENTS, SUMMARY_STATUSES, SUMMARY_SUMS, SUMMARY_SECTIONS };

static void summary_begin(struct report_builder *builder)
{
	struct text *text = report_builder_text(builder, SUMMARY_AGENTS);

	if (!builder->status->name)
		return;
	text_printf(text, "name: ");
	text_escaped(text, builder->status->name);
	text_printf(text, "\n");
}

/* A status is written as its name in by-status/, with a colon as %3A and a space as %20. So a key
 * has neither, different statuses have different keys, and a status of any length takes little
 * memory. */
static void summary_write_status(struct report_builder *builder, const struct group *group)
{
	struct text *text = report_builder_text(builder, SUMMARY_STATUSES);
	char name[NAME_BYTES];

	name_encode(group->value, name);
	text_printf(text, "agents_");
	for (const char *at = name; *at; at++) {
		if (*at == ':' || *at == ' ')
			text_printf(text, "%%%02X", (unsigned int)*at);
		else
			text_bytes(text, at, 1);
	}
	text_printf(text, ": %zu\n", group->count);
}

static void summary_end(struct report_builder *builder)
{
	const struct totals *totals = &builder->totals;
	const struct {
		const char *key;
		int64_t value;
	} lines[] = {
		{"gpu_capacity", totals->gpu_capacity},
		{"gpu_running", totals->running_count}, /* a task occupies one GPU */
		{"gpu_free", totals->gpu_free},
		{"gpu_available", totals->gpu_available},
		{"vram_total", totals->vram_total},
		{"vram_free", totals->vram_free},
		{"vram_used", totals->vram_used},
		{"tasks_running", totals->running_count},
		{"tasks_completed", totals->tasks_completed},
	};

	text_printf(report_builder_text(builder, SUMMARY_AGENTS), "agents: %zu\n", totals->agents);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_printf(report_builder_text(builder, SUMMARY_SUMS), "%s: %" PRId64 "\n",
		            lines[i].key, lines[i].value);
}

const struct report_kind report_summary = {.begin = summary_begin,
                                           .write_status = summary_write_status,
                                           .end = summary_end,
                                           .sections = SUMMARY_SECTIONS};

/* agents.tsv */

static const struct {
	const char *name;
	enum agent_field_id field;
} tsv_columns[] = {
	{"id", AGENT_ID},
	{"status", AGENT_STATUS},
	{"running_count", AGENT_RUNNING_COUNT},
	{"gpu_capacity", AGENT_GPU_CAPACITY},
	{"gpu_free", AGENT_GPU_FREE},
	{"vram_free", AGENT_GPU_VRAM_FREE},
	{"vram_total", AGENT_GPU_VRAM_TOTAL},
	{"tool", AGENT_TOOL},
	{"tool_version", AGENT_TOOL_VERSION},
	{"version", AGENT_VERSION},
	{"platform_arch", AGENT_PLATFORM_ARCH},
	{"last_heartbeat", AGENT_LAST_HEARTBEAT},
	{"current_task_id", AGENT_CURRENT_TASK_ID},
	{"labels", AGENT_LABELS},
};

static const size_t tsv_column_count = sizeof(tsv_columns) / sizeof(tsv_columns[0]);

static const char *tsv_separator(size_t column)
{
	return column + 1 < tsv_column_count ? "\t" : "\n";
}

static void tsv_begin(struct report_builder *builder)
{
	for (size_t i = 0; i < tsv_column_count; i++)
		text_printf(report_builder_text(builder, 0), "%s%s", tsv_columns[i].name,
		            tsv_separator(i));
}

static void tsv_cell(struct text *text, const struct agent *agent, enum agent_field_id field)
{
	int64_t number;

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		text_escaped(text, *(const char *const *)agent_value(agent, field, 0));
		break;
	case AGENT_TYPE_NUMBER:
		number = totals_agent_sum(agent, field);
		if (number != AGENT_ABSENT)
			text_printf(text, "%" PRId64, number);
		break;
	case AGENT_TYPE_LIST: {
		const struct agent_list *list = agent_value(agent, field, 0);

		for (size_t i = 0; i < list->count; i++) {
			text_bytes(text, ",", i > 0);
			text_escaped(text, list->items[i]);
		}
		break;
	}
	case AGENT_TYPE_JSON:
		break;
	}
}

static void tsv_row(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	for (size_t i = 0; i < tsv_column_count; i++) {
		tsv_cell(text, row->agent, tsv_columns[i].field);
		text_bytes(text, tsv_separator(i), 1);
	}
}

const struct report_kind report_tsv = {
	.begin = tsv_begin, .write_row = tsv_row, .sections = 1, .rows_end = 1};

/* gpus.tsv */

static const struct {
	const char *name;
	enum agent_field_id field;
} gpus_columns[] = {
	{"name", AGENT_GPU_NAME},
	{"type", AGENT_GPU_TYPE},
	{"vram_free", AGENT_GPU_VRAM_FREE},
	{"vram_used", AGENT_GPU_VRAM_USED},
	{"vram_total", AGENT_GPU_VRAM_TOTAL},
	{"status", AGENT_STATUS},
	{"gpu_free", AGENT_GPU_FREE},
	{"labels", AGENT_LABELS},
};

/* The approximate limit of the labels in a row, in bytes. Each GPU of an agent repeats the labels.
 * Without a limit, writing the rows of one agent could take so long that it delays all readers. */
#define GPUS_MAX_LIST 4096

#define GPUS_COLUMNS (sizeof(gpus_columns) / sizeof(gpus_columns[0]))

static void gpus_begin(struct report_builder *builder)
{
	struct text *text = report_builder_text(builder, 0);

	text_printf(text, "agent\tgpu");
	for (size_t i = 0; i < GPUS_COLUMNS; i++)
		text_printf(text, "\t%s", gpus_columns[i].name);
	text_printf(text, "\n");
}

/* Appends a value of the agent, which each of its GPUs repeats. So a value that is too long for a
 * file name is written as its name in by-status/ or by-label/, which is cut: otherwise an agent of
 * a few MiB could fill the whole report. */
static void gpus_repeated(struct text *text, const char *string)
{
	char name[NAME_BYTES];

	if (!string || strlen(string) < NAME_BYTES) {
		text_escaped(text, string);
		return;
	}
	name_encode(string, name);
	text_bytes(text, name, strlen(name));
}

static void gpus_cell(struct text *text, const struct agent *agent, enum agent_field_id field,
                      size_t gpu)
{
	const void *value = agent_value(agent, field, gpu);

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		if (agent_fields[field].place == AGENT_PLACE_GPU)
			text_escaped(text, *(const char *const *)value);
		else
			gpus_repeated(text, *(const char *const *)value);
		break;
	case AGENT_TYPE_NUMBER:
		if (*(const int64_t *)value != AGENT_ABSENT)
			text_printf(text, "%" PRId64, *(const int64_t *)value);
		break;
	case AGENT_TYPE_LIST: {
		const struct agent_list *list = value;
		size_t begin = text->length;

		for (size_t i = 0; i < list->count; i++) {
			text_bytes(text, ",", i > 0);
			if (text->length - begin > GPUS_MAX_LIST) {
				text_bytes(text, "%~", 2);
				break;
			}
			gpus_repeated(text, list->items[i]);
		}
		break;
	}
	case AGENT_TYPE_JSON:
		break;
	}
}

static void gpus_row(struct text *text, size_t section, const struct report_row *row)
{
	char name[NAME_BYTES];

	(void)section;
	name_encode(row->agent->id, name);
	for (size_t gpu = 0; gpu < row->agent->gpu_count; gpu++) {
		text_bytes(text, name, strlen(name));
		text_printf(text, "\t%zu", gpu);
		for (size_t i = 0; i < GPUS_COLUMNS; i++) {
			text_bytes(text, "\t", 1);
			gpus_cell(text, row->agent, gpus_columns[i].field, gpu);
		}
		text_bytes(text, "\n", 1);
	}
}

const struct report_kind report_gpus_tsv = {
	.begin = gpus_begin, .write_row = gpus_row, .sections = 1, .rows_end = 1};

/* agents.json: a page of the API with all agents. */

static void json_begin(struct report_builder *builder)
{
	text_printf(report_builder_text(builder, 0), "{\"agent_list\":[\n");
}

static void json_row(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	text_bytes(text, ",", !row->is_first);
	text_bytes(text, row->agent->json, row->agent->json_bytes);
}

static void json_end(struct report_builder *builder)
{
	text_printf(report_builder_text(builder, 0),
	            "],\"page_meta\":{\"current_page\":1,\"per_page\":%zu,\"total_count\":%zu}}\n",
	            builder->totals.agents, builder->totals.agents);
}

const struct report_kind report_json = {.begin = json_begin,
                                        .write_row = json_row,
                                        .end = json_end,
                                        .sections = 1,
                                        .rows_end = 1,
                                        .rows_are_referenced = true};

/* agents.jsonl */

static void jsonl_row(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	text_bytes(text, row->agent->json, row->agent->json_bytes);
}

const struct report_kind report_jsonl = {
	.write_row = jsonl_row, .sections = 1, .rows_end = 1, .rows_are_referenced = true};
