/* SPDX-License-Identifier: MIT */
#include "fs/reports/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SLICE_BYTES      (128u << 10) /* written in about a millisecond */
#define STORED_ROW_BYTES (16u << 10)
#define WINDOW_BYTES     (1u << 20) /* a larger window is freed at the end of the document */

struct document *document_new(void)
{
	struct document *document = calloc(1, sizeof(*document));

	if (!document)
		return NULL;
	document->refs = 1;
	for (size_t i = 0; i < DOCUMENT_TEXTS; i++)
		text_init(&document->texts[i], DOCUMENT_MAX_TEXT);
	text_init(&document->window.text, DOCUMENT_MAX_TEXT);
	return document;
}

struct document *document_ref(struct document *document)
{
	document->refs++;
	return document;
}

static void document_rows_done(struct document_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		agent_unref(rows->items[i].row.agent);
	free(rows->items);
}

void document_unref(struct document *document)
{
	if (!document || --document->refs > 0)
		return;
	for (size_t i = 0; i < DOCUMENT_TEXTS; i++) {
		text_done(&document->texts[i]);
		document_rows_done(&document->borrowed[i]);
	}
	text_done(&document->window.text);
	free(document);
}

/* Reading */

/* The length of a text including its borrowed rows. */
static uint64_t whole_bytes(const struct document *document, size_t number)
{
	const struct document_rows *rows = &document->borrowed[number];
	size_t stored = document->texts[number].length;
	const struct document_borrowed *last;

	if (rows->count == 0)
		return stored;
	last = &rows->items[rows->count - 1];
	return last->end + (stored - last->stored);
}

