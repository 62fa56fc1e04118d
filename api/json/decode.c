/* SPDX-License-Identifier: MIT */
#include "api/json/decode.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json.h"
#include "api/json/json_pool.h"
#include "api/json/json_text.h"

#define MAX_PER_PAGE       10000
#define MAX_FAULT_ID_BYTES 1024 /* a longer agent_id, as JSON, is not copied into a page_fault */

#define TEXT_OF(macro)         TEXT_OF_TOKENS(macro)
#define TEXT_OF_TOKENS(tokens) #tokens

static const struct json_query page_query = {
	.list = "agent_list",
	.member = "page_meta",
	.max_depth = DECODE_MAX_DEPTH,
	.max_tokens = DECODE_MAX_TOKENS,
	.max_elements = DECODE_MAX_AGENTS,
};

static const struct json_query list_query = {
	.list = "agent_list",
	.member = "page_meta",
	.max_depth = DECODE_MAX_DEPTH,
	.max_tokens = DECODE_MAX_TOKENS,
	.max_elements = DECODE_MAX_LIST_AGENTS,
};

/*
 * Which field followed which in the last object read, AGENT_FIELDS standing for its beginning. An
 * API writes its objects in one order, so that nearly every key is found at the first comparison.
 */
struct order {
	uint8_t after[AGENT_FIELDS + 1];
};

struct decoder {
	const char *body;
	struct order orders[AGENT_PLACE_GPU + 1]; /* by enum agent_place */
	struct parse_pool pool;
};

static bool is_field(size_t id, enum agent_place place, const char *key)
{
	const struct agent_field *field = &agent_fields[id];

	return field->place == place && field->key && *field->key == *key &&
	       strcmp(field->key, key) == 0;
}

/* The field of that key, tried first at a guess; AGENT_FIELDS for none. */
static size_t field_of(enum agent_place place, const char *key, size_t guess)
{
	if (is_field(guess, place, key))
		return guess;
	for (size_t id = 0; id < AGENT_FIELDS; id++)
		if (is_field(id, place, key))
			return id;
	return AGENT_FIELDS;
}

/*
 * Sets found[field] for each member of an object that is a field of this place. Of duplicate keys
 * the last counts. Walks the object once: with 10^5 keys, a look-up for each field would take
 * seconds.
 */
static void find_fields(struct decoder *decoder, const cJSON *object, enum agent_place place,
                        const cJSON *found[static AGENT_FIELDS])
{
	struct order *order = &decoder->orders[place];
	size_t last = AGENT_FIELDS;

	if (!parse_is(object, cJSON_Object))
		return;
	for (const cJSON *item = object->child; item; item = item->next) {
		size_t id = field_of(place, item->string, order->after[last]);

		if (id == AGENT_FIELDS)
			continue;
		order->after[last] = (uint8_t)id;
		last = id;
		found[id] = item;
	}
}

/* What an agent will be made of, all of it still in cJSON's tree, and how large that is. */
struct draft {
	const cJSON *fields[AGENT_FIELDS]; /* but those of GPUs */
	const cJSON *gpus;                 /* the first of gpu_devices */
	size_t gpu_count;
	const cJSON *labels[AGENT_MAX_LABELS];
	size_t label_count;
	size_t task_count;
	size_t string_bytes; /* NULs included */
};

static size_t string_bytes(const cJSON *item)
{
	return parse_is(item, cJSON_String) ? strlen(item->valuestring) + 1 : 0;
}

static size_t fields_bytes(const cJSON *const found[static AGENT_FIELDS])
{
	size_t bytes = 0;

	for (size_t i = 0; i < AGENT_FIELDS; i++)
		if (agent_fields[i].type == AGENT_TYPE_STRING)
			bytes += string_bytes(found[i]);
	return bytes;
}

/* The next string of an array from `item` on, or NULL. */
static const cJSON *next_string(const cJSON *item)
{
	while (item && !parse_is(item, cJSON_String))
		item = item->next;
	return item;
}

static const cJSON *first_string(const cJSON *array)
{
	return parse_is(array, cJSON_Array) ? next_string(array->child) : NULL;
}

static bool has_label(const struct draft *draft, const char *label)
{
	for (size_t i = 0; i < draft->label_count; i++)
		if (strcmp(draft->labels[i]->valuestring, label) == 0)
			return true;
	return false;
}

