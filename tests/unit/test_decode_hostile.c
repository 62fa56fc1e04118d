/* SPDX-License-Identifier: MIT */
/* Bodies that are malformed, hostile or too large. test_decode.c has the good ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/json/decode.h"
#include "tests/unit/decoding.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#ifdef __has_feature
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif

/*
 * A malloc() that fails at the Nth call, in the whole process including libraries. Not with a
 * sanitizer, which has its own malloc().
 */
static long fail_after = -1; /* number of calls that succeed before one fails; -1: all succeed */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
	!HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)
#define CAN_FAIL_MALLOC 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

static bool is_time_to_fail(void)
{
	if (fail_after < 0)
		return false;
	if (fail_after > 0) {
		fail_after--;
		return false;
	}
	errno = ENOMEM;
	return true;
}

void *malloc(size_t bytes)
{
	return is_time_to_fail() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return is_time_to_fail() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
	return is_time_to_fail() ? NULL : __libc_realloc(memory, bytes);
}
#else
#define CAN_FAIL_MALLOC 0
#endif

/* Returns before, count copies of part with commas between them, and after. In a copy, # is
 * replaced by its index. */
static char *repeat(const char *before, const char *part, size_t count, const char *after)
{
	size_t room = strlen(before) + count * (strlen(part) + 12) + strlen(after) + 1;
	char *text = malloc(room), *at;

	assert_non_null(text);
	at = stpcpy(text, before);
	for (size_t i = 0; i < count; i++) {
		if (i)
			*at++ = ',';
		for (const char *c = part; *c; c++) {
			if (*c == '#')
				at += sprintf(at, "%zu", i);
			else
				*at++ = *c;
		}
	}
	strcpy(at, after);
	return text;
}

static void test_lists_of_an_agent_are_limited(void **state)
{
	static const struct {
		const char *before, *part, *after;
		size_t offset; /* of the count, in struct agent */
		size_t most;
	} rows[] = {
		{"{\"agent_list\":[{\"agent_id\":\"x\",\"agent_labels\":[", "\"l#\"", "]}]}",
	         offsetof(struct agent, labels.count), AGENT_MAX_LABELS},
		{"{\"agent_list\":[{\"agent_id\":\"x\",\"running_tasks\":[", "\"t#\"", "]}]}",
	         offsetof(struct agent, running_tasks.count), AGENT_MAX_TASKS},
		{"{\"agent_list\":[{\"agent_id\":\"x\",\"system_stats\":{\"gpu_devices\":[", "{}",
	         "]}}]}", offsetof(struct agent, gpu_count), AGENT_MAX_GPUS},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (size_t count = rows[i].most - 1; count <= rows[i].most + 1; count++) {
			char *body = repeat(rows[i].before, rows[i].part, count, rows[i].after);
			struct page *page = decoding_good(body);
			const void *got = (const char *)page->agents[0] + rows[i].offset;

			assert_int_equal(*(const size_t *)got,
			                 count < rows[i].most ? count : rows[i].most);
			page_free(page);
			free(body);
		}
}

/* test_json_scan.c has the texts that are not JSON. */
static void test_body_without_agent_list_is_rejected(void **state)
{
	static const struct {
		const char *body;
		const char *message;
	} rows[] = {
		{"", "empty"},
		{"<html><body>Welcome</body></html>", "byte 0"},
		{"[]", "no agent_list"},
		{"7", "no agent_list"},
		{"\"agent_list\"", "no agent_list"},
		{"{}", "no agent_list"},
		{"[{\"agent_list\":[]}]", "no agent_list"},
		{"{\"data\":{\"agent_list\":[]}}", "no agent_list"},
		{"{\"agent_list\":null}", "no agent_list"},
		{"{\"agent_list\":{}}", "no agent_list"},
		{"{\"agent_list\":{\"agent_list\":[]}}", "no agent_list"},
		{"{\"agent_list\":\"[]\"}", "no agent_list"},
		{"{\"agent_list\":[],\"agent_list\":null}", "no agent_list"},
		{"{\"Agent_List\":[]}", "no agent_list"},
		{"{\"agent_listx\":[]}", "no agent_list"},
	};
	static const char nul[] = "{\"agent_list\":[{\"agent_id\":\"a\0b\"}]}";
	struct failure failure;
	struct page *page;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		if (decoding_any(rows[i].body, strlen(rows[i].body), &page, &failure) != -EREMOTEIO)
			fail_msg("accepted: %s", rows[i].body);
		assert_int_equal(failure.cause, FAILURE_MALFORMED);
		if (!strstr(failure.message, rows[i].message))
			fail_msg("%s: %s", rows[i].body, failure.message);
	}
	assert_int_equal(decoding_any(nul, sizeof(nul) - 1, &page, &failure), -EREMOTEIO);
	assert_non_null(strstr(failure.message, "a NUL in a string"));
	assert_int_equal(decoding_any("{\"agent_list\":[]}\0", 18, &page, &failure), -EREMOTEIO);
}

