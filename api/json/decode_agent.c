/* SPDX-License-Identifier: MIT */
#include "api/json/decode_agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"
#include "api/json/json_rewrite.h"

#define TEXT_OF(macro)         TEXT_OF_TOKENS(macro)
#define TEXT_OF_TOKENS(tokens) #tokens

const char *decode_limit_exceeded(const struct json_span *span)
{
	if (span->bytes > DECODE_MAX_AGENT_BYTES)
		return "it is larger than " TEXT_OF(DECODE_MAX_AGENT_MIB) " MiB";
	if (span->flags & JSON_TOO_DEEP)
		return "it is nested deeper than " TEXT_OF(DECODE_MAX_DEPTH);
	if (span->flags & JSON_TOO_MANY_TOKENS)
		return "it has more than " TEXT_OF(DECODE_MAX_TOKENS) " values and keys";
	return NULL;
}

const cJSON *decode_parse(struct decoder *decoder, const struct json_span *span)
{
	json_pool_reset(&decoder->pool);
	return json_parse(&decoder->pool, decoder->text + span->offset, span->bytes,
	                  span->flags & JSON_NEEDS_NORMALIZE);
}

/* Finding the members of an agent in cJSON's tree */

static bool field_has_key(size_t id, enum agent_place place, const char *key)
{
	const struct agent_field *field = &agent_fields[id];

	return field->place == place && field->key && *field->key == *key &&
	       strcmp(field->key, key) == 0;
}

/* Returns the field with a key, or AGENT_FIELDS if no field has it. guess: the field to try first.
 */
static size_t field_by_key(enum agent_place place, const char *key, size_t guess)
{
	if (field_has_key(guess, place, key))
		return guess;
	for (size_t id = 0; id < AGENT_FIELDS; id++)
		if (field_has_key(id, place, key))
			return id;
	return AGENT_FIELDS;
}

/*
 * Sets found[field] for each member of an object that is a field of this place. If a key occurs
 * more than once, the last one counts. Walks the object once: with 10^5 keys, a search for each
 * field would take seconds.
 */
static void find_fields(struct decoder *decoder, const cJSON *object, enum agent_place place,
                        const cJSON *found[static AGENT_FIELDS])
{
	struct decode_order *order = &decoder->orders[place];
	size_t last = AGENT_FIELDS;

	if (!json_is(object, cJSON_Object))
		return;
	for (const cJSON *item = object->child; item; item = item->next) {
		size_t id = field_by_key(place, item->string, order->after[last]);

		if (id == AGENT_FIELDS)
			continue;
		order->after[last] = (uint8_t)id;
		last = id;
		found[id] = item;
	}
}

/* The members of an agent in cJSON's tree, and the memory that they need. */
struct agent_parts {
	const cJSON *fields[AGENT_FIELDS]; /* except those of GPUs */
	const cJSON *gpus;                 /* the first of gpu_devices */
	size_t gpu_count;
	const cJSON *labels[AGENT_MAX_LABELS];
	size_t label_count;
	size_t task_count;
	size_t string_bytes; /* of all strings, including NULs */
};

/* Returns the bytes of a string, including its NUL; 0 if the item is missing or not a string. */
static size_t item_string_bytes(const cJSON *item)
{
	return json_is(item, cJSON_String) ? strlen(item->valuestring) + 1 : 0;
}

static size_t field_string_bytes(const cJSON *const found[static AGENT_FIELDS])
{
	size_t bytes = 0;

	for (size_t i = 0; i < AGENT_FIELDS; i++)
		if (agent_fields[i].type == AGENT_TYPE_STRING)
			bytes += item_string_bytes(found[i]);
	return bytes;
}

/* Returns the first string among item and the items after it, or NULL. */
static const cJSON *next_string(const cJSON *item)
{
	while (item && !json_is(item, cJSON_String))
		item = item->next;
	return item;
}

static const cJSON *first_string(const cJSON *array)
{
	return json_is(array, cJSON_Array) ? next_string(array->child) : NULL;
}

