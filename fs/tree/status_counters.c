/* SPDX-License-Identifier: MIT */
/* The figures of a mount: `stats`, and `metrics.prom` of the status directory. */
#include <inttypes.h>

#include "fs/tree/prometheus.h"
#include "fs/tree/status.h"

enum counter {
	COUNTER_REQUESTS,
	COUNTER_BYTES,
	COUNTER_ASKED,
	COUNTER_ARRIVED,
	COUNTER_UNCHANGED,
	COUNTER_SWEEPS,
	COUNTER_PASSES,
	COUNTER_AGENTS,
	COUNTER_DUPLICATES,
	COUNTER_MALFORMED,
	COUNTER_HITS,
	COUNTER_COALESCED,
	COUNTER_TIMEOUTS,
	COUNTER_INTERRUPTS,
	COUNTER_NODES,
	COUNTERS
};

/* Scripts rely on both names of a counter. So pages_asked and pages_arrived keep these names,
 * although the metrics use standard terms. */
static const struct {
	const char *key;    /* in `stats` */
	const char *metric; /* in `metrics.prom` */
	const char *type;
	const char *help;
} counters[COUNTERS] = {
	[COUNTER_REQUESTS] = {"requests", "fleetfs_requests_total", "counter",
                              "HTTP requests sent to the API."},
	[COUNTER_BYTES] = {"bytes", "fleetfs_received_bytes_total", "counter",
                           "Bytes of responses, before decompression."},
	[COUNTER_ASKED] = {"pages_asked", "fleetfs_pages_requested_total", "counter",
                           "Pages of the list that were requested."},
	[COUNTER_ARRIVED] = {"pages_arrived", "fleetfs_pages_received_total", "counter",
                             "Pages of the list that arrived."},
	[COUNTER_UNCHANGED] = {"pages_unchanged", "fleetfs_pages_unchanged_total", "counter",
                               "Pages that arrived as unchanged (304)."},
	[COUNTER_SWEEPS] = {"sweeps", "fleetfs_sweeps_total", "counter",
                            "Times that the whole list was read."},
	[COUNTER_PASSES] = {"passes", "fleetfs_passes_total", "counter",
                            "Passes over the list, repetitions included."},
	[COUNTER_AGENTS] = {"agents", "fleetfs_agents", "gauge", "Agents that are known."},
	[COUNTER_DUPLICATES] = {"duplicates", "fleetfs_duplicates_total", "counter",
                                "Agents that were dropped because another has the same ID."},
	[COUNTER_MALFORMED] = {"malformed", "fleetfs_malformed_total", "counter",
                               "Elements of the list that are no agents."},
	[COUNTER_HITS] = {"hits", "fleetfs_hits_total", "counter",
                          "Queries that were answered from memory."},
	[COUNTER_COALESCED] = {"coalesced", "fleetfs_coalesced_total", "counter",
                               "Queries that waited for a request of another reader."},
	[COUNTER_TIMEOUTS] = {"timeouts", "fleetfs_timeouts_total", "counter",
                              "File operations that took longer than timeout."},
	[COUNTER_INTERRUPTS] = {"interrupts", "fleetfs_interrupts_total", "counter",
                                "File operations whose reader was interrupted."},
	[COUNTER_NODES] = {"nodes", "fleetfs_nodes", "gauge",
                           "Inodes that the kernel holds; equal files may share one."},
};

static const char *const operation_words[STATUS_OPERATIONS] = {
	[STATUS_LOOKUP] = "lookup",       [STATUS_GETATTR] = "getattr",
	[STATUS_READDIR] = "readdirplus", [STATUS_READ] = "read",
	[STATUS_READLINK] = "readlink",   [STATUS_STATFS] = "statfs",
	[STATUS_ACCESS] = "access",       [STATUS_FORGET] = "forget",
	[STATUS_OTHER] = "other",
};

/* Fills in the value of each counter. */
static void status_read_counters(const struct status *status, const struct fleet_health *health,
                                 uint64_t ret_values[static COUNTERS])
{
	ret_values[COUNTER_REQUESTS] = status->http_requests;
	ret_values[COUNTER_BYTES] = status->http_bytes;
	ret_values[COUNTER_ASKED] = health->asked;
	ret_values[COUNTER_ARRIVED] = health->arrived;
	ret_values[COUNTER_UNCHANGED] = health->unchanged;
	ret_values[COUNTER_SWEEPS] = health->sweeps;
	ret_values[COUNTER_PASSES] = health->passes;
	ret_values[COUNTER_AGENTS] = health->agents;
	ret_values[COUNTER_DUPLICATES] = health->duplicates;
	ret_values[COUNTER_MALFORMED] = health->malformed;
	ret_values[COUNTER_HITS] = health->hits;
	ret_values[COUNTER_COALESCED] = health->coalesced;
	ret_values[COUNTER_TIMEOUTS] = status->timeouts;
	ret_values[COUNTER_INTERRUPTS] = status->interrupts;
	ret_values[COUNTER_NODES] = status->nodes;
}

