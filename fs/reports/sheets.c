/* SPDX-License-Identifier: MIT */
#include "fs/reports/sheets.h"

#include <inttypes.h>
#include <string.h>

#include "fs/tree/names.h"

/* summary */

/* Three texts: the agents, those of each status, the sums. */

/* A status that is too long for a name is written as its name, as in by-status/: escaped, all of
 * them together could take more memory than there is. */
static void summary_status(struct draft *draft, const struct group *status)
{
	struct text *text = draft_text(draft, 1);
	char name[NAME_BYTES];

	name_encode(status->value, name);
	text_printf(text, "agents_");
	text_escaped(text, strlen(status->value) < NAME_BYTES ? status->value : name);
	text_printf(text, ": %zu\n", status->count);
}

static void summary_end(struct draft *draft)
{
	const struct sums *sums = &draft->sums;
	const struct {
		const char *key;
		int64_t value;
	} lines[] = {
		{"gpu_capacity", sums->gpu_capacity},   {"gpu_running", sums->running_count},
		{"gpu_free", sums->gpu_free},           {"vram_total", sums->vram_total},
		{"vram_free", sums->vram_free},         {"vram_used", sums->vram_used},
		{"tasks_running", sums->running_count}, {"tasks_completed", sums->tasks_completed},
	};

	text_printf(draft_text(draft, 0), "agents: %zu\n", sums->agents);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_printf(draft_text(draft, 2), "%s: %" PRId64 "\n", lines[i].key,
		            lines[i].value);
}

const struct sheet sheet_summary = {.status = summary_status, .end = summary_end};

/* agents.tsv */

static const struct column {
	const char *name;
	enum agent_field_id field;
} columns[] = {
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

static const size_t column_count = sizeof(columns) / sizeof(columns[0]);

static const char *separator(size_t column)
{
	return column + 1 < column_count ? "\t" : "\n";
}

static void tsv_begin(struct draft *draft)
{
	for (size_t i = 0; i < column_count; i++)
		text_printf(draft_text(draft, 0), "%s%s", columns[i].name, separator(i));
}

static void cell(struct text *text, const struct agent *agent, enum agent_field_id field)
{
	int64_t number;

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		text_escaped(text, *(const char *const *)agent_value(agent, field, 0));
		break;
	case AGENT_TYPE_NUMBER:
		number = document_sum_of(agent, field);
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

static void tsv_row(struct text *text, size_t number, const struct document_row *row)
{
	(void)number;
	for (size_t i = 0; i < column_count; i++) {
		cell(text, row->agent, columns[i].field);
		text_bytes(text, separator(i), 1);
	}
}

const struct sheet sheet_tsv = {.begin = tsv_begin, .row = tsv_row, .row_texts = 1};

/* agents.json */

static void json_begin(struct draft *draft)
{
	text_printf(draft_text(draft, 0), "{\"agent_list\":[\n");
}

static void json_row(struct text *text, size_t number, const struct document_row *row)
{
	(void)number;
	text_bytes(text, ",", !row->is_first);
	text_bytes(text, row->agent->json, row->agent->json_bytes);
}

static void json_end(struct draft *draft)
{
	text_printf(draft_text(draft, 0),
	            "],\"page_meta\":{\"current_page\":1,\"per_page\":%zu,\"total_count\":%zu}}\n",
	            draft->sums.agents, draft->sums.agents);
}

const struct sheet sheet_json = {
	.begin = json_begin, .row = json_row, .end = json_end, .row_texts = 1, .borrows = true};