static bool parts_have_label(const struct agent_parts *parts, const char *label)
{
	for (size_t i = 0; i < parts->label_count; i++)
		if (strcmp(parts->labels[i]->valuestring, label) == 0)
			return true;
	return false;
}

static void parts_find_lists(struct agent_parts *parts)
{
	size_t seen = 0;

	/* Duplicates count against the limit, too. Otherwise a list of a million duplicates would
	 * be compared as a whole with up to AGENT_MAX_LABELS labels. */
	for (const cJSON *item = first_string(parts->fields[AGENT_LABELS]);
	     item && seen++ < AGENT_MAX_LABELS; item = next_string(item->next)) {
		if (parts_have_label(parts, item->valuestring))
			continue;
		parts->labels[parts->label_count++] = item;
		parts->string_bytes += item_string_bytes(item);
	}
	for (const cJSON *item = first_string(parts->fields[AGENT_RUNNING_TASKS]);
	     item && parts->task_count < AGENT_MAX_TASKS; item = next_string(item->next)) {
		parts->task_count++;
		parts->string_bytes += item_string_bytes(item);
	}
}

static void parts_find(struct decoder *decoder, const cJSON *object, struct agent_parts *parts)
{
	const cJSON *stats = json_member(object, "system_stats");
	const cJSON *gpus = json_member(stats, "gpu_devices");

	memset(parts->fields, 0, sizeof(parts->fields));
	find_fields(decoder, object, AGENT_PLACE_TOP, parts->fields);
	find_fields(decoder, stats, AGENT_PLACE_STATS, parts->fields);
	parts->string_bytes = field_string_bytes(parts->fields);
	parts->label_count = 0;
	parts->task_count = 0;
	parts_find_lists(parts);
	parts->gpus = json_is(gpus, cJSON_Array) ? gpus->child : NULL;
	parts->gpu_count = 0;
	for (const cJSON *gpu = parts->gpus; gpu && parts->gpu_count < AGENT_MAX_GPUS;
	     gpu = gpu->next) {
		const cJSON *found[AGENT_FIELDS] = {NULL};

		find_fields(decoder, gpu, AGENT_PLACE_GPU, found);
		parts->string_bytes += field_string_bytes(found);
		parts->gpu_count++;
	}
}

/* Building an agent from its parts */

/* The rest of an agent's block of memory. The size of the block was computed exactly. */
struct arena {
	char *next;
};

static void *arena_alloc(struct arena *arena, size_t bytes)
{
	void *part = arena->next;

	arena->next += bytes;
	return part;
}

/* Returns a copy of a string; NULL if the item is missing or not a string. */
static const char *arena_string(struct arena *arena, const cJSON *item)
{
	size_t bytes = item_string_bytes(item);

	return bytes ? memcpy(arena_alloc(arena, bytes), item->valuestring, bytes) : NULL;
}

/* Sets the fields of a struct agent, or of a struct agent_gpu if is_gpu, from the members found. */
static void build_fields(void *object, bool is_gpu, const cJSON *const found[static AGENT_FIELDS],
                         struct arena *arena)
{
	for (size_t i = 0; i < AGENT_FIELDS; i++) {
		const struct agent_field *field = &agent_fields[i];
		void *value = (char *)object + field->offset;

		if ((field->place == AGENT_PLACE_GPU) != is_gpu)
			continue;
		if (field->type == AGENT_TYPE_STRING)
			*(const char **)value = arena_string(arena, found[i]);
		else if (field->type == AGENT_TYPE_NUMBER)
			*(int64_t *)value = json_integer(found[i]);
	}
}

static void build_gpus(struct decoder *decoder, struct agent_gpu *gpus,
                       const struct agent_parts *parts, struct arena *arena)
{
	const cJSON *item = parts->gpus;

	for (size_t i = 0; i < parts->gpu_count; i++, item = item->next) {
		struct agent_gpu *gpu = &gpus[i];
		const cJSON *found[AGENT_FIELDS] = {NULL};

		find_fields(decoder, item, AGENT_PLACE_GPU, found);
		build_fields(gpu, true, found, arena);
		if (gpu->vram_free >= 0 && gpu->vram_free <= gpu->vram_total)
			gpu->vram_used = gpu->vram_total - gpu->vram_free;
	}
}

