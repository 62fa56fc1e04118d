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

#include "api/json/json_rewrite.h"
#include "api/json/json_scan.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static const struct json_query query = {
	.list = "list",
	.member = "meta",
	.max_depth = 4,
	.max_tokens = 60,
	.max_elements = 9,
};

/* Scans a copy of exactly this size, so ASan detects a read beyond it. */
static int scan(const char *text, size_t bytes, struct json_outline *ret, struct json_fault *fault)
{
	char *copy = malloc(bytes ? bytes : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	result = json_scan(copy, bytes, &query, ret, fault);
	free(copy);
	return result;
}

static struct json_outline scan_ok(const char *text)
{
	struct json_outline outline;
	struct json_fault fault;

	if (scan(text, strlen(text), &outline, &fault) < 0)
		fail_msg("%s: %s at byte %zu", text, fault.reason, fault.offset);
	return outline;
}

static void assert_span(const char *text, const struct json_span *span, const char *value,
                        uint32_t flags)
{
	assert_int_equal(span->bytes, strlen(value));
	assert_memory_equal(text + span->offset, value, span->bytes);
	assert_int_equal(span->flags, flags);
}

static void test_json_is_accepted(void **state)
{
	static const char *const texts[] = {
		"0",
		"-0",
		"-1.5e+10",
		"1E9",
		"10",
		"1.50",
		"true",
		"false",
		"null",
		"\"\"",
		"[]",
		"{}",
		" [ ] ",
		"\t{\r\n}",
		"[[],{},[{}]]",
		"{\"a\":{\"b\":[]},\"\":0}",
		"\"\\u0001\\u0000\"",
		"{\"a\":0,\"\\u0000\":0}",
		"\xef\xbb\xbf{}",
		"\xef\xbb\xbf 0",
		"\"\xff\xc0\x80\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\uD800\"",
		"[[[[0]]]]",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct json_outline outline = scan_ok(texts[i]);

		assert_false(outline.has_list);
		assert_int_equal(outline.count, 0);
		assert_int_equal(outline.member.bytes, 0);
		json_outline_done(&outline);
	}
}

static void test_text_that_is_not_json_is_rejected(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
		size_t offset;
	} rows[] = {
		{"", "it ends early", 0},
		{" ", "it ends early", 1},
		{"<html>", "no value", 0},
		{"\xef\xbb\xbf\xef\xbb\xbf{}", "no value", 3},
		{" \xef\xbb\xbf{}", "no value", 1},
		{"\xef\xbb\xbf", "it ends early", 3},
		{"{}x", "more than one value", 2},
		{"{}{}", "more than one value", 2},
		{"0 0", "more than one value", 2},
		{"[0]]", "more than one value", 3},
		{"{\"a\":0,}", "no key", 7},
		{"[1,]", "no value", 3},
		{"[,1]", "no value", 1},
		{"[1 2]", "no comma", 3},
		{"[}", "no value", 1},
		{"[0}", "no comma", 2},
		{"{\"a\":0]", "no comma", 6},
		{"{]", "no key", 1},
		{"{\"a\" 0}", "no colon", 5},
		{"{\"a\"}", "no colon", 4},
		{"{a:0}", "no key", 1},
		{"{'a':0}", "no key", 1},
		{"{0:0}", "no key", 1},
		{"[]/**/", "more than one value", 2},
		{"0123", "a bad number", 0},
		{"-01", "a bad number", 1},
		{"[-]", "a bad number", 2},
		{"[1.]", "a bad number", 3},
		{"[1.e1]", "a bad number", 3},
		{"[1e]", "a bad number", 3},
		{"[1e+]", "a bad number", 4},
		{"-", "it ends early", 1},
		{"1.", "it ends early", 2},
		{"1e", "it ends early", 2},
		{"+1", "no value", 0},
		{".5", "no value", 0},
		{"NaN", "no value", 0},
		{"[nul]", "no value", 1},
		{"truE", "no value", 0},
		{"tru", "it ends early", 3},
		{"n", "it ends early", 1},
		{"[fals", "it ends early", 5},
		{"no", "no value", 0},
		{"tx", "no value", 0},
		{"[fail", "no value", 1},
		{"True", "no value", 0},
		{"[0x10]", "no comma", 2},
		{"[", "it ends early", 1},
		{"[0", "it ends early", 2},
		{"[0,", "it ends early", 3},
		{"{\"a", "it ends early", 3},
		{"{\"a\"", "it ends early", 4},
		{"{\"a\":", "it ends early", 5},
		{"\"a", "it ends early", 2},
		{"\"12345678", "it ends early", 9},
		{"\"a\nb\"", "a control character in a string", 2},
		{"\"1234567\x1f\"", "a control character in a string", 8},
		{"\"\x01\"", "a control character in a string", 1},
		{"\"\\x41\"", "a bad escape", 1},
		{"\"\\u12g4\"", "a bad escape", 1},
		{"\"\\U1234\"", "a bad escape", 1},
		{"\"\\\n\"", "a bad escape", 1},
		{"\"\\u00", "it ends early", 5},
		{"\"\\", "it ends early", 2},
		{"\"\\ud800\\u00\"", "a bad escape", 7},
		{"\v0", "no value", 0},
		{"\xc2\xa0"
	         "0",
	         "no value", 0},
	};
	struct json_outline outline;
	struct json_fault fault;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		if (scan(rows[i].text, strlen(rows[i].text), &outline, &fault) != -EBADMSG)
			fail_msg("accepted: %s", rows[i].text);
		if (strcmp(fault.reason, rows[i].reason) != 0 || fault.offset != rows[i].offset)
			fail_msg("%s: %s at %zu", rows[i].text, fault.reason, fault.offset);
	}
	assert_int_equal(json_scan(NULL, 0, &query, &outline, &fault), -EBADMSG);
	assert_int_equal(fault.offset, 0);
	assert_int_equal(scan("\"a\0b\"", 5, &outline, &fault), -EBADMSG);
	assert_string_equal(fault.reason, "a NUL in a string");
	assert_int_equal(scan("0\0", 2, &outline, &fault), -EBADMSG);
	assert_string_equal(fault.reason, "more than one value");
}

