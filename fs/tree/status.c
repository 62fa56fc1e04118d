/* SPDX-License-Identifier: MIT */
#include "fs/tree/status.h"

#include <inttypes.h>
#include <string.h>

void status_readme(const struct status *status, struct text *text)
{
	static const char readme[] =
		"This is a fleet of GPU machines, mounted by fleetfs. Every file is one value.\n"
		"\n"
		"agents/<agent>/          a directory per agent; its mtime is the last heartbeat\n"
		"  id status version last_heartbeat connected_at platform_arch\n"
		"  tool tool_version comfyui_version\n"
		"  gpu_capacity gpu_free running_count running_tasks current_task_id\n"
		"  tasks_completed sync_phase sync_detail sync_percent\n"
		"  labels/<label>         holds the label\n"
		"  system_stats/          comfyui_version pytorch_version os_type\n"
		"  gpus/<n>/              name type vram_total vram_free vram_used (bytes)\n"
		"  agent.json             everything that the API returned for the agent\n"
		"by-status/<status>/      links to the agents with this status; the same for\n"
		"                         by-label/ by-tool/ by-gpu/ by-version/\n"
		"tasks/<task id>          a link to the agent that runs it\n"
		"where/<condition>/...    links to the agents for which the conditions hold:\n"
		"                         where/status=idle/label=a100; see where/README\n"
		"fleet/                   of all agents: summary agents.tsv agents.json "
		"metrics.prom\n"
		"  fleet.html             a page for a browser\n"
		"  events.log             changes since the file was first read;\n"
		"                         events.log.1 is the log before it\n"
		".fleetfs/                about this mount: version config health stats "
		"last_error\n"
		"\n"
		"Nothing is fetched until it is read. Data is served for `ttl` seconds (see\n"
		"config) and then fetched again. An empty file is an absent value.\n"
		"The mtime of a file is when this mount first saw its value.\n"
		"\n"
		"  cat agents/*/status                     the status of each agent\n"
		"  ls by-status/idle                       the idle agents\n"
		"  ls where/status=idle/gpu_free=4         those with four free GPUs\n"
		"  find agents -name status -mmin -5       statuses that changed lately\n"
		"  ls -lt agents | head                    the latest heartbeats\n"
		"  tail -F fleet/events.log                changes as they happen\n"
		"  cat .fleetfs/last_error                 why a read failed\n";

	(void)status;
	text_bytes(text, readme, sizeof(readme) - 1);
}

void status_version(const struct status *status, struct text *text)
{
	text_printf(text, "%s", status->version);
}

void status_config(const struct status *status, struct text *text)
{
	text_bytes(text, status->config, strlen(status->config));
	if (!status->token_kind) {
		text_printf(text, "token: -\n");
		return;
	}
	text_printf(text, "token: %s from ", status->token_kind);
	text_escaped(text, status->token_source);
	text_printf(text, "\n");
}

static void status_time(struct text *text, const char *key, int64_t wall_ns)
{
	text_printf(text, "%s: ", key);
	if (wall_ns > 0)
		text_time(text, wall_ns);
	else
		text_printf(text, "-");
	text_printf(text, "\n");
}

static void status_seconds(struct text *text, const char *key, int64_t ms)
{
	if (ms < 0)
		text_printf(text, "%s: -\n", key);
	else
		text_printf(text, "%s: %" PRId64 ".%03d\n", key, ms / 1000, (int)(ms % 1000));
}

void status_health(const struct status *status, struct text *text)
{
	const struct failure *failure = fleet_last_failure(status->fleet);
	struct fleet_health health;

	fleet_health(status->fleet, &health);
	text_printf(text, "state: %s\n",
	            health.stale ? "stale" : (health.failing ? "failing" : "ok"));
	text_printf(text, "agents: %zu\n", health.agents);
	text_printf(text, "pages: %u\n", health.pages);
	status_seconds(text, "list_age", health.list_age_ms);
	status_time(text, "last_success", health.success_ns);
	status_time(text, "last_sweep", health.sweep_ns);
	text_printf(text, "verified: %s\n", !health.swept ? "-" : (health.verified ? "yes" : "no"));
	status_time(text, "token_expiry", status->token_expiry * 1000000000);
	if (!health.failing || !failure)
		return;
	status_seconds(text, "next_try", health.retry_ms);
	text_printf(text, "reason: ");
	text_escaped(text, failure->message);
	text_printf(text, "\n");
}

void status_stats(const struct status *status, struct text *text)
{
	static const char *const operations[STATUS_OPERATIONS] = {
		[STATUS_LOOKUP] = "lookup",       [STATUS_GETATTR] = "getattr",
		[STATUS_READDIR] = "readdirplus", [STATUS_READ] = "read",
		[STATUS_READLINK] = "readlink",   [STATUS_STATFS] = "statfs",
		[STATUS_ACCESS] = "access",       [STATUS_FORGET] = "forget",
		[STATUS_OTHER] = "other",
	};
	struct fleet_health health;

	fleet_health(status->fleet, &health);
	status_time(text, "mounted", status->mounted_ns);
	text_printf(text, "requests: %" PRIu64 "\n", status->http_requests);
	text_printf(text, "bytes: %" PRIu64 "\n", status->http_bytes);
	text_printf(text, "pages_asked: %" PRIu64 "\n", health.asked);
	text_printf(text, "pages_arrived: %" PRIu64 "\n", health.arrived);
	text_printf(text, "pages_unchanged: %" PRIu64 "\n", health.unchanged);
	text_printf(text, "sweeps: %" PRIu64 "\n", health.sweeps);
	text_printf(text, "passes: %" PRIu64 "\n", health.passes);
	text_printf(text, "agents: %zu\n", health.agents);
	text_printf(text, "duplicates: %" PRIu64 "\n", health.duplicates);
	text_printf(text, "malformed: %" PRIu64 "\n", health.malformed);
	text_printf(text, "hits: %" PRIu64 "\n", health.hits);
	text_printf(text, "coalesced: %" PRIu64 "\n", health.coalesced);
	text_printf(text, "timeouts: %" PRIu64 "\n", status->timeouts);
	text_printf(text, "interrupts: %" PRIu64 "\n", status->interrupts);
	text_printf(text, "nodes: %" PRIu64 "\n", status->nodes);
	for (size_t i = 0; i < STATUS_OPERATIONS; i++)
		text_printf(text, "fuse_%s: %" PRIu64 "\n", operations[i], status->operations[i]);
	for (enum failure_cause cause = 0; cause < FAILURE_CAUSES; cause++)
		text_printf(text, "failed_%s: %" PRIu64 "\n", failure_word(cause),
		            health.failures[cause]);
}

/* Empty if nothing has failed. */
void status_last_error(const struct status *status, struct text *text)
{
	const struct failure *failure = fleet_last_failure(status->fleet);

	if (!failure)
		return;
	status_time(text, "time", failure->at_ns);
	text_printf(text, "kind: %s\n", failure_word(failure->cause));
	text_printf(text, "url: ");
	text_escaped(text, failure->url);
	text_printf(text, "\nhttp_status: ");
	if (failure->http_status)
		text_printf(text, "%u", failure->http_status);
	else
		text_printf(text, "-");
	text_printf(text, "\n");
	status_seconds(text, "retry_after", failure->retry_after_ms);
	text_printf(text, "message: ");
	text_escaped(text, failure->message);
	text_printf(text, "\nremedy: %s\n", failure_remedy(failure));
}