static void draft_lists(struct draft *draft)
{
	size_t seen = 0;

	/* The ceiling is on what is looked at, not on what is kept, or else a million repetitions
	 * of a few labels would be compared with each of them. */
	for (const cJSON *item = first_string(draft->fields[AGENT_LABELS]);
	     item && seen++ < AGENT_MAX_LABELS; item = next_string(item->next)) {
		if (has_label(draft, item->valuestring))
			continue;
		draft->labels[draft->label_count++] = item;
		draft->string_bytes += string_bytes(item);
	}
	for (const cJSON *item = first_string(draft->fields[AGENT_RUNNING_TASKS]);
	     item && draft->task_count < AGENT_MAX_TASKS; item = next_string(item->next)) {
		draft->task_count++;
		draft->string_bytes += string_bytes(item);
	}
}

static void draft_agent(struct decoder *decoder, const cJSON *object, struct draft *draft)
{
	const cJSON *stats = parse_member(object, "system_stats");
	const cJSON *gpus = parse_member(stats, "gpu_devices");

	memset(draft->fields, 0, sizeof(draft->fields));
	find_fields(decoder, object, AGENT_PLACE_TOP, draft->fields);
	find_fields(decoder, stats, AGENT_PLACE_STATS, draft->fields);
	draft->string_bytes = fields_bytes(draft->fields);
	draft->label_count = 0;
	draft->task_count = 0;
	draft_lists(draft);
	draft->gpus = parse_is(gpus, cJSON_Array) ? gpus->child : NULL;
	draft->gpu_count = 0;
	for (const cJSON *gpu = draft->gpus; gpu && draft->gpu_count < AGENT_MAX_GPUS;
	     gpu = gpu->next) {
		const cJSON *found[AGENT_FIELDS] = {NULL};

		find_fields(decoder, gpu, AGENT_PLACE_GPU, found);
		draft->string_bytes += fields_bytes(found);
		draft->gpu_count++;
	}
}

/* Where the next part of an agent's block goes. Its size was counted before, exactly. */
struct arena {
	char *next;
};

static void *take(struct arena *arena, size_t bytes)
{
	void *part = arena->next;

	arena->next += bytes;
	return part;
}

static const char *copy_string(struct arena *arena, const cJSON *item)
{
	size_t bytes = string_bytes(item);

	return bytes ? memcpy(take(arena, bytes), item->valuestring, bytes) : NULL;
}

/* What the table says of base, a struct agent_gpu or the agent itself, from the members found. */
static void fill_fields(void *base, bool gpu, const cJSON *const found[static AGENT_FIELDS],
                        struct arena *arena)
{
	for (size_t i = 0; i < AGENT_FIELDS; i++) {
		const struct agent_field *field = &agent_fields[i];
		void *to = (char *)base + field->offset;

		if ((field->place == AGENT_PLACE_GPU) != gpu)
			continue;
		if (field->type == AGENT_TYPE_STRING)
			*(const char **)to = copy_string(arena, found[i]);
		else if (field->type == AGENT_TYPE_NUMBER)
			*(int64_t *)to = parse_number(found[i]);
	}
}

static void fill_gpus(struct decoder *decoder, struct agent_gpu *gpus, const struct draft *draft,
                      struct arena *arena)
{
	const cJSON *item = draft->gpus;

	for (size_t i = 0; i < draft->gpu_count; i++, item = item->next) {
		struct agent_gpu *gpu = &gpus[i];
		const cJSON *found[AGENT_FIELDS] = {NULL};

		find_fields(decoder, item, AGENT_PLACE_GPU, found);
		fill_fields(gpu, true, found, arena);
		if (gpu->vram_free >= 0 && gpu->vram_free <= gpu->vram_total)
			gpu->vram_used = gpu->vram_total - gpu->vram_free;
	}
}

static void fill_lists(struct agent *agent, const char **labels, const char **tasks,
                       const struct draft *draft, struct arena *arena)
{
	const cJSON *task = first_string(draft->fields[AGENT_RUNNING_TASKS]);

	for (size_t i = 0; i < draft->label_count; i++)
		labels[i] = copy_string(arena, draft->labels[i]);
	for (size_t i = 0; i < draft->task_count; i++, task = next_string(task->next))
		tasks[i] = copy_string(arena, task);
	agent->labels = (struct agent_list){labels, draft->label_count};
	agent->running_tasks = (struct agent_list){tasks, draft->task_count};
}