static void test_too_many_elements_are_rejected(void **state)
{
	static const char too_many[] = "{\"list\":[0,1,2,3,4,5,6,7,8,9]}";
	struct json_outline outline;
	struct json_fault fault;

	(void)state;
	assert_int_equal(scan(too_many, strlen(too_many), &outline, &fault), -E2BIG);
	assert_string_equal(fault.reason, "too many elements");
	outline = scan_ok("{\"list\":[0,1,2,3,4,5,6,7,8]}");
	assert_int_equal(outline.count, 9);
	json_outline_done(&outline);
}

static void test_exceeded_limit_is_a_flag_of_one_value(void **state)
{
	static const char many[] = "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
				   "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]";
	static const char deep[] = "[[[{\"a\":{}}]]]";
	char text[512];
	struct json_outline outline;

	(void)state;
	snprintf(text, sizeof(text),
	         "{\"x\":%s,\"list\":[%s,[[[{}]]],%s,0],\"y\":[%s],\"meta\":%s}", deep, deep, many,
	         many, deep);
	outline = scan_ok(text);
	assert_int_equal(outline.count, 4);
	assert_span(text, &outline.elements[0], deep, JSON_TOO_DEEP);
	assert_span(text, &outline.elements[1], "[[[{}]]]", 0);
	assert_span(text, &outline.elements[2], many, JSON_TOO_MANY_TOKENS);
	assert_span(text, &outline.elements[3], "0", 0);
	assert_span(text, &outline.member, deep, JSON_TOO_DEEP);
	json_outline_done(&outline);
}

