/* SPDX-License-Identifier: MIT */
#include "fs/tree/tree.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/time_stamp.h"
#include "fs/tree/question.h"

#define DIRECTORY(in, its_name)                                           \
	{                                                                 \
		.parent = (in), .field = AGENT_FIELDS, .name = (its_name) \
	}
/* A file that shows a field, or a directory whose mtime is that of a field. */
#define OF_FIELD(in, its_name, its_field)                                \
	{                                                                \
		.parent = (in), .field = (its_field), .name = (its_name) \
	}
/* A file whose text a function appends. */
#define BY_FUNCTION(in, its_name, function)                                                   \
	{                                                                                     \
		.parent = (in), .field = AGENT_FIELDS, .name = (its_name), .text = (function) \
	}
#define EACH(in, what, its_field)                                    \
	{                                                            \
		.parent = (in), .each = (what), .field = (its_field) \
	}
#define VIEW(its_name, its_kind, its_field)                                                       \
	{                                                                                         \
		.parent = TREE_ROOT, .view = (its_kind), .field = (its_field), .name = (its_name) \
	}
#define REPORT(its_name, its_report)                                             \
	{                                                                        \
		.parent = TREE_FLEET, .field = AGENT_FIELDS, .name = (its_name), \
		.report = (its_report)                                           \
	}