/* One block: the agent, its GPUs, its lists, its strings, its JSON; what needs alignment first. */
static struct agent *build_agent(struct decoder *decoder, const struct draft *draft,
                                 const char *json, size_t json_bytes, bool lossy)
{
	size_t lists_bytes = (draft->label_count + draft->task_count) * sizeof(char *);
	struct agent_gpu *gpus;
	struct arena arena;
	struct agent *agent;
	const char **lists;
	size_t bytes;
	char *line;

	bytes = sizeof(*agent) + draft->gpu_count * sizeof(*gpus) + lists_bytes +
	        draft->string_bytes + json_bytes + 1;
	arena.next = malloc(bytes);
	if (!arena.next)
		return NULL;
	agent = take(&arena, sizeof(*agent));
	gpus = take(&arena, draft->gpu_count * sizeof(*gpus));
	lists = take(&arena, lists_bytes);

	*agent = (struct agent){
		.refs = 1,
		.bytes = (uint32_t)bytes,
		.gpus = gpus,
		.gpu_count = draft->gpu_count,
		.lossy = lossy,
	};
	fill_fields(agent, false, draft->fields, &arena);
	fill_lists(agent, lists, lists + draft->label_count, draft, &arena);
	fill_gpus(decoder, gpus, draft, &arena);
	if (agent->gpu_capacity != AGENT_ABSENT && agent->running_count != AGENT_ABSENT)
		agent->gpu_free = agent->gpu_capacity > agent->running_count
		                          ? agent->gpu_capacity - agent->running_count
		                          : 0;
	line = take(&arena, json_bytes + 1);
	memcpy(line, json, json_bytes);
	line[json_bytes] = '\n';
	agent->json = line;
	agent->json_bytes = json_bytes + 1;
	return agent;
}

/* Returns the limit of one element that a value exceeds, as the reason to drop it; or NULL. Only a
 * value within the limits may be parsed. */
static const char *limit_exceeded(const struct json_span *span)
{
	if (span->bytes > DECODE_MAX_AGENT_BYTES)
		return "it is larger than " TEXT_OF(DECODE_MAX_AGENT_MIB) " MiB";
	if (span->flags & JSON_DEEP)
		return "it is nested deeper than " TEXT_OF(DECODE_MAX_DEPTH);
	if (span->flags & JSON_MANY)
		return "it has more than " TEXT_OF(DECODE_MAX_TOKENS) " values and keys";
	return NULL;
}

static const cJSON *parse_span(struct decoder *decoder, const struct json_span *span)
{
	return parse_value(&decoder->pool, decoder->body + span->offset, span->bytes,
	                   span->flags & JSON_ODD);
}

/* Copies the beginning of an element's agent_id. The element is not parsed as a whole, since it may
 * exceed a limit. Leaves ret_id as it is if there is no agent_id that is a string of at most
 * MAX_FAULT_ID_BYTES, or no memory. */
