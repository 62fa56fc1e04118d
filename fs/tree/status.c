/* SPDX-License-Identifier: MIT */
#include "fs/tree/status.h"

#include <inttypes.h>
#include <string.h>

void status_readme(const struct status *status, struct text *text)
{
	static const char readme[] =
		"A fleet of GPU machines, mounted by fleetfs. Each file contains one value; an\n"
		"empty file is an absent value. Memory is in bytes. Nothing can be written.\n"
		"\n"
		"agents/<agent>/      id status version last_heartbeat connected_at\n"
		"                     platform_arch tool tool_version comfyui_version\n"
		"                     gpu_capacity gpu_free running_count running_tasks\n"
		"                     current_task_id tasks_completed sync_phase sync_detail\n"
		"                     sync_percent labels/ system_stats/ agent.json\n"
		"                     gpus/<n>/: name type vram_total vram_free vram_used\n"
		"by-status/<status>/  links to agents; alike: by-label/ by-tool/ by-gpu/\n"
		"                     by-version/. tasks/<task id> is a link to the task's agent\n"
		"where/               questions: ls where/status=idle/label=a100, where/README\n"
		"fleet/               summary agents.tsv gpus.tsv agents.json agents.jsonl\n"
		"                     metrics.prom fleet.html events.log events.log.1\n"
		".fleetfs/            version config health stats metrics.prom last_error\n"
		"\n"
		"cheap to read        README, .fleetfs/, known paths in agents/ (one page)\n"
		"reads whole list     ls agents, ls -l fleet, an unknown agent, by-*/, tasks/,\n"
		"                     questions, fleet/*; once per ttl (.fleetfs/config)\n"
		"names                %XX is a byte: % / control characters, leading . or -\n"
		"values               \\xNN is a byte of a control character\n"
		"mtime                when this mount first saw the value (find -newer README);\n"
		"                     of agents/<agent>, the last heartbeat\n"
		"tunnel               the status of an agent with an open web tunnel: no tasks\n"
		"gpu_free             gpu_capacity less running tasks; absent if unknown\n"
		"gpu_available        the gpu_free of agents that are idle or busy\n"
		"events.log           time agent field old new, from its first read (tail -F);\n"
		"                     when it is full, it becomes events.log.1\n"
		"health               result of past requests; to send some, read fleet/summary\n"
		"                     stale: old data, API fails or is slow; failing: no data;\n"
		"                     verified: the last whole list agrees with the API's count\n"
		"stats                HELP lines in .fleetfs/metrics.prom explain it\n"
		"last_error           why a request to the API last failed, even if later ones\n"
		"                     succeed; not why a question is wrong. While the API fails,\n"
		"                     an unknown name gets that error, not \"No such file\"\n"
		"man fleetfs          all the rest\n";

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

const char *const status_state_words[STATUS_STATES] = {
	[STATUS_OK] = "ok",
	[STATUS_STALE] = "stale",
	[STATUS_FAILING] = "failing",
};

enum status_state status_state(const struct fleet_health *health)
{
	if (health->stale)
		return STATUS_STALE;
	return health->failing ? STATUS_FAILING : STATUS_OK;
}

void status_health(const struct status *status, struct text *text)
{
	const struct failure *failure = fleet_last_failure(status->fleet);
	struct fleet_health health;

	fleet_health(status->fleet, &health);
	text_printf(text, "state: %s\n", status_state_words[status_state(&health)]);
	text_printf(text, "agents: %zu\n", health.agents);
	text_printf(text, "pages: %u\n", health.pages);
	status_seconds(text, "list_age", health.list_age_ms);
	status_time(text, "last_success", health.success_ns);
	status_time(text, "last_sweep", health.sweep_ns);
	text_printf(text, "verified: %s\n", !health.swept ? "-" : (health.verified ? "yes" : "no"));
	status_time(text, "token_expiry", status->token_expiry * 1000000000);
	status_seconds(text, "next_refresh", health.refresh_ms);
	if (!health.failing || !failure)
		return;
	status_seconds(text, "next_try", health.retry_ms);
	text_printf(text, "reason: ");
	text_escaped(text, failure->message);
	text_printf(text, "\n");
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
	text_escaped(text, *failure->url ? failure->url : "-");
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
