/* SPDX-License-Identifier: MIT */

/*
 * fleet.html: the page of fs/reports/html/ with the fleet embedded as JSON, in a block that no
 * browser executes. Each agent is an array; `fields` names its columns. A string of an agent is a
 * JSON string that cannot end the block (text_json()). The page never parses it as markup
 * (fs/reports/html/page.js).
 */

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "api/model/time_stamp.h"
#include "fs/reports/html/page.h"
#include "fs/reports/report_kinds.h"
#include "fs/tree/names.h"
#include "fs/tree/tree.h"

static void html_comma(struct text *text)
{
	text_bytes(text, ",", 1);
}

/* Does not use text_printf(), which took most of the time of building a large page. */
static void html_number(struct text *text, int64_t value)
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

static void html_list(struct text *text, const struct agent_list *strings)
{
	text_bytes(text, "[", 1);
	for (size_t i = 0; i < strings->count; i++) {
		text_bytes(text, ",", i > 0);
		text_json(text, strings->items[i]);
	}
	text_bytes(text, "]", 1);
}

static void html_value(struct text *text, const struct agent *agent, enum agent_field_id field,
                       size_t gpu)
{
	const void *value = agent_value(agent, field, gpu);

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		text_json(text, *(const char *const *)value);
		break;
	case AGENT_TYPE_NUMBER:
		html_number(text, *(const int64_t *)value);
		break;
	case AGENT_TYPE_LIST:
		html_list(text, value);
		break;
	case AGENT_TYPE_JSON:
		break;
	}
}

/* Writes a time stamp of the API as milliseconds since 1970. */
static void html_time(struct text *text, const char *string)
{
	int64_t ns = string ? time_stamp_parse(string) : -1;

	html_number(text, ns < 0 ? AGENT_ABSENT : ns / 1000000);
}

static const struct {
	const char *name;
	enum agent_field_id field;
} html_columns[] = {
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

static const enum agent_field_id html_gpu_columns[] = {AGENT_GPU_NAME, AGENT_GPU_VRAM_TOTAL,
                                                       AGENT_GPU_VRAM_FREE};

/* The report is of the newest list, which is the list that the health describes, too. */
static void html_begin(struct report_builder *builder)
{
	struct text *text = report_builder_text(builder, 0);
	struct fleet_health health;

	fleet_health(builder->fleet, &health);
	text_bytes(text, page_begin, sizeof(page_begin) - 1);
	text_printf(text, "{\"title\":");
	text_json(text, builder->status->title);
	/* An open page takes the data of a newer page only if that has the same key. */
	text_printf(text, ",\"key\":\"%016" PRIx64 "\",\"ttl\":%" PRId64 ",\"time\":%" PRId64 ",",
	            (uint64_t)XXH3_64bits_withSeed(page_begin, sizeof(page_begin), builder->seed),
	            fleet_ttl_ms(builder->fleet),
	            fleet_wall_ns(builder->fleet) / 1000000 - health.list_age_ms);
	text_printf(text,
	            "\"verified\":%s,\n\"fields\":[\"name\",\"heartbeat\",\"connected\","
	            "\"since\",\"first\",\"gpus\"",
	            health.verified ? "true" : "false");
	for (size_t i = 0; i < sizeof(html_columns) / sizeof(html_columns[0]); i++)
		text_printf(text, ",\"%s\"", html_columns[i].name);
	text_printf(text, "],\n\"agents\":[");
}

static void html_gpus(struct text *text, const struct agent *agent)
{
	text_bytes(text, "[", 1);
	for (size_t i = 0; i < agent->gpu_count; i++) {
		text_bytes(text, ",", i > 0);
		for (size_t j = 0; j < sizeof(html_gpu_columns) / sizeof(html_gpu_columns[0]);
		     j++) {
			text_bytes(text, j > 0 ? "," : "[", 1);
			html_value(text, agent, html_gpu_columns[j], i);
		}
		text_bytes(text, "]", 1);
	}
	text_bytes(text, "]", 1);
}

static void html_row(struct text *text, size_t section, const struct report_row *row)
{
	const struct agent *agent = row->agent;
	char name[NAME_BYTES];

	(void)section;
	name_encode(agent->id, name);
	text_bytes(text, ",", !row->is_first);
	text_bytes(text, "\n[", 2);
	text_json(text, name);
	html_comma(text);
	html_time(text, agent->last_heartbeat);
	html_comma(text);
	html_time(text, agent->connected_at);
	html_comma(text);
	html_number(text, row->status_ns / 1000000);
	html_comma(text);
	html_number(text, row->first_ns / 1000000);
	html_comma(text);
	html_gpus(text, agent);
	for (size_t i = 0; i < sizeof(html_columns) / sizeof(html_columns[0]); i++) {
		html_comma(text);
		html_value(text, agent, html_columns[i].field, 0);
	}
	text_bytes(text, "]", 1);
}

static void html_end(struct report_builder *builder)
{
	struct text *text = report_builder_text(builder, 0);

	text_printf(text, "\n]}\n");
	text_bytes(text, page_end, sizeof(page_end) - 1);
}

const struct report_kind report_html = {
	.begin = html_begin, .write_row = html_row, .end = html_end, .sections = 1, .rows_end = 1};