const struct tree_row tree_rows[] = {
	/* directories, in the order of enum tree_directory */
	[TREE_ROOT] = DIRECTORY(TREE_DIRECTORIES, ""),
	[TREE_STATUS] = DIRECTORY(TREE_ROOT, ".fleetfs"),
	[TREE_AGENTS] = DIRECTORY(TREE_ROOT, "agents"),
	[TREE_AGENT] = EACH(TREE_AGENTS, TREE_EACH_AGENT, AGENT_LAST_HEARTBEAT),
	[TREE_LABELS] = OF_FIELD(TREE_AGENT, "labels", AGENT_LABELS),
	[TREE_SYSTEM_STATS] = DIRECTORY(TREE_AGENT, "system_stats"),
	[TREE_GPUS] = OF_FIELD(TREE_AGENT, "gpus", AGENT_GPU_NAME),
	[TREE_GPU] = EACH(TREE_GPUS, TREE_EACH_GPU, AGENT_FIELDS),
	[TREE_FLEET] = DIRECTORY(TREE_ROOT, "fleet"),
	[TREE_WHERE] = DIRECTORY(TREE_ROOT, "where"),

	BY_FUNCTION(TREE_ROOT, "README", status_readme),

	/* views */
	{.parent = TREE_ROOT,
         .view = TREE_GROUPS,
         .field = AGENT_STATUS,
         .name = "by-status",
         .always = agent_statuses},
	VIEW("by-label", TREE_GROUPS, AGENT_LABELS),
	VIEW("by-tool", TREE_GROUPS, AGENT_TOOL),
	VIEW("by-gpu", TREE_GROUPS, AGENT_GPU_NAME),
	VIEW("by-version", TREE_GROUPS, AGENT_VERSION),
	VIEW("tasks", TREE_LINKS, AGENT_RUNNING_TASKS),

	/* where/ */
	BY_FUNCTION(TREE_WHERE, "README", question_readme),

	/* fleet/ */
	REPORT("summary", TREE_SUMMARY),
	REPORT("agents.tsv", TREE_TSV),
	REPORT("gpus.tsv", TREE_GPUS_TSV),
	REPORT("agents.json", TREE_JSON),
	REPORT("agents.jsonl", TREE_JSONL),
	REPORT("metrics.prom", TREE_METRICS),
	REPORT("fleet.html", TREE_HTML),
	REPORT("events.log", TREE_EVENTS),
	REPORT("events.log.1", TREE_EVENTS_PREVIOUS),

	/* .fleetfs/ */
	BY_FUNCTION(TREE_STATUS, "README", status_readme),
	BY_FUNCTION(TREE_STATUS, "version", status_version),
	BY_FUNCTION(TREE_STATUS, "config", status_config),
	BY_FUNCTION(TREE_STATUS, "health", status_health),
	BY_FUNCTION(TREE_STATUS, "stats", status_stats),
	BY_FUNCTION(TREE_STATUS, "metrics.prom", status_metrics),
	BY_FUNCTION(TREE_STATUS, "last_error", status_last_error),

	/* agents/<agent>/ */
	OF_FIELD(TREE_AGENT, "id", AGENT_ID),
	OF_FIELD(TREE_AGENT, "status", AGENT_STATUS),
	OF_FIELD(TREE_AGENT, "version", AGENT_VERSION),
	OF_FIELD(TREE_AGENT, "last_heartbeat", AGENT_LAST_HEARTBEAT),
	OF_FIELD(TREE_AGENT, "connected_at", AGENT_CONNECTED_AT),
	OF_FIELD(TREE_AGENT, "platform_arch", AGENT_PLATFORM_ARCH),
	OF_FIELD(TREE_AGENT, "tool", AGENT_TOOL),
	OF_FIELD(TREE_AGENT, "tool_version", AGENT_TOOL_VERSION),
	OF_FIELD(TREE_AGENT, "comfyui_version", AGENT_COMFYUI_VERSION),
	OF_FIELD(TREE_AGENT, "gpu_capacity", AGENT_GPU_CAPACITY),
	OF_FIELD(TREE_AGENT, "gpu_free", AGENT_GPU_FREE),
	OF_FIELD(TREE_AGENT, "running_count", AGENT_RUNNING_COUNT),
	OF_FIELD(TREE_AGENT, "running_tasks", AGENT_RUNNING_TASKS),
	OF_FIELD(TREE_AGENT, "current_task_id", AGENT_CURRENT_TASK_ID),
	OF_FIELD(TREE_AGENT, "tasks_completed", AGENT_TASKS_COMPLETED),
	OF_FIELD(TREE_AGENT, "sync_phase", AGENT_SYNC_PHASE),
	OF_FIELD(TREE_AGENT, "sync_detail", AGENT_SYNC_DETAIL),
	OF_FIELD(TREE_AGENT, "sync_percent", AGENT_SYNC_PERCENT),
	OF_FIELD(TREE_AGENT, "agent.json", AGENT_JSON),

	/* agents/<agent>/labels/ */
	EACH(TREE_LABELS, TREE_EACH_LABEL, AGENT_LABELS),

	/* agents/<agent>/system_stats/ */
	OF_FIELD(TREE_SYSTEM_STATS, "comfyui_version", AGENT_STATS_COMFYUI_VERSION),
	OF_FIELD(TREE_SYSTEM_STATS, "pytorch_version", AGENT_STATS_PYTORCH_VERSION),
	OF_FIELD(TREE_SYSTEM_STATS, "os_type", AGENT_STATS_OS_TYPE),

	/* agents/<agent>/gpus/<n>/ */
	OF_FIELD(TREE_GPU, "name", AGENT_GPU_NAME),
	OF_FIELD(TREE_GPU, "type", AGENT_GPU_TYPE),
	OF_FIELD(TREE_GPU, "vram_total", AGENT_GPU_VRAM_TOTAL),
	OF_FIELD(TREE_GPU, "vram_free", AGENT_GPU_VRAM_FREE),
	OF_FIELD(TREE_GPU, "vram_used", AGENT_GPU_VRAM_USED),
};

const size_t tree_row_count = sizeof(tree_rows) / sizeof(tree_rows[0]);

enum tree_directory tree_directory_of(const struct tree_row *row)
{
	size_t position = (size_t)(row - tree_rows);

	return position < TREE_DIRECTORIES ? (enum tree_directory)position : TREE_DIRECTORIES;
}

