/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/tree/text.h"

#define CEILING 4096

/* The sanitizers end the process on an allocation that is too large by default. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void assert_text(const struct text *text, const char *expected)
{
	assert_int_equal(text_error(text), 0);
	assert_int_equal(text->length, strlen(expected));
	if (text->length > 0)
		assert_memory_equal(text->bytes, expected, text->length);
}

static void test_bytes_are_appended(void **state)
{
	struct text text;

	text_init(&text, CEILING);
	assert_null(text.bytes);
	text_bytes(&text, "", 0);
	text_printf(&text, "%s", "");
	text_escaped(&text, NULL);
	text_escaped(&text, "");
	assert_text(&text, "");
	text_bytes(&text, "a\0b", 3);
	assert_int_equal(text.length, 3);
	assert_memory_equal(text.bytes, "a\0b", 3);
	text_clear(&text);
	text_printf(&text, "%d %s", 42, "agents");
	text_printf(&text, ", %d", 7);
	assert_text(&text, "42 agents, 7");
	text_done(&text);
	assert_null(text.bytes);
	text_bytes(&text, "again", 5);
	assert_text(&text, "again");
	text_done(&text);
	(void)state;
}

static void test_a_trimmed_text_takes_no_more_memory_than_its_bytes(void **state)
{
	struct text text;

	text_init(&text, CEILING);
	text_trim(&text);
	assert_null(text.bytes);
	text_bytes(&text, "abc", 3);
	text_bytes(&text, "0123456789012345678901234567890123456789", 40);
	text.length = 3;
	text_trim(&text);
	assert_int_equal(text.capacity, 4);
	assert_text(&text, "abc");
	text_printf(&text, "%d", 42);
	assert_text(&text, "abc42");
	text_done(&text);
	(void)state;
}

static void test_printf_longer_than_the_buffer(void **state)
{
	struct text text;

	text_init(&text, CEILING);
	for (int width = 1; width < 200; width++) {
		size_t before = text.length;

		text_clear(&text);
		text_bytes(&text, "x", 1);
		text_printf(&text, "%*d", width, 7);
		assert_int_equal(text.length, 1 + width);
		assert_int_equal(text.bytes[0], 'x');
		assert_int_equal(text.bytes[width], '7');
		assert_true(text.length != before);
	}
	text_done(&text);
	(void)state;
}

static void test_unsafe_characters_are_escaped(void **state)
{
	static const struct {
		const char *string;
		const char *expected;
	} rows[] = {
		{"plain text, \\ and \"%s\" and ~", "plain text, \\ and \"%s\" and ~"},
		{"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
		{"\x1b]0;x\a", "\\x1b]0;x\\x07"},
		{"\x01\x1f\x7f", "\\x01\\x1f\\x7f"},
		{"\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
		{"\u061c", "\\xd8\\x9c"},
		{"\u200e\u200f\u200d", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f\u200d"},
		{"x\u202ay\u202e", "x\\xe2\\x80\\xaay\\xe2\\x80\\xae"},
		{"\u2066\u2069\u206a", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9\u206a"},
		{"\u00e9\u4e2d\U0001f600", "\u00e9\u4e2d\U0001f600"},
		{"\u2027\u2028\u2029\u202f", "\u2027\\xe2\\x80\\xa8\\xe2\\x80\\xa9\u202f"},
		/* The stored forms of NUL and of the byte C0. */
		{"a\xc0\x80z\xc0\x81\x80", "a\\x00z\\xc0\\x80"},
		{"\xff", "\\xff"},
		{"\xc0\xaf", "\\xc0\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
		{"\xe4\xb8\xe4\xb8\xad", "\\xe4\\xb8\u4e2d"},
	};
	struct text text;

	text_init(&text, CEILING);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&text);
		text_escaped(&text, rows[i].string);
		assert_text(&text, rows[i].expected);
	}
	text_done(&text);
	(void)state;
}

static void test_quotes_and_backslashes_are_escaped_in_quotes(void **state)
{
	static const struct {
		const char *string;
		const char *expected;
	} rows[] = {
		{NULL, "\"\""},
		{"", "\"\""},
		{"plain", "\"plain\""},
		{"\"", "\"\\\"\""},
		{"\\", "\"\\\\\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\"\"\"\"\"\"\"\"", "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\""},
		{"a\nb\xff", "\"a\\\\x0ab\\\\xff\""},
		{"\u202e\u4e2d", "\"\\\\xe2\\\\x80\\\\xae\u4e2d\""},
	};
	struct text text;

	text_init(&text, CEILING);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&text);
		text_quoted(&text, rows[i].string);
		assert_text(&text, rows[i].expected);
	}
	text_done(&text);
	/* A quoted string that does not fit sets the error, and no byte is beyond the ceiling. */
	for (size_t ceiling = 0; ceiling < 12; ceiling++) {
		text_init(&text, ceiling);
		text_quoted(&text, "a\"b\\c\n");
		assert_int_equal(text_error(&text), -EFBIG);
		assert_true(text.length <= ceiling);
		text_done(&text);
	}
	(void)state;
}

