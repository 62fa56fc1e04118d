/* SPDX-License-Identifier: MIT */
#include "fs/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SLICE_BYTES (128u << 10) /* as many as are written in a millisecond or so */

struct document *document_new(void)
{
	struct document *document = calloc(1, sizeof(*document));

	if (!document)
		return NULL;
	document->refs = 1;
	for (size_t i = 0; i < DOCUMENT_TEXTS; i++)
		text_init(&document->texts[i], DOCUMENT_MAX_TEXT);
	return document;
}

struct document *document_ref(struct document *document)
{
	document->refs++;
	return document;
}

void document_unref(struct document *document)
{
	if (!document || --document->refs > 0)
		return;
	for (size_t i = 0; i < DOCUMENT_TEXTS; i++)
		text_done(&document->texts[i]);
	for (size_t i = 0; i < document->agent_count; i++)
		agent_unref(document->agents[i]);
	free(document->agents);
	free(document->ends);
	free(document);
}

/* Reading */

/* The first agent whose line ends after this offset into the lines. */
static size_t agent_at(const struct document *document, uint64_t offset)
{
	size_t low = 0, high = document->agent_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (document->ends[middle] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Copies what this part of the document has of the range; offset counts from the part's begin. */
static size_t copy(const char *bytes, size_t length, uint64_t offset, size_t size, char *ret)
{
	if (offset >= length)
		return 0;
	if (size > length - offset)
		size = length - (size_t)offset;
	memcpy(ret, bytes + offset, size);
	return size;
}

static size_t copy_lines(const struct document *document, uint64_t offset, size_t size, char *ret)
{
	size_t done = 0;

	for (size_t i = agent_at(document, offset); i < document->agent_count && done < size; i++) {
		const struct agent *agent = document->agents[i];
		uint64_t begin = i > 0 ? document->ends[i - 1] : 0;

		if (i > 0)
			done += copy(",", 1, offset + done - begin, size - done, ret + done);
		begin += i > 0;
		done += copy(agent->json, agent->json_bytes, offset + done - begin, size - done,
		             ret + done);
	}
	return done;
}

static uint64_t lines_bytes(const struct document *document)
{
	return document->agent_count > 0 ? document->ends[document->agent_count - 1] : 0;
}

size_t document_read(const struct document *document, uint64_t offset, size_t size, char *ret)
{
	uint64_t begin = 0;
	size_t done = 0;

	for (size_t i = 0; i < DOCUMENT_TEXTS && done < size; i++) {
		const struct text *text = &document->texts[i];

		if (text->length > 0 && offset + done >= begin)
			done += copy(text->bytes, text->length, offset + done - begin, size - done,
			             ret + done);
		begin += text->length;
		if (i > 0)
			continue;
		if (offset + done >= begin)
			done += copy_lines(document, offset + done - begin, size - done,
			                   ret + done);
		begin += lines_bytes(document);
	}
	return done;
}

/* Writing */

struct draft *draft_new(const struct sheet *sheet, struct fleet *fleet, uint64_t list,
                        uint64_t seed)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	struct document *document = document_new();

	if (!draft || !document) {
		free(draft);
		free(document);
		return NULL;
	}
	document->hash = seed;
	draft->sheet = sheet;
	draft->fleet = fleet;
	draft->seed = seed;
	draft->document = document;
	draft->list = list;
	draft->cursor = list;
	groups_init(&draft->sums.statuses, seed);
	for (size_t i = 0; i < AGENT_STATUSES; i++) {
		if (groups_expect(&draft->sums.statuses, agent_statuses[i]) < 0) {
			draft_free(draft);
			return NULL;
		}
	}
	if (sheet->begin)
		sheet->begin(draft);
	return draft;
}

void draft_free(struct draft *draft)
{
	if (!draft)
		return;
	document_unref(draft->document);
	groups_done(&draft->sums.statuses);
	free(draft);
}

struct text *draft_text(struct draft *draft, size_t which)
{
	return &draft->document->texts[which];
}

void draft_add_json(struct draft *draft, const struct agent *agent)
{
	struct document *document = draft->document;
	size_t count = document->agent_count;

	if (count == document->agent_capacity) {
		size_t more = count ? count * 2 : 128;
		const struct agent **agents = realloc(document->agents, more * sizeof(*agents));
		uint64_t *ends = agents ? realloc(document->ends, more * sizeof(*ends)) : NULL;

		if (agents)
			document->agents = agents;
		if (!ends) {
			document->texts[0].error = -ENOMEM;
			return;
		}
		document->ends = ends;
		document->agent_capacity = more;
	}
	document->ends[count] = lines_bytes(document) + agent->json_bytes + (count > 0);
	document->agents[count] = agent_ref(agent);
	document->agent_count++;
	document->hash = XXH3_64bits_withSeed(agent->json, agent->json_bytes, document->hash);
}

static void add(int64_t *sum, int64_t value)
{
	if (value == AGENT_ABSENT)
		return;
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = INT64_MAX;
}

int64_t document_sum_of(const struct agent *agent, enum agent_field_id field)
{
	size_t count = agent_fields[field].place == AGENT_PLACE_GPU ? agent->gpu_count : 1;
	int64_t sum = 0;
	size_t told = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t value = *(const int64_t *)agent_value(agent, field, i);

		told += value != AGENT_ABSENT;
		add(&sum, value);
	}
	return told > 0 ? sum : AGENT_ABSENT;
}

