/* SPDX-License-Identifier: MIT */
#include "api/model/agent.h"

#include <stdlib.h>
#include <string.h>

#define TOP(key, type, member)                                             \
	{                                                                  \
		key, AGENT_PLACE_TOP, type, offsetof(struct agent, member) \
	}
#define STATS(key, type, member)                                             \
	{                                                                    \
		key, AGENT_PLACE_STATS, type, offsetof(struct agent, member) \
	}
#define GPU(key, type, member)                                                 \
	{                                                                      \
		key, AGENT_PLACE_GPU, type, offsetof(struct agent_gpu, member) \
	}

const struct agent_field agent_fields[AGENT_FIELDS] = {
	[AGENT_ID] = TOP("agent_id", AGENT_TYPE_STRING, id),
	[AGENT_STATUS] = TOP("agent_status", AGENT_TYPE_STRING, status),
	[AGENT_VERSION] = TOP("agent_version", AGENT_TYPE_STRING, version),
	[AGENT_LAST_HEARTBEAT] = TOP("last_heartbeat", AGENT_TYPE_STRING, last_heartbeat),
	[AGENT_CONNECTED_AT] = TOP("connected_at", AGENT_TYPE_STRING, connected_at),
	[AGENT_PLATFORM_ARCH] = TOP("platform_arch", AGENT_TYPE_STRING, platform_arch),
	[AGENT_TOOL] = TOP("tool", AGENT_TYPE_STRING, tool),
	[AGENT_TOOL_VERSION] = TOP("tool_version", AGENT_TYPE_STRING, tool_version),
	[AGENT_COMFYUI_VERSION] = TOP("comfyui_version", AGENT_TYPE_STRING, comfyui_version),
	[AGENT_GPU_CAPACITY] = TOP("gpu_capacity", AGENT_TYPE_NUMBER, gpu_capacity),
	[AGENT_GPU_FREE] = TOP(NULL, AGENT_TYPE_NUMBER, gpu_free),
	[AGENT_RUNNING_COUNT] = TOP("running_count", AGENT_TYPE_NUMBER, running_count),
	[AGENT_RUNNING_TASKS] = TOP("running_tasks", AGENT_TYPE_LIST, running_tasks),
	[AGENT_CURRENT_TASK_ID] = TOP("current_task_id", AGENT_TYPE_STRING, current_task_id),
	[AGENT_TASKS_COMPLETED] = TOP("tasks_completed", AGENT_TYPE_NUMBER, tasks_completed),
	[AGENT_SYNC_PHASE] = TOP("sync_phase", AGENT_TYPE_STRING, sync_phase),
	[AGENT_SYNC_DETAIL] = TOP("sync_detail", AGENT_TYPE_STRING, sync_detail),
	[AGENT_SYNC_PERCENT] = TOP("sync_percent", AGENT_TYPE_NUMBER, sync_percent),
	[AGENT_LABELS] = TOP("agent_labels", AGENT_TYPE_LIST, labels),
	[AGENT_STATS_COMFYUI_VERSION] =
		STATS("comfyui_version", AGENT_TYPE_STRING, system_stats.comfyui_version),
	[AGENT_STATS_PYTORCH_VERSION] =
		STATS("pytorch_version", AGENT_TYPE_STRING, system_stats.pytorch_version),
	[AGENT_STATS_OS_TYPE] = STATS("os_type", AGENT_TYPE_STRING, system_stats.os_type),
	[AGENT_GPU_NAME] = GPU("device_name", AGENT_TYPE_STRING, device_name),
	[AGENT_GPU_TYPE] = GPU("device_type", AGENT_TYPE_STRING, device_type),
	[AGENT_GPU_VRAM_TOTAL] = GPU("vram_total", AGENT_TYPE_NUMBER, vram_total),
	[AGENT_GPU_VRAM_FREE] = GPU("vram_free", AGENT_TYPE_NUMBER, vram_free),
	[AGENT_GPU_VRAM_USED] = GPU(NULL, AGENT_TYPE_NUMBER, vram_used),
	[AGENT_JSON] = TOP(NULL, AGENT_TYPE_JSON, json),
};

const struct agent *agent_ref(const struct agent *agent)
{
	/* The count is the one member that may change; uintptr_t avoids -Wcast-qual. */
	struct agent *counted = (struct agent *)(uintptr_t)agent;

	counted->refs++;
	return agent;
}

void agent_unref(const struct agent *agent)
{
	struct agent *owned = (struct agent *)(uintptr_t)agent;

	if (owned && --owned->refs == 0)
		free(owned);
}