static void test_malformed_elements_do_not_hide_others(void **state)
{
	struct page *page;
	char *body;

	(void)state;
	page = decoding_good(
		"{\"agent_list\":[7,null,\"x\",[],[{\"agent_id\":\"no\"}],{},{\"agent_id\":1},"
		"{\"agent_id\":\"no\",\"agent_id\":null},{\"Agent_Id\":\"no\"},"
		"{\"agent_id\":\"\"},{\"agent_id\":\"good\"}]}");
	assert_int_equal(page->dropped, 9);
	assert_int_equal(page->agent_count, 2);
	assert_string_equal(page->agents[0]->id, "");
	assert_string_equal(page->agents[1]->id, "good");
	page_free(page);

	body = repeat("{\"agent_list\":[{\"agent_id\":\"huge\",\"n\":[", "123456789", 110000,
	              "]},{\"agent_id\":\"good\"}]}");
	page = decoding_good(body);
	assert_int_equal(page->dropped, 1);
	assert_int_equal(page->agent_count, 1);
	assert_string_equal(page->agents[0]->id, "good");
	page_free(page);
	free(body);
}

/* Two ids are equal only if their JSON means the same string. */
static void test_ids_with_invalid_utf8_stay_distinct(void **state)
{
	static const char *const literals[] = {
		"",
		"\\u0000",
		"\\u0000\\u0000",
		"a",
		"a\\u0000",
		"a\\u0000b",
		"a\\u0000c",
		"\xc0",
		"\xc0\x80",
		"\xc0\x81",
		"\xc0\xc0",
		"\xc0\\u0000",
		"\xc0\x80\\u0000",
		"\\u00c0",
		"\\u00c0\\u0080",
		"\\ud800",
		"\\ud801",
		"\\udc00",
		"\\udc00\\ud800",
		"\\ud800\\udc00",
		"\\ufffd",
		"\xff",
		"\xfe",
		"\\\\u0000",
	};
	char body[4096] = "{\"agent_list\":[";
	struct page *page;

	(void)state;
	for (size_t i = 0; i < LENGTH(literals); i++)
		sprintf(body + strlen(body), "%s{\"agent_id\":\"%s\"}", i ? "," : "", literals[i]);
	strcat(body, "]}");
	page = decoding_good(body);
	assert_int_equal(page->agent_count, LENGTH(literals));
	for (size_t i = 0; i < page->agent_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(page->agents[i]->id, page->agents[j]->id) == 0)
				fail_msg("%s is %s", literals[i], literals[j]);
	page_free(page);
}

static void test_dropped_elements_have_position_id_and_reason(void **state)
{
	char long_id[2000], body[8000];
	struct page *page;

	(void)state;
	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	snprintf(body, sizeof(body),
	         "{\"agent_list\":[7,{},{\"agent_id\":null},{\"agent_id\":\"ok\"},[],[],[],[],[],[]"
	         ",[],"
	         "{\"agent_id\":\"%s\"}]}",
	         long_id);
	page = decoding_good(body);
	assert_int_equal(page->agent_count, 2);
	assert_int_equal(page->dropped, 10);
	assert_string_equal(page->faults[0].reason, "it is not an object");
	assert_string_equal(page->faults[0].id, "");
	assert_string_equal(page->faults[1].reason, "it has no agent_id that is a string");
	assert_int_equal(page->faults[2].position, 3);
	assert_int_equal(page->faults[PAGE_MAX_FAULTS - 1].position, PAGE_MAX_FAULTS + 1);
	page_free(page);

	/* The id is truncated between characters. */
	snprintf(body, sizeof(body),
	         "{\"agent_list\":[{\"agent_id\":\"%.61s\xf0\x9f\x98\x80\",\"x\":"
	         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}",
	         long_id);
	page = decoding_good(body);
	assert_int_equal(page->dropped, 1);
	assert_int_equal(strlen(page->faults[0].id), 61);
	page_free(page);

	/* An agent_id that is itself beyond a limit is not parsed. */
	page = decoding_good(
		"{\"agent_list\":[{\"agent_id\":"
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}");
	assert_int_equal(page->dropped, 1);
	assert_string_equal(page->faults[0].id, "");
	page_free(page);
}

