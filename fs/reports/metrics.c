/* SPDX-License-Identifier: MIT */

/*
 * metrics.prom. Prometheus rejects the whole file if two samples have the same name and labels, and
 * an agent chooses its own strings. So the labels that must differ between samples (agent, label,
 * and the status of fleet_agents) are written as file names, which differ for different strings.
 */
#include <inttypes.h>
#include <string.h>

#include "api/model/time_stamp.h"
#include "fs/reports/report_kinds.h"
#include "fs/tree/names.h"
#include "fs/tree/prometheus.h"
#include "fs/tree/tree.h"

/* Metrics of agents: a section for each, since all samples of a metric have to be adjacent. */

struct metric {
	const char *name;
	const char *type;
	const char *help;
	enum agent_field_id field;
	void (*write)(struct text *text, const struct metric *metric, const struct report_row *row);
};

/* Begins a sample of an agent. */
static void metric_begin_sample(struct text *text, const struct metric *metric,
                                const struct report_row *row)
{
	char name[NAME_BYTES];

	name_encode(row->agent->id, name);
	prometheus_begin(text, metric->name, row->fleet_name);
	prometheus_label(text, "agent", name);
}

static void metric_end_sample(struct text *text, int64_t value)
{
	prometheus_end(text);
	text_printf(text, "%" PRId64 "\n", value);
}

static void metric_write_info(struct text *text, const struct metric *metric,
                              const struct report_row *row)
{
	const struct agent *agent = row->agent;

	metric_begin_sample(text, metric, row);
	prometheus_label(text, "status", agent->status);
	prometheus_label(text, "tool", agent->tool);
	prometheus_label(text, "tool_version", agent->tool_version);
	prometheus_label(text, "version", agent->version);
	prometheus_label(text, "platform_arch", agent->platform_arch);
	metric_end_sample(text, 1);
}

/* The labels of an agent differ, but two of them may look the same once they are escaped. */
static void metric_write_labels(struct text *text, const struct metric *metric,
                                const struct report_row *row)
{
	const struct agent_list *labels = agent_value(row->agent, metric->field, 0);
	char name[NAME_BYTES];

	for (size_t i = 0; i < labels->count; i++) {
		name_encode(labels->items[i], name);
		metric_begin_sample(text, metric, row);
		prometheus_label(text, "label", name);
		metric_end_sample(text, 1);
	}
}

static void metric_write_number(struct text *text, const struct metric *metric,
                                const struct report_row *row)
{
	int64_t value = *(const int64_t *)agent_value(row->agent, metric->field, 0);

	if (value == AGENT_ABSENT)
		return;
	metric_begin_sample(text, metric, row);
	metric_end_sample(text, value);
}

static void metric_write_ratio(struct text *text, const struct metric *metric,
                               const struct report_row *row)
{
	int64_t percent = *(const int64_t *)agent_value(row->agent, metric->field, 0);
	uint64_t size = percent < 0 ? -(uint64_t)percent : (uint64_t)percent;

	if (percent == AGENT_ABSENT)
		return;
	metric_begin_sample(text, metric, row);
	prometheus_end(text);
	text_printf(text, "%s%" PRIu64 ".%02d\n", percent < 0 ? "-" : "", size / 100,
	            (int)(size % 100));
}

static void metric_write_time(struct text *text, const struct metric *metric,
                              const struct report_row *row)
{
	const char *string = *(const char *const *)agent_value(row->agent, metric->field, 0);
	int64_t ns = string ? time_stamp_parse(string) : -1;

	if (ns < 0)
		return;
	metric_begin_sample(text, metric, row);
	prometheus_end(text);
	prometheus_time(text, ns);
}

static void metric_write_gpus(struct text *text, const struct metric *metric,
                              const struct report_row *row)
{
	const struct agent *agent = row->agent;

	for (size_t i = 0; i < agent->gpu_count; i++) {
		int64_t value = *(const int64_t *)agent_value(agent, metric->field, i);

		if (value == AGENT_ABSENT)
			continue;
		metric_begin_sample(text, metric, row);
		text_printf(text, ",gpu=\"%zu\"", i);
		prometheus_label(text, "model", agent->gpus[i].device_name);
		metric_end_sample(text, value);
	}
}