const char *const agent_statuses[AGENT_STATUSES + 1] = {
	"idle", "busy", "syncing", "tunnel", "unhealthy", NULL,
};

const void *agent_value(const struct agent *agent, enum agent_field_id field, size_t gpu)
{
	const struct agent_field *row = &agent_fields[field];
	const void *base = row->place == AGENT_PLACE_GPU ? (const void *)&agent->gpus[gpu] : agent;

	return (const char *)base + row->offset;
}

static bool agent_string_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool agent_list_equal(const struct agent_list *a, const struct agent_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool agent_field_equal(const struct agent *a, const struct agent *b, enum agent_field_id field,
                       size_t gpu)
{
	const void *value_a = agent_value(a, field, gpu);
	const void *value_b = agent_value(b, field, gpu);

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		return agent_string_equal(*(const char *const *)value_a,
		                          *(const char *const *)value_b);
	case AGENT_TYPE_NUMBER:
		return *(const int64_t *)value_a == *(const int64_t *)value_b;
	case AGENT_TYPE_LIST:
		return agent_list_equal(value_a, value_b);
	case AGENT_TYPE_JSON:
		return a->json_bytes == b->json_bytes &&
		       memcmp(a->json, b->json, a->json_bytes) == 0;
	}
	return false;
}

static bool agent_gpus_equal(const struct agent *a, const struct agent *b,
                             enum agent_field_id field)
{
	for (size_t i = 0; i < a->gpu_count; i++)
		if (!agent_field_equal(a, b, field, i))
			return false;
	return true;
}

bool agent_equal(const struct agent *a, const struct agent *b)
{
	if (!agent_field_equal(a, b, AGENT_JSON, 0) || a->gpu_count != b->gpu_count)
		return false;
	if (!a->lossy && !b->lossy)
		return true;
	for (enum agent_field_id field = 0; field < AGENT_JSON; field++)
		if (agent_fields[field].place == AGENT_PLACE_GPU
		            ? !agent_gpus_equal(a, b, field)
		            : !agent_field_equal(a, b, field, 0))
			return false;
	return true;
}

size_t agent_string_count(const struct agent *agent, enum agent_field_id field)
{
	if (field == AGENT_RUNNING_TASKS)
		return agent->running_tasks.count + 1;
	if (agent_fields[field].place == AGENT_PLACE_GPU)
		return agent->gpu_count;
	return field == AGENT_LABELS ? agent->labels.count : 1;
}

const char *agent_string(const struct agent *agent, enum agent_field_id field, size_t index)
{
	const char *string;

	if (field == AGENT_LABELS) /* an empty label counts, unlike other empty strings */
		return agent->labels.items[index];
	if (field == AGENT_RUNNING_TASKS)
		string = index < agent->running_tasks.count ? agent->running_tasks.items[index]
		                                            : agent->current_task_id;
	else
		string = *(const char *const *)agent_value(agent, field, index);
	return string && *string ? string : NULL;
}

static int agent_finder_compare(const void *a, const void *b, void *user)
{
	const struct agent_finder *finder = user;

	return strcmp(agent_string(finder->agent, finder->field, *(const uint16_t *)a),
	              agent_string(finder->agent, finder->field, *(const uint16_t *)b));
}

void agent_finder_init(struct agent_finder *finder, const struct agent *agent,
                       enum agent_field_id field)
{
	finder->agent = agent;
	finder->field = field;
	finder->sorted = false;
	finder->count = 0;
}

static void agent_finder_sort(struct agent_finder *finder)
{
	size_t count = agent_string_count(finder->agent, finder->field);

	for (size_t i = 0; i < count && i < AGENT_MAX_STRINGS; i++)
		if (agent_string(finder->agent, finder->field, i))
			finder->order[finder->count++] = (uint16_t)i;
	qsort_r(finder->order, finder->count, sizeof(finder->order[0]), agent_finder_compare,
	        finder);
	finder->sorted = true;
}

size_t agent_finder_find(struct agent_finder *finder, const char *string, size_t hint)
{
	const char *hinted = hint < agent_string_count(finder->agent, finder->field)
	                             ? agent_string(finder->agent, finder->field, hint)
	                             : NULL;
	size_t low = 0, high; /* the string is in order[low] to order[high - 1], if at all */

	if (hinted && strcmp(hinted, string) == 0)
		return hint;
	if (!finder->sorted)
		agent_finder_sort(finder);
	high = finder->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t index = finder->order[middle];
		int order = strcmp(string, agent_string(finder->agent, finder->field, index));

		if (order == 0)
			return index;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return SIZE_MAX;
}
