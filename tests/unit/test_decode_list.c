/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"
#include "tests/unit/decoding.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Asserts that a list, decoded in parts of `part` elements, has the agents of decode_page(), each
 * once and in order. */
static void assert_same_list(const char *text, size_t part)
{
	struct page *whole = decoding_good(text);
	struct decode_list list;
	struct failure failure;
	size_t count = 0, malformed = 0;

	if (decode_list_init(text, strlen(text), &list, &failure) < 0)
		fail_msg("%s: %s", failure.message, text);
	assert_int_equal(list.total_count, whole->total_count);
	assert_int_equal(list.count, whole->agent_count + whole->dropped);
	for (size_t first = 0; first <= list.count; first += part) {
		struct page *page;

		assert_int_equal(decode_list_page(&list, first, part, &page, &failure), 0);
		assert_int_equal(page->total_count, AGENT_ABSENT);
		assert_true(page->agent_count + page->dropped <= part);
		for (size_t i = 0; i < page->agent_count; i++)
			assert_true(agent_field_equal(page->agents[i], whole->agents[count++],
			                              AGENT_JSON, 0));
		for (size_t i = 0; i < page->fault_count; i++)
			assert_int_equal(page->faults[i].position,
			                 whole->faults[malformed + i].position);
		malformed += page->dropped;
		page_free(page);
	}
	assert_int_equal(count, whole->agent_count);
	assert_int_equal(malformed, whole->dropped);
	decode_list_done(&list);
	page_free(whole);
}

static void test_list_in_parts_equals_page(void **state)
{
	static const char *const texts[] = {
		decoding_example,
		"{\"agent_list\":[]}",
		"{\"agent_list\":[{\"agent_id\":\"a\"},7,{\"agent_id\":\"b\", \"x\" : 1e9 },"
		"{\"agent_id\":\"\\ud800\"},null],\"page_meta\":{\"total_count\":9007199254740992}"
		"}",
		"{\"page_meta\":[],\"agent_list\":[{},{\"agent_id\":\"c\"}],\"agent_list\":[{}]}",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++)
		for (size_t part = 1; part <= 6; part++)
			assert_same_list(texts[i], part);
}

static void test_list_exceeds_limits_of_a_page(void **state)
{
	const size_t count = DECODE_MAX_AGENTS + 5000, bytes_each = 1000;
	char *text = malloc(count * bytes_each + 100), *end = text;
	struct decode_list list;
	struct failure failure;
	struct page *page;

	(void)state;
	assert_non_null(text);
	end += sprintf(end, "{\"agent_list\":[");
	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "%s{\"agent_id\":\"a%zu\",\"x\":\"%900s\"}", i ? "," : "", i,
		               "");
	end += sprintf(end, "]}");
	assert_true((size_t)(end - text) > DECODE_MAX_BYTES);
	if (decode_list_init(text, (size_t)(end - text), &list, &failure) < 0)
		fail_msg("%s", failure.message);
	assert_int_equal(list.count, count);
	assert_int_equal(list.total_count, AGENT_ABSENT);
	assert_int_equal(decode_list_page(&list, count - 1, 100, &page, &failure), 0);
	assert_int_equal(page->agent_count, 1);
	assert_string_equal(page->agents[0]->id, "a14999");
	page_free(page);
	decode_list_done(&list);
	free(text);
}

static void test_rejected_list_has_position(void **state)
{
	static const struct {
		const char *text, *reason;
		enum failure_cause cause;
	} rows[] = {
		{"", "empty", FAILURE_MALFORMED},
		{"hello", "not JSON at line 1, column 1: no value", FAILURE_MALFORMED},
		{"{}", "no agent_list", FAILURE_MALFORMED},
		{"[{\"agent_id\":\"a\"}]", "no agent_list", FAILURE_MALFORMED},
		{"{\"agent_list\":null}", "no agent_list", FAILURE_MALFORMED},
		{"{\n  \"agent_list\": [\n    {\"agent_id\": \"\xc3\xa9\" \"x\"}]}",
	         "not JSON at line 3, column 22: no comma", FAILURE_MALFORMED},
		{"{\"agent_list\":[],\n", "not JSON at line 2, column 1: it ends early",
	         FAILURE_MALFORMED},
		{"{\"agent_list\":[]}\n{}", "not JSON at line 2, column 1: more than one value",
	         FAILURE_MALFORMED},
		{"{\"agent_list\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	         "not JSON at line 1, column 48: it ends early", FAILURE_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct failure failure = {.cause = FAILURE_CAUSES};
		struct decode_list list;
		int err = decode_list_init(rows[i].text, strlen(rows[i].text), &list, &failure);

		assert_int_equal(err, -failure_errno(rows[i].cause));
		assert_int_equal(failure.cause, rows[i].cause);
		if (strncmp(failure.message, rows[i].reason, strlen(rows[i].reason)) != 0)
			fail_msg("%s instead of %s", failure.message, rows[i].reason);
	}
	/* The size is checked before the text is read. */
	{
		struct failure failure = {0};
		struct decode_list list;

		assert_int_equal(
			decode_list_init("x", DECODE_MAX_LIST_BYTES + 1ul, &list, &failure),
			-EREMOTEIO);
		assert_string_equal(failure.message, "larger than 512 MiB");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_in_parts_equals_page),
		cmocka_unit_test(test_list_exceeds_limits_of_a_page),
		cmocka_unit_test(test_rejected_list_has_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