void status_stats(const struct status *status, struct text *text)
{
	struct fleet_health health;
	uint64_t values[COUNTERS];

	fleet_health(status->fleet, &health);
	status_read_counters(status, &health, values);
	text_printf(text, "mounted: ");
	text_time(text, status->started_ns);
	text_printf(text, "\n");
	for (size_t i = 0; i < COUNTERS; i++)
		text_printf(text, "%s: %" PRIu64 "\n", counters[i].key, values[i]);
	for (size_t i = 0; i < STATUS_OPERATIONS; i++)
		text_printf(text, "fuse_%s: %" PRIu64 "\n", operation_words[i],
		            status->operations[i]);
	for (enum failure_cause cause = 0; cause < FAILURE_CAUSES; cause++)
		text_printf(text, "failed_%s: %" PRIu64 "\n", failure_word(cause),
		            health.failures[cause]);
}

/* metrics.prom */

/* Appends a sample; with a label, unless its name is NULL. */
static void status_sample(const struct status *status, struct text *text, const char *metric,
                          const char *label, const char *label_value, uint64_t value)
{
	prometheus_begin(text, metric, status->name);
	if (label)
		prometheus_label(text, label, label_value);
	prometheus_end(text);
	text_printf(text, "%" PRIu64 "\n", value);
}

/* Appends a metric in seconds. Appends nothing if ns is negative: the value is not known. */
static void status_seconds_metric(const struct status *status, struct text *text,
                                  const char *metric, const char *help, int64_t ns)
{
	if (ns < 0)
		return;
	prometheus_head(text, metric, "gauge", help);
	prometheus_begin(text, metric, status->name);
	prometheus_end(text);
	prometheus_time(text, ns);
}

static void status_health_metrics(const struct status *status, const struct fleet_health *health,
                                  struct text *text)
{
	enum status_state state = status_state(health);
	const struct {
		const char *metric;
		const char *help;
		int64_t ns; /* negative: not known */
	} seconds[] = {
		{"fleetfs_start_time_seconds", "When fleetfs started, since 1970.",
	         status->started_ns},
		{"fleetfs_list_age_seconds", "Age of the oldest page of the list.",
	         health->list_age_ms * 1000000},
		{"fleetfs_last_success_timestamp_seconds", "When a page last arrived, since 1970.",
	         health->success_ns > 0 ? health->success_ns : -1},
		{"fleetfs_last_sweep_timestamp_seconds",
	         "When the whole list was last complete, since 1970.",
	         health->sweep_ns > 0 ? health->sweep_ns : -1},
		{"fleetfs_next_refresh_seconds",
	         "Time until the list is read without a reader (refresh).",
	         health->refresh_ms * 1000000},
		{"fleetfs_next_try_seconds",
	         "Time until a failed request is repeated at the earliest.",
	         health->failing ? health->retry_ms * 1000000 : 0},
		{"fleetfs_token_expiry_timestamp_seconds", "When the token expires, since 1970.",
	         status->token_expiry > 0 ? status->token_expiry * 1000000000 : -1},
	};

	prometheus_head(text, "fleetfs_state", "gauge", "1 for the state of the mount.");
	for (size_t i = 0; i < STATUS_STATES; i++)
		status_sample(status, text, "fleetfs_state", "state", status_state_words[i],
		              i == state);
	if (health->swept) {
		prometheus_head(text, "fleetfs_list_verified", "gauge",
		                "Whether the last list agreed with the API's count.");
		status_sample(status, text, "fleetfs_list_verified", NULL, NULL, health->verified);
	}
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		status_seconds_metric(status, text, seconds[i].metric, seconds[i].help,
		                      seconds[i].ns);
}

void status_metrics(const struct status *status, struct text *text)
{
	struct fleet_health health;
	uint64_t values[COUNTERS];

	fleet_health(status->fleet, &health);
	status_read_counters(status, &health, values);
	status_health_metrics(status, &health, text);
	for (size_t i = 0; i < COUNTERS; i++) {
		prometheus_head(text, counters[i].metric, counters[i].type, counters[i].help);
		status_sample(status, text, counters[i].metric, NULL, NULL, values[i]);
	}
	prometheus_head(text, "fleetfs_operations_total", "counter", "Requests of the kernel.");
	for (size_t i = 0; i < STATUS_OPERATIONS; i++)
		status_sample(status, text, "fleetfs_operations_total", "operation",
		              operation_words[i], status->operations[i]);
	prometheus_head(text, "fleetfs_errors_total", "counter", "Failed requests to the API.");
	for (enum failure_cause cause = 0; cause < FAILURE_CAUSES; cause++)
		status_sample(status, text, "fleetfs_errors_total", "cause", failure_word(cause),
		              health.failures[cause]);
}