static void test_nesting_of_a_million_is_scanned(void **state)
{
	const size_t depth = 1000000;
	char *text = malloc(2 * depth + 1);
	struct json_outline outline;
	struct json_fault fault;

	(void)state;
	assert_non_null(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	assert_int_equal(scan(text, 2 * depth, &outline, &fault), 0);
	text[2 * depth - 7] = '}';
	assert_int_equal(scan(text, 2 * depth, &outline, &fault), -EBADMSG);
	assert_int_equal(fault.offset, 2 * depth - 7);
	free(text);
}

static void test_outline_has_elements_and_member(void **state)
{
	static const char text[] = " {\"x\":{\"list\":[1],\"meta\":2}, \"list\" : [ {\"list\":[0]} "
				   ", [ 7 ], \"a\" ,1.5,\n{}] ,"
				   "\"meta\": {\"n\": 1} }";
	struct json_outline outline = scan_ok(text);

	(void)state;
	assert_true(outline.has_list);
	assert_int_equal(outline.count, 5);
	assert_span(text, &outline.elements[0], "{\"list\":[0]}", 0);
	assert_span(text, &outline.elements[1], "[ 7 ]", JSON_HAS_SPACE);
	assert_span(text, &outline.elements[2], "\"a\"", 0);
	assert_span(text, &outline.elements[3], "1.5", JSON_NEEDS_NORMALIZE);
	assert_span(text, &outline.elements[4], "{}", 0);
	assert_span(text, &outline.member, "{\"n\": 1}", JSON_HAS_SPACE);
	json_outline_done(&outline);

	outline = scan_ok("{\"list\":[1,2,3],\"meta\":1,\"list\":[4],\"meta\":23}");
	assert_true(outline.has_list);
	assert_int_equal(outline.count, 1);
	assert_int_equal(outline.elements[0].offset, 33);
	assert_int_equal(outline.member.bytes, 2);
	json_outline_done(&outline);
	outline = scan_ok("{\"list\":[1],\"list\":{\"a\":1}}");
	assert_false(outline.has_list);
	assert_int_equal(outline.count, 0);
	json_outline_done(&outline);
	/* Keys are compared after escapes are resolved. */
	outline = scan_ok("{\"list\":[1],\"\\u006ci\\u0073t\":[2,3]}");
	assert_int_equal(outline.count, 2);
	json_outline_done(&outline);
	outline = scan_ok(
		"{\"List\":[1],\"lis\":[1],\"listx\":[1],\"lis\\\\t\":[1],\"\\u016cist\":[1],"
		"\"list\\u0000\":[1],\"\":[1]}");
	assert_false(outline.has_list);
	json_outline_done(&outline);
}

/* literal: between the quotes. sanitized: what json_sanitize() makes of it. */
static void test_string_is_flagged_and_sanitized(void **state)
{
	enum {
		U = JSON_NEEDS_SANITIZE,
		L = JSON_NEEDS_SANITIZE | JSON_LOSSY,
		O = JSON_NEEDS_SANITIZE | JSON_LOSSY | JSON_NEEDS_NORMALIZE,
	};
	static const struct {
		const char *literal, *sanitized;
		uint32_t flags;
	} rows[] = {
		{"a b", "a b", 0},
		{"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\\\"\\\\\\/\\b\\f\\n\\r\\t", 0},
		{"\\u001B]0;x\\u0007", "\\u001b]0;x\\u0007", U},
		{"\\u00E9\xc3\xa9", "\\u00e9\xc3\xa9", U},
		{"\\uABCD\\\\uABCD", "\\uabcd\\\\uABCD", U},
		{"\x7f", "\\u007f", U},
		{"\xc2\x9b", "\\u009b", U},
		{"a\xe2\x80\xae"
	         "b",
	         "a\\u202eb", U},
		{"\xd8\x9c\xe2\x81\xa9", "\\u061c\\u2069", U},
		{"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029", U},
		{"a\\u0000", "a\\u0000", JSON_NEEDS_NORMALIZE},
		{"\xff\xfe", "\\ufffd\\ufffd", L},
		{"\xc0\x80", "\\ufffd\\ufffd", O},
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", L},
		{"\xe2\x80", "\\ufffd\\ufffd", L},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 0},
		{"\\uD83D\\uDE00", "\\ud83d\\ude00", U},
		{"\\ud83d\\uDE00", "\\ud83d\\ude00", U},
		{"\\ud83d", "\\ufffd", O},
		{"\\ude00", "\\ufffd", O},
		{"\\ude00\\ude00", "\\ufffd\\ufffd", O},
		{"\\ude00\\ud83d", "\\ufffd\\ufffd", O},
		{"\\ud83d\\ud83d\\ude00", "\\ufffd\\ud83d\\ude00", O},
		{"\\ud83dx", "\\ufffdx", O},
		{"\\ud83d\\n", "\\ufffd\\n", O},
		{"\\ud83d\\u0041", "\\ufffd\\u0041", O},
		{"\\\\ud83d", "\\\\ud83d", 0},
		{"12345678\\u00E9", "12345678\\u00e9", U},
		{"1234567\x7f"
	         "90",
	         "1234567\\u007f90", U},
		{"123456789012345\xff", "123456789012345\\ufffd", L},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		/* At every offset in a word of eight bytes. */
		for (int pad = 0; pad < 9; pad++) {
			char text[128], value[96], sanitized[128], got[600];
			struct json_outline outline;
			size_t bytes;

			snprintf(value, sizeof(value), "\"%.*s%s\"", pad, "        ",
			         rows[i].literal);
			snprintf(sanitized, sizeof(sanitized), "\"%.*s%s\"", pad, "        ",
			         rows[i].sanitized);
			snprintf(text, sizeof(text), "{\"list\":[%s,0]}", value);
			outline = scan_ok(text);
			assert_span(text, &outline.elements[0], value, rows[i].flags);
			assert_span(text, &outline.elements[1], "0", 0);
			bytes = json_sanitize(got, value, strlen(value));
			assert_int_equal(bytes, strlen(sanitized));
			assert_memory_equal(got, sanitized, bytes);
			if (rows[i].flags & JSON_NEEDS_SANITIZE)
				assert_true(bytes <= json_sanitize_max(&outline.elements[0]));
			else
				assert_int_equal(json_sanitize_max(&outline.elements[0]), 0);
			json_outline_done(&outline);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_is_accepted),
		cmocka_unit_test(test_text_that_is_not_json_is_rejected),
		cmocka_unit_test(test_too_many_elements_are_rejected),
		cmocka_unit_test(test_exceeded_limit_is_a_flag_of_one_value),
		cmocka_unit_test(test_nesting_of_a_million_is_scanned),
		cmocka_unit_test(test_outline_has_elements_and_member),
		cmocka_unit_test(test_string_is_flagged_and_sanitized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