/* The index of the first borrowed row that ends after an offset in its text. */
static size_t borrowed_after(const struct document_rows *rows, uint64_t offset)
{
	size_t low = 0, high = rows->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows->items[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A range of a text: bytes that are stored in sequence, or one borrowed row. */
struct run {
	const struct document_borrowed *borrowed; /* NULL: the bytes are stored */
	uint64_t begin, end;                      /* offsets in the text */
	size_t stored;                            /* stored bytes that precede it */
};

/* The run that contains an offset in a text. */
static struct run run_at(const struct document *document, size_t number, uint64_t offset)
{
	const struct document_rows *rows = &document->borrowed[number];
	size_t next = borrowed_after(rows, offset);
	struct run run = {.end = whole_bytes(document, number)};

	if (next > 0) {
		run.begin = rows->items[next - 1].end;
		run.stored = rows->items[next - 1].stored;
	}
	if (next == rows->count)
		return run;
	run.end = run.begin + (rows->items[next].stored - run.stored);
	if (offset < run.end)
		return run;
	return (struct run){
		.borrowed = &rows->items[next], .begin = run.end, .end = rows->items[next].end};
}

/* The bytes of a borrowed row, valid until the next call; NULL without memory. */
static const char *borrowed_bytes(struct document *document, size_t number, const struct run *run)
{
	struct document_window *window = &document->window;

	if (window->of == run->borrowed)
		return window->text.bytes;
	window->of = NULL;
	text_clear(&window->text);
	document->sheet->row(&window->text, number, &run->borrowed->row);
	if (text_error(&window->text) < 0 || window->text.length != run->end - run->begin)
		return NULL;
	window->of = run->borrowed;
	return window->text.bytes;
}

static ssize_t read_text(struct document *document, size_t number, uint64_t offset, size_t size,
                         char *ret)
{
	uint64_t whole = whole_bytes(document, number);
	size_t done = 0;

	while (done < size && offset + done < whole) {
		uint64_t at = offset + done;
		struct run run = run_at(document, number, at);
		size_t bytes = size - done;
		const char *from;

		if (run.borrowed)
			from = borrowed_bytes(document, number, &run);
		else
			from = document->texts[number].bytes + run.stored;
		if (!from)
			return -ENOMEM;
		if (bytes > run.end - at)
			bytes = (size_t)(run.end - at);
		memcpy(ret + done, from + (at - run.begin), bytes);
		done += bytes;
	}
	return (ssize_t)done;
}

ssize_t document_read(struct document *document, uint64_t offset, size_t size, char *ret)
{
	bool at_end = offset < document->bytes && size >= document->bytes - offset;
	size_t done = 0;

	for (size_t i = 0; i < DOCUMENT_TEXTS && done < size; i++) {
		uint64_t whole = whole_bytes(document, i);
		ssize_t copied = read_text(document, i, offset, size - done, ret + done);

		if (copied < 0)
			return copied;
		done += (size_t)copied;
		offset = offset > whole ? offset - whole : 0;
	}
	/* A long row is kept only while the document is being read. */
	if (document->window.text.capacity > WINDOW_BYTES && at_end) {
		text_done(&document->window.text);
		document->window.of = NULL;
	}
	return (ssize_t)done;
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
	document->sheet = sheet;
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

static uint64_t hash_on(const struct document *document, const char *bytes, size_t length)
{
	return length > 0 ? XXH3_64bits_withSeed(bytes, length, document->hash) : document->hash;
}

/* Turns the row that was written to the end of a text into a borrowed one. stored: the length of
 * the text before. Returns 0 or -ENOMEM. */
static int borrow_row(struct document *document, size_t number, size_t stored,
                      const struct document_row *row)
{
	struct document_rows *rows = &document->borrowed[number];
	struct text *text = &document->texts[number];
	size_t bytes = text->length - stored;

	if (bytes == 0)
		return 0;
	if (rows->count == rows->capacity) {
		size_t more = rows->capacity ? rows->capacity * 2 : 128;
		struct document_borrowed *items = realloc(rows->items, more * sizeof(*items));

		if (!items)
			return -ENOMEM;
		rows->items = items;
		rows->capacity = more;
	}
	document->hash = hash_on(document, text->bytes + stored, bytes);
	text->length = stored;
	rows->items[rows->count] = (struct document_borrowed){
		.row = *row,
		.end = whole_bytes(document, number) + bytes,
		.stored = stored,
	};
	rows->items[rows->count++].row.agent = agent_ref(row->agent);
	return 0;
}

/* Writes the rows of an agent. Borrows them if storing them would take too much memory. */
static int draft_write_rows(struct draft *draft, const struct document_row *row)
{
	const struct sheet *sheet = draft->sheet;
	struct document *document = draft->document;
	struct text *texts = &document->texts[sheet->first_text];
	size_t stored[DOCUMENT_TEXTS], bytes = 0;
	int err = 0;

	for (size_t i = 0; i < sheet->row_texts; i++) {
		stored[i] = texts[i].length;
		sheet->row(&texts[i], sheet->first_text + i, row);
		if (text_error(&texts[i]) < 0)
			return text_error(&texts[i]);
		bytes += texts[i].length - stored[i];
	}
	if (!sheet->borrows && bytes <= STORED_ROW_BYTES && bytes <= row->agent->bytes)
		return 0;
	for (size_t i = 0; err == 0 && i < sheet->row_texts; i++)
		err = borrow_row(document, sheet->first_text + i, stored[i], row);
	return err;
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

/* Adds what was stored since the last call to the hash. Returns 0 or the error of a text. */
static int take_stock(struct draft *draft)
{
	struct document *document = draft->document;

	for (size_t i = 0; i < DOCUMENT_TEXTS; i++) {
		const struct text *text = &document->texts[i];

		if (text_error(text) < 0)
			return text_error(text);
		if (draft->hashed[i] < text->length)
			document->hash = hash_on(document, text->bytes + draft->hashed[i],
			                         text->length - draft->hashed[i]);
		draft->hashed[i] = text->length;
	}
	return 0;
}

static uint64_t written(const struct document *document)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < DOCUMENT_TEXTS; i++)
		bytes += whole_bytes(document, i);
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
	if (err < 0 || !draft->sheet->row)
		return err;
	return draft_write_rows(
		draft, &(struct document_row){
			       .agent = record->agent,
			       .first_ns = record->first_ns,
			       .status_ns = record_since(record, AGENT_STATUS, CHANGES_WHOLE),
			       .is_first = draft->sums.agents == 1,
		       });
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->value, (*(struct group *const *)b)->value);
}

/* Writes the line of the next status, or the end of the document: then it returns true. The
 * documented statuses come first, in the order of the API's documentation; then the others by name,
 * since the order in which they are met changes from list to list. */
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
