/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "api/model/time_stamp.h"
#include "fs/reports/sheets.h"
#include "fs/tree/names.h"
#include "fs/tree/tree.h"

/*
 * metrics.prom. Two samples with the same name and labels make the whole file worthless, and an
 * agent chooses its own strings: so what has to tell samples apart (agent, and the status of a sum)
 * is written as it is named in the tree, where different strings have different names.
 */

static void head(struct text *text, const char *name, const char *type, const char *help)
{
	text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void moment(struct text *text, int64_t ns)
{
	text_printf(text, " %" PRId64 ".%03d\n", ns / 1000000000, (int)(ns / 1000000 % 1000));
}

/* Of each agent: a text for each metric, since all its samples have to stand together. */

struct metric {
	const char *name;
	const char *type;
	const char *help;
	enum agent_field_id field;
	void (*samples)(struct text *text, const struct metric *metric,
	                const struct document_row *row);
};

static void label(struct text *text, const char *name, const char *value)
{
	text_printf(text, "%s=", name);
	text_quoted(text, value);
}

/* The name, and the labels but for what closes them. */
static void sample(struct text *text, const struct metric *metric, const struct agent *agent)
{
	char name[NAME_BYTES];

	name_encode(agent->id, name);
	text_printf(text, "%s{", metric->name);
	label(text, "agent", name);
}

static void info(struct text *text, const struct metric *metric, const struct document_row *row)
{
	const struct agent *agent = row->agent;

	sample(text, metric, row->agent);
	label(text, ",status", agent->status);
	label(text, ",tool", agent->tool);
	label(text, ",tool_version", agent->tool_version);
	label(text, ",version", agent->version);
	label(text, ",platform_arch", agent->platform_arch);
	text_printf(text, "} 1\n");
}

static void number(struct text *text, const struct metric *metric, const struct document_row *row)
{
	int64_t value = *(const int64_t *)agent_value(row->agent, metric->field, 0);

	if (value == AGENT_ABSENT)
		return;
	sample(text, metric, row->agent);
	text_printf(text, "} %" PRId64 "\n", value);
}

static void ratio(struct text *text, const struct metric *metric, const struct document_row *row)
{
	int64_t percent = *(const int64_t *)agent_value(row->agent, metric->field, 0);
	uint64_t size = percent < 0 ? -(uint64_t)percent : (uint64_t)percent;

	if (percent == AGENT_ABSENT)
		return;
	sample(text, metric, row->agent);
	text_printf(text, "} %s%" PRIu64 ".%02d\n", percent < 0 ? "-" : "", size / 100,
	            (int)(size % 100));
}

static void timestamp(struct text *text, const struct metric *metric,
                      const struct document_row *row)
{
	const char *string = *(const char *const *)agent_value(row->agent, metric->field, 0);
	int64_t ns = string ? time_stamp_parse(string) : -1;

	if (ns < 0)
		return;
	sample(text, metric, row->agent);
	text_printf(text, "}");
	moment(text, ns);
}

static void gpus(struct text *text, const struct metric *metric, const struct document_row *row)
{
	const struct agent *agent = row->agent;

	for (size_t i = 0; i < agent->gpu_count; i++) {
		int64_t value = *(const int64_t *)agent_value(agent, metric->field, i);

		if (value == AGENT_ABSENT)
			continue;
		sample(text, metric, row->agent);
		text_printf(text, ",gpu=\"%zu\"", i);
		label(text, ",model", agent->gpus[i].device_name);
		text_printf(text, "} %" PRId64 "\n", value);
	}
}

static const struct metric metrics[] = {
	{"fleet_agent_info", "gauge", "What the agent is; always 1.", AGENT_ID, info},
	{"fleet_agent_gpu_capacity", "gauge", "GPUs that the agent offers to tasks.",
         AGENT_GPU_CAPACITY, number},
	{"fleet_agent_gpu_free", "gauge", "GPUs of the agent that run no task.", AGENT_GPU_FREE,
         number},
	{"fleet_agent_tasks_running", "gauge", "Tasks that run on the agent.", AGENT_RUNNING_COUNT,
         number},
	{"fleet_agent_tasks_completed_total", "counter", "Tasks that the agent has completed.",
         AGENT_TASKS_COMPLETED, number},
	{"fleet_agent_sync_ratio", "gauge", "How much of its models a syncing agent has pulled.",
         AGENT_SYNC_PERCENT, ratio},
	{"fleet_agent_last_heartbeat_timestamp_seconds", "gauge",
         "When the agent was last heard of, since 1970.", AGENT_LAST_HEARTBEAT, timestamp},
	{"fleet_agent_connected_timestamp_seconds", "gauge",
         "When the agent connected, since 1970.", AGENT_CONNECTED_AT, timestamp},
	{"fleet_gpu_vram_total_bytes", "gauge", "Memory of the GPU.", AGENT_GPU_VRAM_TOTAL, gpus},
	{"fleet_gpu_vram_free_bytes", "gauge", "Free memory of the GPU.", AGENT_GPU_VRAM_FREE,
         gpus},
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

/* The texts: about the list, the agents of each status, sums, and one for each metric. */
enum { TEXT_LIST, TEXT_STATUSES, TEXT_SUMS, TEXT_METRICS };

_Static_assert(TEXT_METRICS + METRICS <= DOCUMENT_TEXTS, "a text for each");

/* Of the fleet */

/* About the list that is being written; that it was just told is what makes the health its own. */
static void begin(struct draft *draft)
{
	struct text *text = draft_text(draft, TEXT_LIST);
	struct fleet_health health;

	fleet_health(draft->fleet, &health);
	head(text, "fleet_list_timestamp_seconds", "gauge",
	     "When the oldest part of what stands here was read, since 1970.");
	text_printf(text, "fleet_list_timestamp_seconds");
	moment(text, fleet_wall_ns(draft->fleet) - health.list_age_ms * 1000000);
	head(text, "fleet_list_verified", "gauge",
	     "Whether the agents that were read are as many as the API counts.");
	text_printf(text, "fleet_list_verified %d\n", health.verified);
	head(text, "fleet_agents", "gauge", "Agents of this status.");
	for (size_t i = 0; i < METRICS; i++)
		head(draft_text(draft, TEXT_METRICS + i), metrics[i].name, metrics[i].type,
		     metrics[i].help);
}

static void row(struct text *text, size_t number, const struct document_row *row)
{
	const struct metric *metric = &metrics[number - TEXT_METRICS];

	metric->samples(text, metric, row);
}

static void count(struct text *text, const char *status, size_t agents)
{
	text_printf(text, "fleet_agents{");
	label(text, "status", status);
	text_printf(text, "} %zu\n", agents);
}

static void of_status(struct draft *draft, const struct group *status)
{
	char name[NAME_BYTES];

	name_encode(status->value, name);
	count(draft_text(draft, TEXT_STATUSES), name, status->count);
}

/* Counts the agents without a status too, so that the sum over all statuses is the number of
 * agents. */
static void without_status(struct draft *draft)
{
	const struct sums *sums = &draft->sums;

	if (sums->with_status < sums->agents)
		count(draft_text(draft, TEXT_STATUSES), "", sums->agents - sums->with_status);
}

/* Tasks completed are not among these: the sum falls when an agent leaves, which would count as a
 * restart and raise every rate. Sum the rates of the agents instead. */
static void end(struct draft *draft)
{
	const struct sums *sums = &draft->sums;
	struct text *text = draft_text(draft, TEXT_SUMS);
	const struct {
		const char *name;
		const char *help;
		int64_t value;
	} rows[] = {
		{"fleet_gpu_capacity", "GPUs that all agents offer to tasks.", sums->gpu_capacity},
		{"fleet_gpu_free", "GPUs of all agents that run no task.", sums->gpu_free},
		{"fleet_tasks_running", "Tasks that run on all agents.", sums->running_count},
		{"fleet_vram_total_bytes", "Memory of all GPUs.", sums->vram_total},
		{"fleet_vram_free_bytes", "Free memory of all GPUs.", sums->vram_free},
		{"fleet_vram_used_bytes", "Used memory of all GPUs.", sums->vram_used},
	};

	without_status(draft);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		head(text, rows[i].name, "gauge", rows[i].help);
		text_printf(text, "%s %" PRId64 "\n", rows[i].name, rows[i].value);
	}
}

const struct sheet sheet_metrics = {.begin = begin,
                                    .row = row,
                                    .status = of_status,
                                    .end = end,
                                    .first_text = TEXT_METRICS,
                                    .row_texts = METRICS};