bool tree_is_constant(const struct tree_row *row)
{
	return row->text == status_readme || row->text == status_version ||
	       row->text == question_readme;
}

/* The index of a value in a view's field (agent_string()), or SIZE_MAX. */
static size_t tree_find_value(const struct tree_row *row, const struct agent *agent,
                              const char *value)
{
	size_t count = agent_string_count(agent, row->field);

	for (size_t i = 0; i < count; i++) {
		const char *string = agent_string(agent, row->field, i);

		if (string && strcmp(string, value) == 0)
			return i;
	}
	return SIZE_MAX;
}

bool tree_agent_has(const struct tree_row *row, const struct agent *agent, const char *value)
{
	return tree_find_value(row, agent, value) != SIZE_MAX;
}

int64_t tree_value_since_ns(const struct record *record, enum agent_field_id field, size_t index)
{
	if (field == AGENT_GPU_NAME)
		field = CHANGES_GPU_MODEL;
	else if (field != AGENT_LABELS && field != AGENT_RUNNING_TASKS &&
	         agent_fields[field].place != AGENT_PLACE_GPU)
		index = CHANGES_WHOLE;
	return record_since(record, field, (uint16_t)index);
}

int64_t tree_link_mtime_ns(const struct tree_row *row, const struct record *record,
                           const char *value)
{
	return tree_value_since_ns(record, row->field, tree_find_value(row, record->agent, value));
}

const char *tree_permanent_group(const struct tree_row *row, const char *name)
{
	for (const char *const *at = row->always; at && *at; at++)
		if (strcmp(*at, name) == 0)
			return *at;
	return NULL;
}

void tree_link_target(const struct tree_row *row, const char *agent_name, struct text *text)
{
	tree_agent_path(row->view == TREE_GROUPS ? 2 : 1, agent_name, text);
}

void tree_agent_path(size_t levels, const char *agent_name, struct text *text)
{
	while (levels-- > 0)
		text_bytes(text, "../", 3);
	text_printf(text, "%s/", tree_rows[TREE_AGENTS].name);
	text_bytes(text, agent_name, strlen(agent_name));
}

size_t tree_entry_count(const struct tree_row *row, const struct agent *agent)
{
	switch ((enum tree_each)row->each) {
	case TREE_ONCE:
		return 1;
	case TREE_EACH_LABEL:
		return agent->labels.count;
	case TREE_EACH_GPU:
		return agent->gpu_count;
	case TREE_EACH_AGENT:
		break;
	}
	return 0;
}

void tree_entry_name(const struct tree_row *row, const struct agent *agent, size_t index,
                     char ret_name[static NAME_BYTES])
{
	if (row->each == TREE_EACH_LABEL)
		name_encode(agent->labels.items[index], ret_name);
	else if (row->each == TREE_EACH_GPU)
		snprintf(ret_name, NAME_BYTES, "%zu", index);
	else
		snprintf(ret_name, NAME_BYTES, "%s", row->name);
}

/* Whether tree_entry_name() may give this name to a GPU. */
static bool tree_is_gpu_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || digits > 9 || name[digits] != '\0' || (name[0] == '0' && digits > 1))
		return false;
	return strtoul(name, NULL, 10) < AGENT_MAX_GPUS;
}

static bool tree_row_may_have_name(const struct tree_row *row, const char *name)
{
	switch ((enum tree_each)row->each) {
	case TREE_ONCE:
		return strcmp(row->name, name) == 0;
	case TREE_EACH_GPU:
		return tree_is_gpu_name(name);
	case TREE_EACH_AGENT:
	case TREE_EACH_LABEL:
		break;
	}
	return name_is_canonical(name);
}

bool tree_may_contain(const struct tree_row *directory, bool group, const char *name)
{
	if (group || directory->view)
		return name_is_canonical(name);
	if (tree_directory_of(directory) == TREE_WHERE && name_has_operator(name))
		return true;
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].parent == tree_directory_of(directory) &&
		    tree_row_may_have_name(&tree_rows[i], name))
			return true;
	return false;
}

