/* SPDX-License-Identifier: MIT */
#include "api/json/decode_outline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"
#include "api/json/decode_agent.h"
#include "api/json/json_parse.h"
#include "api/json/json_token.h"

#define MAX_PER_PAGE       10000
#define MAX_FAULT_ID_BYTES 1024 /* a longer agent_id, as JSON, is not copied to a page_fault */

/* Copies text to ret_text, truncated between characters. */
static void decode_copy_truncated(const char *text, char *ret_text, size_t text_bytes)
{
	size_t length = strlen(text);

	if (length >= text_bytes) {
		length = text_bytes - 1;
		/* The pairs of the stored form (utf8.h) end like a character of two bytes. */
		while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(ret_text, text, length);
	ret_text[length] = '\0';
}

/* Copies the beginning of an element's agent_id. Does not parse the whole element, since it may
 * exceed a limit. Leaves ret_id unchanged if there is no agent_id that is a string of at most
 * MAX_FAULT_ID_BYTES, or if out of memory. */
static void decode_copy_id(struct decoder *decoder, const struct json_span *span, char *ret_id,
                           size_t id_bytes)
{
	static const struct json_query query = {
		.member = "agent_id",
		.max_depth = DECODE_MAX_DEPTH,
		.max_tokens = DECODE_MAX_TOKENS,
	};
	struct json_outline outline;
	struct json_fault fault;
	const cJSON *id;

	if (json_scan(decoder->text + span->offset, span->bytes, &query, &outline, &fault) < 0 ||
	    outline.member.bytes == 0 || outline.member.bytes > MAX_FAULT_ID_BYTES ||
	    decode_limit_exceeded(&outline.member))
		return;
	outline.member.offset += span->offset;
	id = decode_parse(decoder, &outline.member);
	if (json_is(id, cJSON_String))
		decode_copy_truncated(id->valuestring, ret_id, id_bytes);
}

/* Counts a dropped element, and records it if it is one of the first. position: from 1. */
static void decode_record_fault(struct decoder *decoder, const struct json_span *span,
                                size_t position, const char *reason, struct page *page)
{
	struct page_fault *fault;

	page->dropped++;
	if (page->fault_count == PAGE_MAX_FAULTS)
		return;
	fault = &page->faults[page->fault_count++];
	*fault = (struct page_fault){.reason = reason, .position = (uint32_t)position};
	decode_copy_id(decoder, span, fault->id, sizeof(fault->id));
}

/* Reads page_meta. If it is missing, of the wrong type or beyond the limits, its values stay
 * absent. Returns 0 or -ENOMEM. */
static int decode_meta(struct decoder *decoder, const struct json_span *span, struct page *page)
{
	const cJSON *tree;

	if (span->bytes == 0 || decode_limit_exceeded(span))
		return 0;
	tree = decode_parse(decoder, span);
	if (!tree)
		return -ENOMEM;
	page->total_count =
		json_integer_between(json_member(tree, "total_count"), 0, JSON_MAX_EXACT);
	page->per_page = json_integer_between(json_member(tree, "per_page"), 1, MAX_PER_PAGE);
	return 0;
}

/* Returns the size of the largest value that will be parsed. */
static size_t decode_largest_value(const struct json_outline *outline)
{
	size_t bytes = MAX_FAULT_ID_BYTES;

	if (outline->member.bytes > bytes && !decode_limit_exceeded(&outline->member))
		bytes = outline->member.bytes;
	for (size_t i = 0; i < outline->count; i++)
		if (outline->elements[i].bytes > bytes &&
		    !decode_limit_exceeded(&outline->elements[i]))
			bytes = outline->elements[i].bytes;
	return bytes;
}

int decode_outline(const char *text, const struct json_outline *outline, size_t first,
                   struct page **ret_page)
{
	struct decoder decoder = {.text = text};
	struct page *page;
	int result;

	if (!json_pool_init(&decoder.pool, decode_largest_value(outline)))
		return -ENOMEM;
	page = malloc(sizeof(*page) + outline->count * sizeof(*page->agents));
	if (!page) {
		json_pool_done(&decoder.pool);
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
			decode_record_fault(&decoder, span, first + i + 1, reason, page);
	}
	json_pool_done(&decoder.pool);
	if (result < 0) {
		page_free(page);
		return result;
	}
	*ret_page = page;
	return 0;
}