static void test_page_beyond_a_limit_is_rejected(void **state)
{
	static const struct {
		const char *before, *part, *after;
		size_t fine, beyond;
	} rows[] = {
		{"{\"agent_list\":[", "{\"agent_id\":\"#\"}", "]}", DECODE_MAX_AGENTS,
	         DECODE_MAX_AGENTS + 1},
	};
	struct failure failure;
	struct page *page;
	char *body;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		body = repeat(rows[i].before, rows[i].part, rows[i].fine, rows[i].after);
		page_free(decoding_good(body));
		free(body);
		body = repeat(rows[i].before, rows[i].part, rows[i].beyond, rows[i].after);
		assert_int_equal(decoding_any(body, strlen(body), &page, &failure), -EREMOTEIO);
		assert_int_equal(failure.cause, FAILURE_OVERSIZED);
		free(body);
	}
	body = malloc(DECODE_MAX_BYTES + 1);
	assert_non_null(body);
	memset(body, ' ', DECODE_MAX_BYTES + 1);
	memcpy(body, "{\"agent_list\":[]}", 17);
	assert_int_equal(decoding_any(body, DECODE_MAX_BYTES, &page, &failure), 0);
	page_free(page);
	assert_int_equal(decoding_any(body, DECODE_MAX_BYTES + 1, &page, &failure), -EREMOTEIO);
	assert_int_equal(failure.cause, FAILURE_OVERSIZED);
	free(body);
}

static void test_element_beyond_a_limit_is_dropped_alone(void **state)
{
	static const char before[] =
		"{\"agent_list\":[{\"agent_id\":\"a\"},{\"agent_id\":\"odd\",\"x\":";
	static const char after[] = "},{\"agent_id\":\"b\"}]}";
	char start[128], *body;
	struct page *page;

	(void)state;
	for (size_t depth = 1; depth <= 1000; depth += depth < 64 ? 1 : 936) {
		char text[2400];
		char *at = stpcpy(text, before);

		/* The element itself is one level. */
		memset(at, '[', depth);
		memset(at + depth, ']', depth);
		strcpy(at + 2 * depth, after);
		page = decoding_good(text);
		assert_int_equal(page->dropped, depth + 1 > DECODE_MAX_DEPTH);
		assert_int_equal(page->agent_count, 3 - page->dropped);
		if (page->dropped) {
			assert_string_equal(page->faults[0].id, "odd");
			assert_int_equal(page->faults[0].position, 2);
			assert_non_null(strstr(page->faults[0].reason, "nested deeper than 32"));
		}
		page_free(page);
	}
	snprintf(start, sizeof(start), "%s[", before);
	body = repeat(start, "0", DECODE_MAX_TOKENS, "]},{\"agent_id\":\"b\"}]}");
	page = decoding_good(body);
	assert_int_equal(page->dropped, 1);
	assert_int_equal(page->agent_count, 2);
	page_free(page);
	free(body);
	/* Outside of the list only the size of the body is limited. */
	body = repeat("{\"agent_list\":[],\"x\":[", "0", DECODE_MAX_TOKENS, "]}");
	page_free(decoding_good(body));
	free(body);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Bodies that cost much time or memory. The limit of time is generous, for sanitizers and busy
 * machines. */
static void test_large_bodies_are_decoded_in_time(void **state)
{
	static const struct {
		const char *before, *part, *after;
		size_t count;
	} rows[] = {
		{"{\"agent_list\":[{\"agent_id\":\"x\",", "\"k#\":0", "}]}", 100000},
		{"{\"agent_list\":[{\"agent_id\":\"x\",\"zz\":[", "0", "]}]}", 480000},
		{"{\"agent_list\":[{\"agent_id\":\"x\",", "\"\":\"\"", "}]}", 150000},
		{"{\"agent_list\":[{\"agent_id\":\"x\",\"agent_labels\":[", "\"a\"", "]}]}",
	         240000},
		{"{\"agent_list\":[", "{\"agent_id\":\"x\",\"z\":[1,2,3,4,5,6,7,8,9,1.5]}", "]}",
	         9999},
		{"{\"agent_list\":[{\"agent_id\":\"", "\xff", "\"}]}", 500000},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *body = repeat(rows[i].before, rows[i].part, rows[i].count, rows[i].after);
		double start = seconds();
		struct page *page = decoding_good(body);

		assert_true(page->agent_count + page->dropped > 0);
		page_free(page);
		free(body);
		if (seconds() - start > 2.0)
			fail_msg("row %zu took %g s", i, seconds() - start);
	}
}

/* Replaces every byte of a body by each of these. */
static void test_mutated_body_is_decoded_or_rejected(void **state)
{
	static const char bytes[] = {'"', '\\', '{',  ']',    ',',    '0',
	                             '-', 'u',  '\0', '\xff', '\x7f', ' '};
	static const char good[] =
		"{\"agent_list\": "
		"[{\"agent_id\":\"a\\u001b\xc3\xa9\",\"gpu_capacity\":8,\"z\":[-1.5e3,true,null]},"
		"{\"agent_id\":\"\\ud83d\\ude00\",\"system_stats\":{\"gpu_devices\":[{\"vram_"
		"free\":1}]}}],"
		"\"page_meta\":{\"per_page\":20,\"total_count\":42}}";
	size_t whole = sizeof(good) - 1;
	char *body = strdup(good);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < whole; i++) {
		for (size_t j = 0; j < sizeof(bytes); j++) {
			struct failure failure;
			struct page *page;

			body[i] = bytes[j];
			if (decoding_any(body, whole, &page, &failure) == 0)
				page_free(page);
			else
				assert_int_not_equal(failure.cause, FAILURE_MEMORY);
		}
		body[i] = good[i];
	}
	free(body);
}

