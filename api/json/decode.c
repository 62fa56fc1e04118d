/* SPDX-License-Identifier: MIT */
#include "api/json/decode.h"

#include <errno.h>

#include "api/json/decode_outline.h"
#include "api/json/json_parse.h"

static const struct json_query page_query = {
	.list = "agent_list",
	.member = "page_meta",
	.max_depth = DECODE_MAX_DEPTH,
	.max_tokens = DECODE_MAX_TOKENS,
	.max_elements = DECODE_MAX_AGENTS,
};

static int decode_fail_memory(struct failure *failure)
{
	return failure_set(failure, FAILURE_MEMORY, "out of memory");
}

int decode_page(const char *body, size_t bytes, struct page **ret_page, struct failure *failure)
{
	struct json_outline outline;
	struct json_fault fault;
	int result;

	if (bytes > DECODE_MAX_BYTES)
		return failure_set(failure, FAILURE_OVERSIZED,
		                   "the response is larger than %u bytes", DECODE_MAX_BYTES);
	if (bytes == 0)
		return failure_set(failure, FAILURE_MALFORMED, "the response is empty");
	result = json_scan(body, bytes, &page_query, &outline, &fault);
	if (result == -E2BIG)
		return failure_set(failure, FAILURE_OVERSIZED,
		                   "the response exceeds a limit at byte %zu: %s", fault.offset,
		                   fault.reason);
	if (result == -EBADMSG)
		return failure_set(failure, FAILURE_MALFORMED,
		                   "the response is not JSON at byte %zu: %s", fault.offset,
		                   fault.reason);
	if (result == 0 && !outline.has_list) {
		json_outline_done(&outline);
		return failure_set(failure, FAILURE_MALFORMED, "the response has no agent_list");
	}
	if (result == 0) {
		result = decode_outline(body, &outline, 0, ret_page);
		json_outline_done(&outline);
	}
	return result < 0 ? decode_fail_memory(failure) : 0;
}

/* Checks a body of at most count agents. Returns as json_scan() does; but -ENODATA if the body is
 * valid JSON so far and ends early. */
static int decode_check_beginning(const char *body, size_t bytes, size_t count)
{
	struct json_query query = page_query;
	struct json_outline outline;
	struct json_fault fault;
	int result;

	query.max_elements = count;
	result = json_scan(body, bytes, &query, &outline, &fault);
	if (result == 0)
		json_outline_done(&outline);
	return result == -EBADMSG && fault.offset == bytes ? -ENODATA : result;
}

bool decode_breaks_off(const char *body, size_t bytes)
{
	return decode_check_beginning(body, bytes, DECODE_MAX_AGENTS) == -ENODATA;
}

bool decode_is_truncated_page(const char *body, size_t bytes, size_t count)
{
	int result = decode_check_beginning(body, bytes, count);

	return result == 0 || result == -ENODATA;
}

/* Converts an offset to the line and column that an editor shows: from 1, in characters. */
static void decode_find_line(const char *text, size_t offset, size_t *ret_line, size_t *ret_column)
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

/* Sets the failure of a text that json_scan() rejected. what: the kind of fault, in front of its
 * position and reason. */
static int decode_fail_at(struct failure *failure, enum failure_cause cause, const char *what,
                          const char *text, const struct json_fault *fault)
{
	size_t line, column;

	decode_find_line(text, fault->offset, &line, &column);
	return failure_set(failure, cause, "%s at line %zu, column %zu: %s", what, line, column,
	                   fault->reason);
}

int decode_list_init(const char *text, size_t bytes, struct decode_list *ret_list,
                     struct failure *failure)
{
	struct json_query query = page_query;
	struct decode_list list = {.text = text};
	struct json_fault fault;
	struct page *meta; /* a page without agents, decoded only for its total_count */
	int result;

	if (bytes > DECODE_MAX_LIST_BYTES)
		return failure_set(failure, FAILURE_OVERSIZED, "larger than %u MiB",
		                   DECODE_MAX_LIST_BYTES >> 20);
	if (bytes == 0)
		return failure_set(failure, FAILURE_MALFORMED, "empty");
	query.max_elements = DECODE_MAX_LIST_AGENTS;
	result = json_scan(text, bytes, &query, &list.outline, &fault);
	if (result == -E2BIG)
		return decode_fail_at(failure, FAILURE_OVERSIZED, "exceeds a limit", text, &fault);
	if (result == -EBADMSG)
		return decode_fail_at(failure, FAILURE_MALFORMED, "not JSON", text, &fault);
	if (result < 0)
		return decode_fail_memory(failure);
	if (!list.outline.has_list) {
		json_outline_done(&list.outline);
		return failure_set(failure, FAILURE_MALFORMED,
		                   "no agent_list in it: it is not a response of GET /agents");
	}
	result = decode_outline(text, &(struct json_outline){.member = list.outline.member}, 0,
	                        &meta);
	if (result < 0) {
		json_outline_done(&list.outline);
		return decode_fail_memory(failure);
	}
	list.count = list.outline.count;
	list.total_count = meta->total_count;
	page_free(meta);
	*ret_list = list;
	return 0;
}

int decode_list_page(const struct decode_list *list, size_t first, size_t count,
                     struct page **ret_page, struct failure *failure)
{
	struct json_outline part = {0};

	if (first < list->count) {
		part.elements = list->outline.elements + first;
		part.count = count < list->count - first ? count : list->count - first;
	}
	return decode_outline(list->text, &part, first, ret_page) < 0 ? decode_fail_memory(failure)
	                                                              : 0;
}

void decode_list_done(struct decode_list *list)
{
	json_outline_done(&list->outline);
	*list = (struct decode_list){0};
}

const char *decode_cjson_version(void)
{
	return cJSON_Version();
}