static const struct metric metrics[] = {
	{"fleet_agent_info", "gauge", "What the agent is; always 1.", AGENT_ID, metric_write_info},
	{"fleet_agent_label", "gauge", "A label of the agent; always 1.", AGENT_LABELS,
         metric_write_labels},
	{"fleet_agent_gpu_capacity", "gauge", "GPUs that the agent offers to tasks.",
         AGENT_GPU_CAPACITY, metric_write_number},
	{"fleet_agent_gpu_free", "gauge", "GPUs of the agent that run no task.", AGENT_GPU_FREE,
         metric_write_number},
	{"fleet_agent_tasks_running", "gauge", "Tasks that run on the agent.", AGENT_RUNNING_COUNT,
         metric_write_number},
	{"fleet_agent_tasks_completed_total", "counter", "Tasks that the agent has completed.",
         AGENT_TASKS_COMPLETED, metric_write_number},
	{"fleet_agent_sync_ratio", "gauge", "How much of its models a syncing agent has pulled.",
         AGENT_SYNC_PERCENT, metric_write_ratio},
	{"fleet_agent_last_heartbeat_timestamp_seconds", "gauge",
         "When the agent was last heard of, since 1970.", AGENT_LAST_HEARTBEAT, metric_write_time},
	{"fleet_agent_connected_timestamp_seconds", "gauge",
         "When the agent connected, since 1970.", AGENT_CONNECTED_AT, metric_write_time},
	{"fleet_gpu_vram_total_bytes", "gauge", "Memory of the GPU.", AGENT_GPU_VRAM_TOTAL,
         metric_write_gpus},
	{"fleet_gpu_vram_free_bytes", "gauge", "Free memory of the GPU.", AGENT_GPU_VRAM_FREE,
         metric_write_gpus},
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

/* The sections: about the list, the number of agents of each status, sums, and each metric of the
 * agents. */
enum { SECTION_LIST, SECTION_STATUSES, SECTION_SUMS, SECTION_METRICS };

/* Metrics of the fleet */

/* Appends the only sample of a metric. */
static void metrics_write_value(struct report_builder *builder, size_t section, const char *name,
                                int64_t value)
{
	struct text *text = report_builder_text(builder, section);

	prometheus_begin(text, name, builder->status->name);
	metric_end_sample(text, value);
}

/* The report is of the newest list, which is the list that the health describes, too. */
static void metrics_begin(struct report_builder *builder)
{
	struct text *text = report_builder_text(builder, SECTION_LIST);
	struct fleet_health health;

	fleet_health(builder->fleet, &health);
	prometheus_head(text, "fleet_list_timestamp_seconds", "gauge",
	                "When the oldest page of the list was read, since 1970.");
	prometheus_begin(text, "fleet_list_timestamp_seconds", builder->status->name);
	prometheus_end(text);
	prometheus_time(text, fleet_wall_ns(builder->fleet) - health.list_age_ms * 1000000);
	prometheus_head(text, "fleet_list_verified", "gauge",
	                "Whether the agents that were read are as many as the API counts.");
	metrics_write_value(builder, SECTION_LIST, "fleet_list_verified", health.verified);
	prometheus_head(text, "fleet_agents", "gauge", "Agents of this status.");
	for (size_t i = 0; i < METRICS; i++)
		prometheus_head(report_builder_text(builder, SECTION_METRICS + i), metrics[i].name,
		                metrics[i].type, metrics[i].help);
}

static void metrics_row(struct text *text, size_t section, const struct report_row *row)
{
	const struct metric *metric = &metrics[section - SECTION_METRICS];

	metric->write(text, metric, row);
}

static void metrics_write_count(struct report_builder *builder, const char *status, size_t agents)
{
	struct text *text = report_builder_text(builder, SECTION_STATUSES);

	prometheus_begin(text, "fleet_agents", builder->status->name);
	prometheus_label(text, "status", status);
	metric_end_sample(text, (int64_t)agents);
}

static void metrics_write_status(struct report_builder *builder, const struct group *group)
{
	char name[NAME_BYTES];

	name_encode(group->value, name);
	metrics_write_count(builder, name, group->count);
}

/* Counts the agents without a status, so that the sum over all statuses is the number of agents. */
static void metrics_without_status(struct report_builder *builder)
{
	const struct totals *totals = &builder->totals;

	if (totals->with_status < totals->agents)
		metrics_write_count(builder, "", totals->agents - totals->with_status);
}

/* There is no sum of completed tasks: it would fall when an agent departs, which Prometheus takes
 * for a restart of the counter and adds to every rate. Sum the rates of the agents instead. */
static void metrics_end(struct report_builder *builder)
{
	const struct totals *totals = &builder->totals;
	struct text *text = report_builder_text(builder, SECTION_SUMS);
	const struct {
		const char *name;
		const char *help;
		int64_t value;
	} rows[] = {
		{"fleet_gpu_capacity", "GPUs that all agents offer to tasks.",
	         totals->gpu_capacity},
		{"fleet_gpu_free", "GPUs of all agents that run no task.", totals->gpu_free},
		{"fleet_gpu_available", "GPUs that run no task, of agents that are idle or busy.",
	         totals->gpu_available},
		{"fleet_tasks_running", "Tasks that run on all agents.", totals->running_count},
		{"fleet_vram_total_bytes", "Memory of all GPUs.", totals->vram_total},
		{"fleet_vram_free_bytes", "Free memory of all GPUs.", totals->vram_free},
		{"fleet_vram_used_bytes", "Used memory of all GPUs.", totals->vram_used},
	};

	metrics_without_status(builder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		prometheus_head(text, rows[i].name, "gauge", rows[i].help);
		metrics_write_value(builder, SECTION_SUMS, rows[i].name, rows[i].value);
	}
}

const struct report_kind report_metrics = {.begin = metrics_begin,
                                           .write_row = metrics_row,
                                           .write_status = metrics_write_status,
                                           .end = metrics_end,
                                           .sections = SECTION_METRICS + METRICS,
                                           .rows_begin = SECTION_METRICS,
                                           .rows_end = SECTION_METRICS + METRICS};
