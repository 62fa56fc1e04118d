/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "api/model/time_stamp.h"
#include "fs/reports/html/page.h"
#include "fs/reports/sheets.h"
#include "fs/tree/names.h"
#include "fs/tree/tree.h"

/*
 * fleet.html: the page of html/, and in it the fleet as JSON, in a block that no browser executes:
 * an array for each agent, whose columns `fields` names. Whatever an agent says is a JSON string in
 * which nothing can end the block (text_json()), and which the page puts into text nodes alone.
 */

static void comma(struct text *text)
{
	text_bytes(text, ",", 1);
}

/* Not printf: this is most of the time that a large page takes. */
static void number(struct text *text, int64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (value == AGENT_ABSENT) {
		text_bytes(text, "null", 4);
		return;
	}
	do
		digits[--at] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (value < 0)
		digits[--at] = '-';
	text_bytes(text, digits + at, sizeof(digits) - at);
}

static void list(struct text *text, const struct agent_list *strings)
{
	text_bytes(text, "[", 1);
	for (size_t i = 0; i < strings->count; i++) {
		text_bytes(text, ",", i > 0);
		text_json(text, strings->items[i]);
	}
	text_bytes(text, "]", 1);
}

static void value(struct text *text, const struct agent *agent, enum agent_field_id field,
                  size_t gpu)
{
	const void *its = agent_value(agent, field, gpu);

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		text_json(text, *(const char *const *)its);
		break;
	case AGENT_TYPE_NUMBER:
		number(text, *(const int64_t *)its);
		break;
	case AGENT_TYPE_LIST:
		list(text, its);
		break;
	case AGENT_TYPE_JSON:
		break;
	}
}

/* Milliseconds since 1970. */
static void moment(struct text *text, const char *string)
{
	int64_t ns = string ? time_stamp_parse(string) : -1;

	number(text, ns < 0 ? AGENT_ABSENT : ns / 1000000);
}

static const struct {
	const char *name;
	enum agent_field_id field;
} columns[] = {
	{"id", AGENT_ID},
	{"status", AGENT_STATUS},
	{"version", AGENT_VERSION},
	{"platform_arch", AGENT_PLATFORM_ARCH},
	{"tool", AGENT_TOOL},
	{"tool_version", AGENT_TOOL_VERSION},
	{"gpu_capacity", AGENT_GPU_CAPACITY},
	{"gpu_free", AGENT_GPU_FREE},
	{"running_count", AGENT_RUNNING_COUNT},
	{"running_tasks", AGENT_RUNNING_TASKS},
	{"current_task_id", AGENT_CURRENT_TASK_ID},
	{"tasks_completed", AGENT_TASKS_COMPLETED},
	{"sync_phase", AGENT_SYNC_PHASE},
	{"sync_detail", AGENT_SYNC_DETAIL},
	{"sync_percent", AGENT_SYNC_PERCENT},
	{"labels", AGENT_LABELS},
};

static const enum agent_field_id gpu_columns[] = {AGENT_GPU_NAME, AGENT_GPU_VRAM_TOTAL,
                                                  AGENT_GPU_VRAM_FREE};

/* About the list that is being written; that it was just told is what makes the health its own. */
static void begin(struct draft *draft)
{
	struct text *text = draft_text(draft, 0);
	struct fleet_health health;

	fleet_health(draft->fleet, &health);
	text_bytes(text, PAGE_BEGIN, sizeof(PAGE_BEGIN) - 1);
	/* The key lets a page that is open take the data out of a newer one, and no other page. */
	text_printf(text, "{\"key\":\"%016" PRIx64 "\",\"ttl\":%" PRId64 ",\"time\":%" PRId64 ",",
	            (uint64_t)XXH3_64bits_withSeed(PAGE_BEGIN, sizeof(PAGE_BEGIN), draft->seed),
	            fleet_ttl_ms(draft->fleet),
	            fleet_wall_ns(draft->fleet) / 1000000 - health.list_age_ms);
	text_printf(text,
	            "\"verified\":%s,\n\"fields\":[\"name\",\"heartbeat\",\"connected\","
	            "\"since\",\"first\",\"gpus\"",
	            health.verified ? "true" : "false");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		text_printf(text, ",\"%s\"", columns[i].name);
	text_printf(text, "],\n\"agents\":[");
}

static void gpus(struct text *text, const struct agent *agent)
{
	text_bytes(text, "[", 1);
	for (size_t i = 0; i < agent->gpu_count; i++) {
		text_bytes(text, ",", i > 0);
		for (size_t j = 0; j < sizeof(gpu_columns) / sizeof(gpu_columns[0]); j++) {
			text_bytes(text, j > 0 ? "," : "[", 1);
			value(text, agent, gpu_columns[j], i);
		}
		text_bytes(text, "]", 1);
	}
	text_bytes(text, "]", 1);
}

static void row(struct text *text, size_t number_of_text, const struct document_row *row)
{
	const struct agent *agent = row->agent;
	char name[NAME_BYTES];

	(void)number_of_text;
	name_encode(agent->id, name);
	text_bytes(text, ",", !row->is_first);
	text_bytes(text, "\n[", 2);
	text_json(text, name);
	comma(text);
	moment(text, agent->last_heartbeat);
	comma(text);
	moment(text, agent->connected_at);
	comma(text);
	number(text, row->status_ns / 1000000);
	comma(text);
	number(text, row->first_ns / 1000000);
	comma(text);
	gpus(text, agent);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		comma(text);
		value(text, agent, columns[i].field, 0);
	}
	text_bytes(text, "]", 1);
}

static void end(struct draft *draft)
{
	struct text *text = draft_text(draft, 0);

	text_printf(text, "\n]}\n");
	text_bytes(text, PAGE_END, sizeof(PAGE_END) - 1);
}

const struct sheet sheet_html = {.begin = begin, .row = row, .end = end, .row_texts = 1};
