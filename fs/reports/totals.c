/* SPDX-License-Identifier: MIT */
#include "fs/reports/totals.h"

#include <stdbool.h>
#include <string.h>

int totals_init(struct totals *totals, uint64_t seed)
{
	int err = 0;

	*totals = (struct totals){0};
	groups_init(&totals->statuses, seed);
	for (size_t i = 0; err == 0 && i < AGENT_STATUSES; i++)
		err = groups_expect(&totals->statuses, agent_statuses[i]);
	return err;
}

void totals_done(struct totals *totals)
{
	groups_done(&totals->statuses);
}

static void totals_add_value(int64_t *sum, int64_t value)
{
	if (value == AGENT_ABSENT || *sum == INT64_MAX || *sum == -INT64_MAX)
		return;
	/* INT64_MIN is AGENT_ABSENT, so no sum is as low. */
	if (__builtin_add_overflow(*sum, value, sum) || *sum == AGENT_ABSENT)
		*sum = value > 0 ? INT64_MAX : -INT64_MAX;
}

int64_t totals_agent_sum(const struct agent *agent, enum agent_field_id field)
{
	size_t count = agent_fields[field].place == AGENT_PLACE_GPU ? agent->gpu_count : 1;
	bool is_present = false;
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t value = *(const int64_t *)agent_value(agent, field, i);

		is_present |= value != AGENT_ABSENT;
		totals_add_value(&sum, value);
	}
	return is_present ? sum : AGENT_ABSENT;
}

/* Whether an agent may get a task. GPUs of the others are free, but of no use. */
static bool totals_is_available(const struct agent *agent)
{
	return agent->status &&
	       (strcmp(agent->status, "idle") == 0 || strcmp(agent->status, "busy") == 0);
}

int totals_add(struct totals *totals, const struct agent *agent)
{
	const struct {
		int64_t *sum;
		enum agent_field_id field;
	} rows[] = {
		{&totals->gpu_capacity, AGENT_GPU_CAPACITY},
		{&totals->gpu_free, AGENT_GPU_FREE},
		{&totals->running_count, AGENT_RUNNING_COUNT},
		{&totals->tasks_completed, AGENT_TASKS_COMPLETED},
		{&totals->vram_total, AGENT_GPU_VRAM_TOTAL},
		{&totals->vram_free, AGENT_GPU_VRAM_FREE},
		{&totals->vram_used, AGENT_GPU_VRAM_USED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		totals_add_value(rows[i].sum, totals_agent_sum(agent, rows[i].field));
	if (totals_is_available(agent))
		totals_add_value(&totals->gpu_available, agent->gpu_free);
	totals->agents++;
	if (!agent->status || !*agent->status)
		return 0;
	totals->with_status++;
	return groups_add(&totals->statuses, agent->status, NULL);
}
