/* SPDX-License-Identifier: MIT */
#include "api/agent.h"

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
	((struct agent *)(uintptr_t)agent)->refs++;
	return agent;
}

void agent_unref(const struct agent *agent)
{
	struct agent *owned = (struct agent *)(uintptr_t)agent;

	if (owned && --owned->refs == 0)
		free(owned);
}

const char *const agent_statuses[AGENT_STATUSES + 1] = {"idle",   "busy",      "syncing",
                                                        "tunnel", "unhealthy", NULL};

const void *agent_value(const struct agent *agent, enum agent_field_id field, size_t gpu)
{
	const struct agent_field *what = &agent_fields[field];
	const void *base = what->place == AGENT_PLACE_GPU ? (const void *)&agent->gpus[gpu] : agent;

	return (const char *)base + what->offset;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct agent_list *a, const struct agent_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool agent_same(const struct agent *a, const struct agent *b, enum agent_field_id field, size_t gpu)
{
	const void *in_a = agent_value(a, field, gpu);
	const void *in_b = agent_value(b, field, gpu);

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		return same_string(*(const char *const *)in_a, *(const char *const *)in_b);
	case AGENT_TYPE_NUMBER:
		return *(const int64_t *)in_a == *(const int64_t *)in_b;
	case AGENT_TYPE_LIST:
		return same_list(in_a, in_b);
	case AGENT_TYPE_JSON:
		return a->json_bytes == b->json_bytes &&
		       memcmp(a->json, b->json, a->json_bytes) == 0;
	}
	return false;
}

static int compare_labels(const void *a, const void *b, void *user)
{
	const struct agent_list *labels = user;

	return strcmp(labels->items[*(const uint8_t *)a], labels->items[*(const uint8_t *)b]);
}

/* Takes the place of a search through all of them, 256 times 256 when a hostile list is shuffled.
 */
static void sort_labels(struct agent_label_finder *finder)
{
	const struct agent_list *labels = &finder->agent->labels;

	for (size_t i = 0; i < labels->count; i++)
		finder->order[i] = (uint8_t)i;
	qsort_r(finder->order, labels->count, 1, compare_labels, (void *)(uintptr_t)labels);
	finder->sorted = true;
}

size_t agent_find_label(struct agent_label_finder *finder, const char *label, size_t likely)
{
	const struct agent_list *labels = &finder->agent->labels;
	size_t low = 0, high = labels->count;

	if (likely < labels->count && strcmp(labels->items[likely], label) == 0)
		return likely;
	if (!finder->sorted)
		sort_labels(finder);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t position = finder->order[middle];
		int order = strcmp(label, labels->items[position]);

		if (order == 0)
			return position;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return SIZE_MAX;
}

bool validator_is_there(const struct validator *validator)
{
	return validator->etag[0] || validator->last_modified[0];
}

void page_free(struct page *page)
{
	if (!page)
		return;
	for (size_t i = 0; i < page->agent_count; i++)
		agent_unref(page->agents[i]);
	free(page);
}