static int sum_up(struct sums *sums, const struct agent *agent)
{
	sums->agents++;
	add(&sums->gpu_capacity, agent->gpu_capacity);
	add(&sums->running_count, agent->running_count);
	add(&sums->gpu_free, agent->gpu_free);
	add(&sums->tasks_completed, agent->tasks_completed);
	add(&sums->vram_total, document_sum_of(agent, AGENT_GPU_VRAM_TOTAL));
	add(&sums->vram_free, document_sum_of(agent, AGENT_GPU_VRAM_FREE));
	add(&sums->vram_used, document_sum_of(agent, AGENT_GPU_VRAM_USED));
	if (!agent->status || !*agent->status)
		return 0;
	sums->with_status++;
	return groups_add(&sums->statuses, agent->status, NULL);
}

/* What was written since goes into the hash; the error of any text. */
static int take_stock(struct draft *draft)
{
	struct document *document = draft->document;

	for (size_t i = 0; i < DOCUMENT_TEXTS; i++) {
		const struct text *text = &document->texts[i];

		if (text_error(text) < 0)
			return text_error(text);
		if (draft->hashed[i] < text->length)
			document->hash = XXH3_64bits_withSeed(text->bytes + draft->hashed[i],
			                                      text->length - draft->hashed[i],
			                                      document->hash);
		draft->hashed[i] = text->length;
	}
	return 0;
}

static uint64_t written(const struct document *document)
{
	uint64_t bytes = lines_bytes(document);

	for (size_t i = 0; i < DOCUMENT_TEXTS; i++)
		bytes += document->texts[i].length;
	return bytes;
}

/* One agent more, or the end of them. */
static int tell_agent(struct draft *draft)
{
	struct record *record = NULL;
	int err = fleet_walk(draft->fleet, &draft->cursor, NULL, &record);

	if (err < 0)
		return err;
	draft->walked = !record;
	if (!record)
		return 0;
	err = sum_up(&draft->sums, record->agent);
	if (draft->sheet->agent)
		draft->sheet->agent(draft, record);
	return err;
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->value, (*(struct group *const *)b)->value);
}

/* One status more, or the end of the document: then true. The documented statuses come first, in
 * their order, and then the others by name: the order in which agents have them changes with each
 * list. */
static bool tell_status(struct draft *draft)
{
	const struct groups *statuses = &draft->sums.statuses;

	if (draft->statuses_told == 0 && statuses->count > AGENT_STATUSES)
		qsort(statuses->order + AGENT_STATUSES, statuses->count - AGENT_STATUSES,
		      sizeof(struct group *), compare_groups);
	if (draft->sheet->status && draft->statuses_told < statuses->count) {
		draft->sheet->status(draft, statuses->order[draft->statuses_told++]);
		return false;
	}
	if (draft->sheet->end)
		draft->sheet->end(draft);
	return true;
}

int draft_go_on(struct draft *draft, size_t agents)
{
	struct document *document = draft->document;
	uint64_t enough = written(document) + SLICE_BYTES;
	bool ended = false;
	int err = 0;

	for (size_t i = 0; err == 0 && !ended && i < agents && written(document) < enough; i++) {
		if (!draft->walked)
			err = tell_agent(draft);
		else
			ended = tell_status(draft);
	}
	if (err == 0)
		err = take_stock(draft);
	if (err < 0 || !ended)
		return err < 0 ? err : -EAGAIN;
	document->bytes = written(document);
	return 0;
}

struct document *draft_take(struct draft *draft)
{
	struct document *document = draft->document;

	draft->document = NULL;
	draft_free(draft);
	return document;
}
