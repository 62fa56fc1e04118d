/* SPDX-License-Identifier: MIT */
/* Answers that were made, or cut, to do harm. What a good one holds is test_decode.c's. */
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
 * malloc() that fails at the Nth call, for the whole process, libraries included. Not under a
 * sanitizer, which has a malloc() of its own.
 */
static long fail_after = -1; /* how many calls still succeed; -1: all */

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

static void test_list_ceilings(void **state)
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

/* Bodies that are refused as a whole. What is no JSON at all is test_json.c's. */
static void test_refused(void **state)
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
	struct failure why;
	struct page *page;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		if (decoding(rows[i].body, strlen(rows[i].body), &page, &why) != -EREMOTEIO)
			fail_msg("accepted: %s", rows[i].body);
		assert_int_equal(why.cause, FAILURE_MALFORMED);
		if (!strstr(why.message, rows[i].message))
			fail_msg("%s: %s", rows[i].body, why.message);
	}
	assert_int_equal(decoding(nul, sizeof(nul) - 1, &page, &why), -EREMOTEIO);
	assert_non_null(strstr(why.message, "a NUL in a string"));
	assert_int_equal(decoding("{\"agent_list\":[]}\0", 18, &page, &why), -EREMOTEIO);
}

/* Elements that are no agent never hide the others. */
static void test_malformed_elements(void **state)
{
	struct page *page;
	char *body;

	(void)state;
	page = decoding_good(
		"{\"agent_list\":[7,null,\"x\",[],[{\"agent_id\":\"no\"}],{},{\"agent_id\":1},"
		"{\"agent_id\":\"no\",\"agent_id\":null},{\"Agent_Id\":\"no\"},"
		"{\"agent_id\":\"\"},{\"agent_id\":\"good\"}]}");
	assert_int_equal(page->malformed, 9);
	assert_int_equal(page->agent_count, 2);
	assert_string_equal(page->agents[0]->id, "");
	assert_string_equal(page->agents[1]->id, "good");
	page_free(page);

	body = repeat("{\"agent_list\":[{\"agent_id\":\"huge\",\"n\":[", "123456789", 110000,
	              "]},{\"agent_id\":\"good\"}]}");
	page = decoding_good(body);
	assert_int_equal(page->malformed, 1);
	assert_int_equal(page->agent_count, 1);
	assert_string_equal(page->agents[0]->id, "good");
	page_free(page);
	free(body);
}

/* Two strings are one only if their JSON means the same; each is another agent. */
static void test_ids_that_are_no_text_stay_apart(void **state)
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

static void test_faults_are_named(void **state)
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
	assert_int_equal(page->malformed, 10);
	assert_string_equal(page->faults[0].reason, "it is not an object");
	assert_string_equal(page->faults[0].id, "");
	assert_string_equal(page->faults[1].reason, "it has no agent_id that is a string");
	assert_int_equal(page->faults[2].position, 3);
	assert_int_equal(page->faults[PAGE_MAX_FAULTS - 1].position, PAGE_MAX_FAULTS + 1);
	page_free(page);

	/* The id is cut between characters. */
	snprintf(body, sizeof(body),
	         "{\"agent_list\":[{\"agent_id\":\"%.61s\xf0\x9f\x98\x80\",\"x\":"
	         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}",
	         long_id);
	page = decoding_good(body);
	assert_int_equal(page->malformed, 1);
	assert_int_equal(strlen(page->faults[0].id), 61);
	page_free(page);
}

static void test_ceilings(void **state)
{
	static const struct {
		const char *before, *part, *after;
		size_t fine, beyond;
	} rows[] = {
		{"{\"agent_list\":[", "{\"agent_id\":\"#\"}", "]}", DECODE_MAX_AGENTS,
	         DECODE_MAX_AGENTS + 1},
	};
	struct failure why;
	struct page *page;
	char *body;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		body = repeat(rows[i].before, rows[i].part, rows[i].fine, rows[i].after);
		page_free(decoding_good(body));
		free(body);
		body = repeat(rows[i].before, rows[i].part, rows[i].beyond, rows[i].after);
		assert_int_equal(decoding(body, strlen(body), &page, &why), -EREMOTEIO);
		assert_int_equal(why.cause, FAILURE_OVERSIZED);
		free(body);
	}
	body = malloc(DECODE_MAX_BYTES + 1);
	assert_non_null(body);
	memset(body, ' ', DECODE_MAX_BYTES + 1);
	memcpy(body, "{\"agent_list\":[]}", 17);
	assert_int_equal(decoding(body, DECODE_MAX_BYTES, &page, &why), 0);
	page_free(page);
	assert_int_equal(decoding(body, DECODE_MAX_BYTES + 1, &page, &why), -EREMOTEIO);
	assert_int_equal(why.cause, FAILURE_OVERSIZED);
	free(body);
}

/* An element beyond a limit of its own is dropped, and the elements around it are not. */
static void test_element_limits(void **state)
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
		assert_int_equal(page->malformed, depth + 1 > DECODE_MAX_DEPTH);
		assert_int_equal(page->agent_count, 3 - page->malformed);
		if (page->malformed) {
			assert_string_equal(page->faults[0].id, "odd");
			assert_int_equal(page->faults[0].position, 2);
			assert_non_null(strstr(page->faults[0].reason, "nested deeper than 32"));
		}
		page_free(page);
	}
	snprintf(start, sizeof(start), "%s[", before);
	body = repeat(start, "0", DECODE_MAX_TOKENS, "]},{\"agent_id\":\"b\"}]}");
	page = decoding_good(body);
	assert_int_equal(page->malformed, 1);
	assert_int_equal(page->agent_count, 2);
	page_free(page);
	free(body);
	/* Beside the list nothing is limited but by the size of the body. */
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

/* Bodies made to take long or much; generous, for sanitizers and busy machines. */
static void test_hostile_sizes(void **state)
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
		double begun = seconds();
		struct page *page = decoding_good(body);

		assert_true(page->agent_count + page->malformed > 0);
		page_free(page);
		free(body);
		if (seconds() - begun > 2.0)
			fail_msg("row %zu took %g s", i, seconds() - begun);
	}
}

/* Every byte of a body replaced by each of a few: refused or decoded, and nothing else. */
static void test_mutations(void **state)
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
			struct failure why;
			struct page *page;

			body[i] = bytes[j];
			if (decoding(body, whole, &page, &why) == 0)
				page_free(page);
			else
				assert_int_not_equal(why.cause, FAILURE_MEMORY);
		}
		body[i] = good[i];
	}
	free(body);
}

static void test_no_memory(void **state)
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
		struct failure why = {0};
		struct page *page = NULL;
		int result;

		fail_after = calls;
		result = decode_page(body, sizeof(body) - 1, &page, &why);
		fail_after = -1;
		if (result == 0) {
			assert_int_equal(page->agent_count, 2);
			page_free(page);
			break;
		}
		assert_int_equal(result, -ENOMEM);
		assert_int_equal(why.cause, FAILURE_MEMORY);
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
		cmocka_unit_test(test_list_ceilings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_malformed_elements),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_element_limits),
		cmocka_unit_test(test_hostile_sizes),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_ids_that_are_no_text_stay_apart),
		cmocka_unit_test(test_faults_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
