/* SPDX-License-Identifier: MIT */
#include "tests/unit/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct agent agents_blank(const char *id)
{
	return (struct agent){
		.refs = 1,
		.id = id,
		.gpu_capacity = AGENT_ABSENT,
		.gpu_free = AGENT_ABSENT,
		.running_count = AGENT_ABSENT,
		.tasks_completed = AGENT_ABSENT,
		.sync_percent = AGENT_ABSENT,
		.json = "{}\n",
		.json_bytes = 3,
	};
}

struct agent *agents_new(const char *id, const char *status)
{
	static const char format[] = "{\"agent_id\":\"%s\",\"agent_status\":\"%s\"}\n";
	size_t id_bytes = strlen(id) + 1, status_bytes = strlen(status) + 1;
	size_t json_bytes = (size_t)snprintf(NULL, 0, format, id, status);
	struct agent *agent = malloc(sizeof(*agent) + id_bytes + status_bytes + json_bytes + 1);
	char *strings;

	if (!agent)
		abort();
	strings = (char *)(agent + 1);
	*agent = agents_blank(memcpy(strings, id, id_bytes));
	agent->status = memcpy(strings + id_bytes, status, status_bytes);
	strings += id_bytes + status_bytes;
	snprintf(strings, json_bytes + 1, format, id, status);
	agent->json = strings;
	agent->json_bytes = json_bytes;
	return agent;
}

struct page *agents_page(size_t capacity)
{
	struct page *page = calloc(1, sizeof(*page) + capacity * sizeof(page->agents[0]));

	if (!page)
		abort();
	page->total_count = AGENT_ABSENT;
	page->per_page = AGENT_ABSENT;
	return page;
}