static void test_json_string_is_safe_in_html(void **state)
{
	static const struct {
		const char *string;
		const char *expected;
	} rows[] = {
		{NULL, "\"\""},
		{"", "\"\""},
		{"gpu-01 \u00e4 \U0001f600", "\"gpu-01 \u00e4 \U0001f600\""},
		{"a\"b\\c", "\"a\\u0022b\\u005cc\""},
		{"</script><!--&amp;'", "\"\\u003c/script\\u003e\\u003c!--\\u0026amp;'\""},
		{"\u2027\u2028\u202f", "\"\u2027\\u005cxe2\\u005cx80\\u005cxa8\u202f\""},
		{"\n\u202e\xe2\x80", "\"\\u005cx0a\\u005cxe2\\u005cx80\\u005cxae"
	                             "\\u005cxe2\\u005cx80\""},
	};
	struct text text;

	text_init(&text, CEILING);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&text);
		text_json(&text, rows[i].string);
		assert_text(&text, rows[i].expected);
	}
	text_done(&text);
	for (size_t ceiling = 0; ceiling < 12; ceiling++) {
		text_init(&text, ceiling);
		text_json(&text, "a\"b<c\n");
		assert_int_equal(text_error(&text), -EFBIG);
		assert_true(text.length <= ceiling);
		text_done(&text);
	}
	(void)state;
}

static void test_append_beyond_the_ceiling_fails(void **state)
{
	static const size_t ceilings[] = {0, 1, 7, 63, 64, 65, 1000};

	for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
		struct text text;

		text_init(&text, ceilings[i]);
		for (size_t j = 0; j < ceilings[i]; j++)
			text_bytes(&text, "x", 1);
		text_printf(&text, "%s", "");
		assert_int_equal(text_error(&text), 0);
		assert_int_equal(text.length, ceilings[i]);
		assert_true(text.capacity <= ceilings[i] + 1);
		text_printf(&text, "%d", 1);
		assert_int_equal(text_error(&text), -EFBIG);
		assert_int_equal(text.length, ceilings[i]);
		text_done(&text);

		text_init(&text, ceilings[i]);
		text_printf(&text, "%*s", (int)ceilings[i], "");
		assert_int_equal(text_error(&text), 0);
		assert_int_equal(text.length, ceilings[i]);
		text_bytes(&text, "1", 1);
		assert_int_equal(text_error(&text), -EFBIG);
		text_done(&text);
	}
	(void)state;
}

/* Although a shorter append would fit. */
static void test_error_stays_until_cleared(void **state)
{
	struct text text;

	text_init(&text, 10);
	text_bytes(&text, "12345", 5);
	text_escaped(&text, "123456");
	assert_int_equal(text_error(&text), -EFBIG);
	text_bytes(&text, "6", 1);
	text_printf(&text, "%d", 6);
	text_escaped(&text, "6");
	text_time(&text, 0);
	assert_int_equal(text_error(&text), -EFBIG);
	assert_int_equal(text.length, 5);
	text_clear(&text);
	text_bytes(&text, "0123456789", 10);
	assert_text(&text, "0123456789");
	text_done(&text);
	(void)state;
}

static void test_append_without_memory_fails(void **state)
{
	struct text text;

	text_init(&text, SIZE_MAX);
	text_bytes(&text, "kept", 4);
	text_bytes(&text, "never read", PTRDIFF_MAX);
	assert_int_equal(text_error(&text), -ENOMEM);
	text_bytes(&text, "x", 1);
	assert_int_equal(text_error(&text), -ENOMEM);
	assert_int_equal(text.length, 4);
	assert_memory_equal(text.bytes, "kept", 4);
	text.error = 0;
	text_bytes(&text, "never read", SIZE_MAX - 4);
	assert_int_equal(text_error(&text), -EFBIG);
	text_done(&text);
	assert_int_equal(text_error(&text), 0);
	(void)state;
}

static void test_time_is_rfc_3339_with_milliseconds(void **state)
{
	static const struct {
		int64_t wall_ns;
		const char *expected;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1769860800250000000, "2026-01-31T12:00:00.250Z"},
		{1709251199999999999, "2024-02-29T23:59:59.999Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{-1000000000, "1969-12-31T23:59:59.000Z"},
		{-1500000000, "1969-12-31T23:59:58.500Z"},
		{INT64_MAX, "2262-04-11T23:47:16.854Z"},
		{INT64_MIN, "1677-09-21T00:12:43.145Z"},
	};
	struct text text;

	text_init(&text, CEILING);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&text);
		text_time(&text, rows[i].wall_ns);
		assert_text(&text, rows[i].expected);
	}
	text_done(&text);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_appended),
		cmocka_unit_test(test_a_trimmed_text_takes_no_more_memory_than_its_bytes),
		cmocka_unit_test(test_printf_longer_than_the_buffer),
		cmocka_unit_test(test_unsafe_characters_are_escaped),
		cmocka_unit_test(test_quotes_and_backslashes_are_escaped_in_quotes),
		cmocka_unit_test(test_json_string_is_safe_in_html),
		cmocka_unit_test(test_append_beyond_the_ceiling_fails),
		cmocka_unit_test(test_error_stays_until_cleared),
		cmocka_unit_test(test_append_without_memory_fails),
		cmocka_unit_test(test_time_is_rfc_3339_with_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