static void test_failed_allocations_are_reported(void **state)
{
	static const char body[] =
		"{\"agent_list\":[ {\"agent_id\":\"a\xff\",\"n\":1.5,\"agent_labels\":[\"l\"]},"
		"{\"agent_id\":\"b\",\"system_stats\":{\"gpu_devices\":[{\"device_name\":\"d\"}]}}]"
		","
		"\"page_meta\":{\"total_count\":2}}";
	long calls;

	(void)state;
	if (!CAN_FAIL_MALLOC) {
		print_message("# skipped: a sanitizer has replaced malloc()\n");
		return;
	}
	for (calls = 0;; calls++) {
		struct failure failure = {0};
		struct page *page = NULL;
		int result;

		fail_after = calls;
		result = decode_page(body, sizeof(body) - 1, &page, &failure);
		fail_after = -1;
		if (result == 0) {
			assert_int_equal(page->agent_count, 2);
			page_free(page);
			break;
		}
		assert_int_equal(result, -ENOMEM);
		assert_int_equal(failure.cause, FAILURE_MEMORY);
		assert_null(page);
	}
	if (calls == 0)
		print_message("# skipped: valgrind has replaced malloc()\n");
	assert_true(calls >= 4);
	for (calls = 0; calls < 4; calls++) {
		char text[64];

		fail_after = calls;
		decode_message("{\"message\":\"no\"}", 16, text, sizeof(text));
		fail_after = -1;
		assert_non_null(strstr(text, "no"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_of_an_agent_are_limited),
		cmocka_unit_test(test_body_without_agent_list_is_rejected),
		cmocka_unit_test(test_malformed_elements_do_not_hide_others),
		cmocka_unit_test(test_page_beyond_a_limit_is_rejected),
		cmocka_unit_test(test_element_beyond_a_limit_is_dropped_alone),
		cmocka_unit_test(test_large_bodies_are_decoded_in_time),
		cmocka_unit_test(test_mutated_body_is_decoded_or_rejected),
		cmocka_unit_test(test_failed_allocations_are_reported),
		cmocka_unit_test(test_ids_with_invalid_utf8_stay_distinct),
		cmocka_unit_test(test_dropped_elements_have_position_id_and_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