static void build_lists(struct agent *agent, const char **labels, const char **tasks,
                        const struct agent_parts *parts, struct arena *arena)
{
	const cJSON *task = first_string(parts->fields[AGENT_RUNNING_TASKS]);

	for (size_t i = 0; i < parts->label_count; i++)
		labels[i] = arena_string(arena, parts->labels[i]);
	for (size_t i = 0; i < parts->task_count; i++, task = next_string(task->next))
		tasks[i] = arena_string(arena, task);
	agent->labels = (struct agent_list){labels, parts->label_count};
	agent->running_tasks = (struct agent_list){tasks, parts->task_count};
}

/* Returns an agent in one block of memory, or NULL if out of memory. The block holds the agent, its
 * GPUs, its lists, its strings and its JSON, in this order, since strings need no alignment. */
static struct agent *build_agent(struct decoder *decoder, const struct agent_parts *parts,
                                 const char *json, size_t json_bytes, bool lossy)
{
	size_t lists_bytes = (parts->label_count + parts->task_count) * sizeof(char *);
	struct agent_gpu *gpus;
	struct arena arena;
	struct agent *agent;
	const char **lists;
	size_t bytes;
	char *line;

	bytes = sizeof(*agent) + parts->gpu_count * sizeof(*gpus) + lists_bytes +
	        parts->string_bytes + json_bytes + 1;
	arena.next = malloc(bytes);
	if (!arena.next)
		return NULL;
	agent = arena_alloc(&arena, sizeof(*agent));
	gpus = arena_alloc(&arena, parts->gpu_count * sizeof(*gpus));
	lists = arena_alloc(&arena, lists_bytes);

	*agent = (struct agent){
		.refs = 1,
		.block_bytes = (uint32_t)bytes,
		.gpus = gpus,
		.gpu_count = parts->gpu_count,
		.lossy = lossy,
	};
	build_fields(agent, false, parts->fields, &arena);
	build_lists(agent, lists, lists + parts->label_count, parts, &arena);
	build_gpus(decoder, gpus, parts, &arena);
	if (agent->gpu_capacity != AGENT_ABSENT && agent->running_count != AGENT_ABSENT)
		agent->gpu_free = agent->gpu_capacity > agent->running_count
		                          ? agent->gpu_capacity - agent->running_count
		                          : 0;
	line = arena_alloc(&arena, json_bytes + 1);
	memcpy(line, json, json_bytes);
	line[json_bytes] = '\n';
	agent->json = line;
	agent->json_bytes = json_bytes + 1;
	return agent;
}

int decode_agent(struct decoder *decoder, const struct json_span *span,
                 const struct agent **ret_agent, const char **ret_reason)
{
	const char *json = decoder->text + span->offset;
	size_t json_bytes = span->bytes;
	struct agent_parts parts;
	const cJSON *tree;

	*ret_agent = NULL;
	*ret_reason = *json == '{' ? decode_limit_exceeded(span) : "it is not an object";
	if (*ret_reason)
		return 0;
	tree = decode_parse(decoder, span);
	if (!tree)
		return -ENOMEM;
	parts_find(decoder, tree, &parts);
	if (!json_is(parts.fields[AGENT_ID], cJSON_String)) {
		*ret_reason = "it has no agent_id that is a string";
		return 0;
	}
	if (json_sanitize_max(span) > 0) {
		char *sanitized = json_pool_alloc(&decoder->pool, json_sanitize_max(span));

		if (!sanitized)
			return -ENOMEM;
		json_bytes = json_sanitize(sanitized, json, span->bytes);
		json = sanitized;
	}
	*ret_agent = build_agent(decoder, &parts, json, json_bytes, span->flags & JSON_LOSSY);
	return *ret_agent ? 0 : -ENOMEM;
}