static void copy_id(struct decoder *decoder, const struct json_span *span, char *ret_id,
                    size_t id_bytes)
{
	static const struct json_query query = {
		.member = "agent_id",
		.max_depth = DECODE_MAX_DEPTH,
		.max_tokens = DECODE_MAX_TOKENS,
	};
	const char *json = decoder->body + span->offset;
	struct json_outline outline;
	struct json_fault fault;
	const cJSON *id;
	size_t length;

	if (json_scan(json, span->bytes, &query, &outline, &fault) < 0 ||
	    outline.member.bytes == 0 || outline.member.bytes > MAX_FAULT_ID_BYTES)
		return;
	parse_pool_empty(&decoder->pool);
	id = parse_value(&decoder->pool, json + outline.member.offset, outline.member.bytes,
	                 outline.member.flags & JSON_ODD);
	if (!parse_is(id, cJSON_String))
		return;
	length = strlen(id->valuestring);
	if (length >= id_bytes) {
		length = id_bytes - 1;
		/* Cut between characters. The pairs of the stored form (C0 80, C0 81) end like a
		 * character of two bytes. */
		while (length > 0 && ((unsigned char)id->valuestring[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(ret_id, id->valuestring, length);
	ret_id[length] = '\0';
}

static void note_fault(struct decoder *decoder, const struct json_span *span, size_t position,
                       const char *reason, struct page *page)
{
	struct page_fault *fault;

	page->malformed++;
	if (page->fault_count == PAGE_MAX_FAULTS)
		return;
	fault = &page->faults[page->fault_count++];
	*fault = (struct page_fault){.reason = reason, .position = (uint32_t)position};
	copy_id(decoder, span, fault->id, sizeof(fault->id));
}

/* Returns 0 with an agent; or 0 with NULL and the reason why the element is no agent; or -ENOMEM.
 */
static int decode_agent(struct decoder *decoder, const struct json_span *span,
                        const struct agent **ret_agent, const char **ret_reason)
{
	const char *json = decoder->body + span->offset;
	size_t json_bytes = span->bytes;
	struct draft draft;
	const cJSON *tree;

	*ret_agent = NULL;
	*ret_reason = *json == '{' ? limit_exceeded(span) : "it is not an object";
	if (*ret_reason)
		return 0;
	parse_pool_empty(&decoder->pool);
	tree = parse_span(decoder, span);
	if (!tree)
		return -ENOMEM;
	draft_agent(decoder, tree, &draft);
	if (!parse_is(draft.fields[AGENT_ID], cJSON_String)) {
		*ret_reason = "it has no agent_id that is a string";
		return 0;
	}
	if (json_clean_max(span) > 0) {
		char *clean = parse_pool_take(&decoder->pool, json_clean_max(span));

		if (!clean)
			return -ENOMEM;
		json_bytes = json_clean(clean, json, span->bytes);
		json = clean;
	}
	*ret_agent = build_agent(decoder, &draft, json, json_bytes, span->flags & JSON_LOSSY);
	return *ret_agent ? 0 : -ENOMEM;
}

/* Reads page_meta. If it is missing, of the wrong type or beyond the limits, its values stay
 * absent. 0 or -ENOMEM. */
static int decode_meta(struct decoder *decoder, const struct json_span *span, struct page *page)
{
	const cJSON *tree;

	if (span->bytes == 0 || limit_exceeded(span))
		return 0;
	parse_pool_empty(&decoder->pool);
	tree = parse_span(decoder, span);
	if (!tree)
		return -ENOMEM;
	page->total_count =
		parse_number_between(parse_member(tree, "total_count"), 0, JSON_MAX_EXACT);
	page->per_page = parse_number_between(parse_member(tree, "per_page"), 1, MAX_PER_PAGE);
	return 0;
}

static size_t largest_value(const struct json_outline *outline)
{
	size_t bytes = MAX_FAULT_ID_BYTES;

	if (outline->member.bytes > bytes && !limit_exceeded(&outline->member))
		bytes = outline->member.bytes;
	for (size_t i = 0; i < outline->count; i++)
		if (outline->elements[i].bytes > bytes && !limit_exceeded(&outline->elements[i]))
			bytes = outline->elements[i].bytes;
	return bytes;
}

/* Decodes the elements of an outline to a page. first: the position of the first of them in the
 * whole list, from 0. 0 or -ENOMEM. */
static int decode_outline(const char *body, const struct json_outline *outline, size_t first,
                          struct page **ret_page)
{
	struct decoder decoder = {.body = body};
	struct page *page;
	int result;

	if (!parse_pool_init(&decoder.pool, largest_value(outline)))
		return -ENOMEM;
	page = malloc(sizeof(*page) + outline->count * sizeof(*page->agents));
	if (!page) {
		parse_pool_done(&decoder.pool);
		return -ENOMEM;
	}
	*page = (struct page){.total_count = AGENT_ABSENT, .per_page = AGENT_ABSENT};
	result = decode_meta(&decoder, &outline->member, page);
	for (size_t i = 0; i < outline->count && result == 0; i++) {
		const struct json_span *span = &outline->elements[i];
		const struct agent *agent;
		const char *reason;

		result = decode_agent(&decoder, span, &agent, &reason);
		if (agent)
			page->agents[page->agent_count++] = agent;
		else if (reason)
			note_fault(&decoder, span, first + i + 1, reason, page);
	}
	parse_pool_done(&decoder.pool);
	if (result < 0) {
		page_free(page);
		return result;
	}
	*ret_page = page;
	return 0;
}

__attribute__((format(printf, 3, 4))) static int fail(struct failure *ret_failure,
                                                      enum failure_cause cause, const char *format,
                                                      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_failure->message, sizeof(ret_failure->message), format, args);
	va_end(args);
	ret_failure->cause = (uint8_t)cause;
	return -failure_errno(cause);
}

static int fail_memory(struct failure *ret_failure)
{
	return fail(ret_failure, FAILURE_MEMORY, "out of memory");
}

int decode_page(const char *body, size_t bytes, struct page **ret_page, struct failure *ret_failure)
{
	struct json_outline outline;
	struct json_fault fault;
	int result;

	if (bytes > DECODE_MAX_BYTES)
		return fail(ret_failure, FAILURE_OVERSIZED, "the answer is larger than %u bytes",
		            DECODE_MAX_BYTES);
	if (bytes == 0)
		return fail(ret_failure, FAILURE_MALFORMED, "the answer is empty");
	result = json_scan(body, bytes, &page_query, &outline, &fault);
	if (result == -E2BIG)
		return fail(ret_failure, FAILURE_OVERSIZED,
		            "the answer goes beyond a limit at byte %zu: %s", fault.offset,
		            fault.reason);
	if (result == -EBADMSG)
		return fail(ret_failure, FAILURE_MALFORMED,
		            "the answer is not JSON at byte %zu: %s", fault.offset, fault.reason);
	if (result == 0 && !outline.has_list) {
		json_outline_done(&outline);
		return fail(ret_failure, FAILURE_MALFORMED, "the answer has no agent_list");
	}
	if (result == 0) {
		result = decode_outline(body, &outline, 0, ret_page);
		json_outline_done(&outline);
	}
	return result < 0 ? fail_memory(ret_failure) : 0;
}

bool decode_is_cut_page(const char *body, size_t bytes, size_t count)
{
	struct json_query query = page_query;
	struct json_outline outline;
	struct json_fault fault;
	int result;

	query.max_elements = count;
	result = json_scan(body, bytes, &query, &outline, &fault);
	if (result == 0)
		json_outline_done(&outline);
	return result == 0 || (result == -EBADMSG && fault.offset == bytes);
}

/* Lists */

/* As editors count: from 1, characters rather than bytes. */
static void place_of(const char *text, size_t offset, size_t *ret_line, size_t *ret_column)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

static int fail_at(struct failure *ret_failure, enum failure_cause cause, const char *what,
                   const char *text, const struct json_fault *fault)
{
	size_t line, column;

	place_of(text, fault->offset, &line, &column);
	return fail(ret_failure, cause, "%s at line %zu, column %zu: %s", what, line, column,
	            fault->reason);
}

int decode_list_init(const char *text, size_t bytes, struct decode_list *ret_list,
                     struct failure *ret_failure)
{
	struct decode_list list = {.text = text};
	struct json_fault fault;
	struct page *nobody;
	int result;

	if (bytes > DECODE_MAX_LIST_BYTES)
		return fail(ret_failure, FAILURE_OVERSIZED, "larger than %u MiB",
		            DECODE_MAX_LIST_BYTES >> 20);
	if (bytes == 0)
		return fail(ret_failure, FAILURE_MALFORMED, "empty");
	result = json_scan(text, bytes, &list_query, &list.outline, &fault);
	if (result == -E2BIG)
		return fail_at(ret_failure, FAILURE_OVERSIZED, "beyond a limit", text, &fault);
	if (result == -EBADMSG)
		return fail_at(ret_failure, FAILURE_MALFORMED, "not JSON", text, &fault);
	if (result < 0)
		return fail_memory(ret_failure);
	if (!list.outline.has_list) {
		json_outline_done(&list.outline);
		return fail(ret_failure, FAILURE_MALFORMED,
		            "no agent_list in it, as an answer of the API has");
	}
	/* What page_meta says. */
	result = decode_outline(text, &(struct json_outline){.member = list.outline.member}, 0,
	                        &nobody);
	if (result < 0) {
		json_outline_done(&list.outline);
		return fail_memory(ret_failure);
	}
	list.count = list.outline.count;
	list.total_count = nobody->total_count;
	page_free(nobody);
	*ret_list = list;
	return 0;
}

int decode_list_page(const struct decode_list *list, size_t first, size_t count,
                     struct page **ret_page, struct failure *ret_failure)
{
	struct json_outline part = {0};

	if (first < list->count) {
		part.elements = list->outline.elements + first;
		part.count = count < list->count - first ? count : list->count - first;
	}
	return decode_outline(list->text, &part, first, ret_page) < 0 ? fail_memory(ret_failure)
	                                                              : 0;
}

void decode_list_done(struct decode_list *list)
{
	json_outline_done(&list->outline);
	*list = (struct decode_list){0};
}

const char *decode_version(void)
{
	return cJSON_Version();
}