static void tree_line(struct text *text, const char *string)
{
	text_escaped(text, string);
	text_bytes(text, "\n", 1);
}

static void tree_string_text(struct text *text, const char *string)
{
	if (string && *string)
		tree_line(text, string);
}

void tree_field_text(const struct tree_row *row, const struct agent *agent, size_t index,
                     struct text *text)
{
	const void *value = agent_value(agent, row->field, index);

	switch ((enum agent_type)agent_fields[row->field].type) {
	case AGENT_TYPE_STRING:
		tree_string_text(text, *(const char *const *)value);
		break;
	case AGENT_TYPE_NUMBER:
		if (*(const int64_t *)value != AGENT_ABSENT)
			text_printf(text, "%" PRId64 "\n", *(const int64_t *)value);
		break;
	case AGENT_TYPE_LIST: {
		const struct agent_list *list = value;

		if (row->each == TREE_EACH_LABEL)
			tree_string_text(text, list->items[index]);
		else
			for (size_t i = 0; i < list->count; i++)
				tree_line(text, list->items[i]);
		break;
	}
	case AGENT_TYPE_JSON:
		break;
	}
}

/* Files of an agent, in any of its directories */

bool tree_is_field_file(const struct tree_row *row)
{
	return tree_directory_of(row) == TREE_DIRECTORIES && !row->view && row->field < AGENT_JSON;
}

size_t tree_file_count(const struct tree_row *row, const struct agent *agent)
{
	/* A file of gpus/<n>/ exists once for each GPU. */
	const struct tree_row *repeated = row->parent == TREE_GPU ? &tree_rows[TREE_GPU] : row;

	return tree_entry_count(repeated, agent);
}

void tree_file_path(const struct tree_row *row, const struct agent *agent, size_t index,
                    struct text *text)
{
	const struct tree_row *path[TREE_DIRECTORIES + 1]; /* from the file upwards */
	char name[NAME_BYTES];
	size_t length = 1;

	path[0] = row;
	for (; path[length - 1]->parent != TREE_AGENT; length++)
		path[length] = &tree_rows[path[length - 1]->parent];
	while (length-- > 0) {
		tree_entry_name(path[length], agent, index, name);
		text_bytes(text, name, strlen(name));
		text_bytes(text, "/", length > 0);
	}
}

size_t tree_file_in_other(const struct tree_row *row, const struct agent *agent, size_t index,
                          struct agent_finder *other)
{
	if (row->each == TREE_EACH_LABEL)
		return agent_finder_find(other, agent->labels.items[index], index);
	return index < tree_file_count(row, other->agent) ? index : SIZE_MAX;
}

/*
 * Each time an agent is read again, the nanoseconds added to the time of its directories increase
 * by 1; 0 follows 999. A new time makes the kernel list the directory again, with one request,
 * instead of looking up each name in it.
 */
int64_t tree_mtime_ns(const struct tree_row *row, const struct record *record, size_t index)
{
	int64_t bump_ns = record->renewals % 1000;
	bool indexed = row->each == TREE_EACH_LABEL || row->parent == TREE_GPU;

	if (tree_directory_of(row) == TREE_AGENT) {
		const char *heartbeat = record->agent->last_heartbeat;
		int64_t heartbeat_ns = heartbeat ? time_stamp_parse(heartbeat) : -1;

		return (heartbeat_ns >= 0 ? heartbeat_ns : record->first_ns) + bump_ns;
	}
	if (tree_directory_of(row) == TREE_DIRECTORIES)
		bump_ns = 0;
	if (row->field == AGENT_FIELDS)
		return record->first_ns + bump_ns;
	return record_since(record, row->field, indexed ? (uint16_t)index : CHANGES_WHOLE) +
	       bump_ns;
}
