/* SPDX-License-Identifier: MIT */
#include "fs/reports/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WINDOW_BYTES (1u << 20) /* a larger window is freed at the end of the report */

struct report *report_new(report_write_row *write_row, size_t section_count, uint64_t seed)
{
	struct report *report =
		calloc(1, sizeof(*report) + section_count * sizeof(report->sections[0]));

	if (!report)
		return NULL;
	report->refs = 1;
	report->write_row = write_row;
	report->hash = seed;
	report->section_count = section_count;
	for (size_t i = 0; i < section_count; i++)
		text_init(&report->sections[i].text, REPORT_MAX_TEXT);
	text_init(&report->window.text, REPORT_MAX_TEXT);
	return report;
}

struct report *report_ref(struct report *report)
{
	report->refs++;
	return report;
}

static void report_section_done(struct report_section *section)
{
	for (size_t i = 0; i < section->count; i++)
		agent_unref(section->chunks[i].row.agent);
	free(section->chunks);
	text_done(&section->text);
}

void report_unref(struct report *report)
{
	if (!report || --report->refs > 0)
		return;
	for (size_t i = 0; i < report->section_count; i++)
		report_section_done(&report->sections[i]);
	text_done(&report->window.text);
	free(report);
}

/* Reading */

/* The chunk that contains an offset in its section. The offset must be below the section's end. */
static const struct report_chunk *report_chunk_at(const struct report_section *section,
                                                  uint64_t offset)
{
	size_t low = 0, high = section->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (section->chunks[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return &section->chunks[low];
}

/* The bytes of a chunk, valid until the next call. length: of the chunk. Returns NULL without
 * memory, or if write_row() broke its contract: the row has another length than before. */
static const char *report_chunk_bytes(struct report *report, size_t section,
                                      const struct report_chunk *chunk, uint64_t length)
{
	struct report_window *window = &report->window;

	if (!chunk->row.agent)
		return report->sections[section].text.bytes + chunk->stored;
	if (window->chunk == chunk)
		return window->text.bytes;
	window->chunk = NULL;
	text_clear(&window->text);
	report->write_row(&window->text, section, &chunk->row);
	if (text_error(&window->text) < 0 || window->text.length != length)
		return NULL;
	window->chunk = chunk;
	return window->text.bytes;
}

static uint64_t report_section_bytes(const struct report_section *section)
{
	uint64_t end = section->count > 0 ? section->chunks[section->count - 1].end : 0;

	return end + (section->text.length - section->chunked);
}

/* report_read() of one section. */
static ssize_t report_read_section(struct report *report, size_t number, uint64_t offset,
                                   size_t size, char *ret_bytes)
{
	const struct report_section *section = &report->sections[number];
	uint64_t section_bytes = report_section_bytes(section);
	size_t done = 0;

	while (done < size && offset < section_bytes) {
		const struct report_chunk *chunk = report_chunk_at(section, offset);
		uint64_t begin = chunk > section->chunks ? chunk[-1].end : 0;
		const char *bytes = report_chunk_bytes(report, number, chunk, chunk->end - begin);
		size_t count = size - done;

		if (!bytes)
			return -ENOMEM;
		if (count > chunk->end - offset)
			count = (size_t)(chunk->end - offset);
		memcpy(ret_bytes + done, bytes + (offset - begin), count);
		done += count;
		offset += count;
	}
	return (ssize_t)done;
}

ssize_t report_read(struct report *report, uint64_t offset, size_t size, char *ret_bytes)
{
	bool at_end = offset < report->bytes && size >= report->bytes - offset;
	size_t done = 0;

	for (size_t i = 0; i < report->section_count && done < size; i++) {
		uint64_t section_bytes = report_section_bytes(&report->sections[i]);
		ssize_t copied =
			report_read_section(report, i, offset, size - done, ret_bytes + done);

		if (copied < 0)
			return copied;
		done += (size_t)copied;
		offset = offset > section_bytes ? offset - section_bytes : 0;
	}
	/* A long row is kept only while the report is being read. */
	if (report->window.text.capacity > WINDOW_BYTES && at_end) {
		text_done(&report->window.text);
		report->window.chunk = NULL;
	}
	return (ssize_t)done;
}

/* Building */

uint64_t report_bytes(const struct report *report)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < report->section_count; i++)
		bytes += report_section_bytes(&report->sections[i]);
	return bytes;
}

/* Adds the bytes of a section's text that are not in the hash yet. */
static void report_hash_section(struct report *report, struct report_section *section)
{
	const struct text *text = &section->text;

	if (section->hashed < text->length)
		report->hash = XXH3_64bits_withSeed(text->bytes + section->hashed,
		                                    text->length - section->hashed, report->hash);
	section->hashed = text->length;
}

int report_hash(struct report *report)
{
	for (size_t i = 0; i < report->section_count; i++) {
		struct report_section *section = &report->sections[i];

		if (text_error(&section->text) < 0)
			return text_error(&section->text);
		report_hash_section(report, section);
	}
	return 0;
}

static int report_add_chunk(struct report_section *section, const struct report_chunk *chunk)
{
	if (section->count == section->capacity) {
		size_t capacity = section->capacity ? section->capacity * 2 : 4;
		struct report_chunk *chunks =
			realloc(section->chunks, capacity * sizeof(*section->chunks));

		if (!chunks)
			return -ENOMEM;
		section->chunks = chunks;
		section->capacity = capacity;
	}
	section->chunks[section->count++] = *chunk;
	return 0;
}

/* Makes the bytes of a section's text that are in no chunk yet a stored chunk, if there are any.
 * end: their end in the text; bytes after it belong to a row that is to be referenced. */
static int report_store_bytes(struct report_section *section, size_t end)
{
	size_t begin = section->chunked;
	int err = 0;

	if (end > begin)
		err = report_add_chunk(section, &(struct report_chunk){
							.stored = begin,
							.end = report_section_bytes(section) -
		                                               (section->text.length - end),
						});
	if (err == 0)
		section->chunked = end;
	return err;
}

int report_reference_row(struct report *report, size_t number, size_t begin,
                         const struct report_row *row)
{
	struct report_section *section = &report->sections[number];
	struct text *text = &section->text;
	struct report_chunk chunk = {.row = *row, .end = report_section_bytes(section)};
	int err = 0;

	if (text->length == begin)
		return 0;
	err = report_store_bytes(section, begin);
	if (err == 0)
		err = report_add_chunk(section, &chunk);
	if (err < 0)
		return err;
	agent_ref(row->agent);
	report_hash_section(report, section);
	text->length = begin;
	section->hashed = begin;
	return 0;
}

int report_finish(struct report *report)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < report->section_count; i++) {
		struct text *text = &report->sections[i].text;

		err = report_store_bytes(&report->sections[i], text->length);
		text_trim(text); /* it had room for the longest referenced row */
	}
	report->bytes = report_bytes(report);
	return err;
}
