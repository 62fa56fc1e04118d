/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json_rewrite.h"
#include "api/json/json_token.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void test_sanitize_removes_space_outside_of_strings(void **state)
{
	static const char text[] =
		"{ \"a b\" :\r\n\t[ 1 , -2.50E+3,true , null ] ,\"\\\" c\":{ } }";
	static const char sanitized[] = "{\"a b\":[1,-2.50E+3,true,null],\"\\\" c\":{}}";
	char got[sizeof(text) - 1];

	(void)state;
	/* The buffer is not larger than json_sanitize_max(), so ASan detects a write beyond it. */
	assert_int_equal(json_sanitize(got, text, sizeof(text) - 1), sizeof(sanitized) - 1);
	assert_memory_equal(got, sanitized, sizeof(sanitized) - 1);
}

static void test_normalize_writes_integers_and_stored_strings(void **state)
{
	static const struct {
		const char *text, *normalized;
	} rows[] = {
		{"{\"1.5\":1.5}", "{\"1.5\":[]}"},
		{"[1e400,-0.5,0,-7,12]", "[[],[],0,-7,12]"},
		{"[9007199254740992,9007199254740993]", "[9007199254740992,[]]"},
		{"[-9007199254740993]", "[[]]"},
		{"[10000000000000000]", "[[]]"},
		{"9e15", "9000000000000000"},
		{"[1.0,-1E+2,0.0,-0.0e9]", "[1,-100,0,0]"},
		{"\"\\ud800 \\\" 1.5\"", "\"\xed\xa0\x80 \\\" 1.5\""},
		{"\"\\udfff\\ud800\\udc00\"", "\"\xed\xbf\xbf\\ud800\\udc00\""},
		{"\"\\ud800\\u0000\"", "\"\xed\xa0\x80\xc0\x80\""},
		{"\"\xc0\\\\u0000\"", "\"\xc0\x81\\\\u0000\""},
		{"\"\xc0\xc0\xc0\xc0\"", "\"\xc0\x81\xc0\x81\xc0\x81\xc0\x81\""},
		{"\"\\\\\",1.5", "\"\\\\\",[]"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t bytes = strlen(rows[i].text);
		char *normalized = malloc(JSON_NORMALIZE_GROWTH * bytes);

		assert_non_null(normalized);
		bytes = json_normalize(normalized, rows[i].text, bytes);
		assert_int_equal(bytes, strlen(rows[i].normalized));
		assert_memory_equal(normalized, rows[i].normalized, bytes);
		free(normalized);
	}
}

static void test_integer_is_exact_in_any_notation(void **state)
{
	static const struct {
		const char *text;
		int64_t value; /* INT64_MIN: not an integer of at most 2^53 */
	} rows[] = {
		{"0", 0},
		{"-0", 0},
		{"0.000", 0},
		{"0e999999999999999999999", 0},
		{"-0.0E-5", 0},
		{"8", 8},
		{"8.0", 8},
		{"8e0", 8},
		{"10e-1", 1},
		{"-1200.00e-2", -12},
		{"0.0015e4", 15},
		{"100", 100},
		{"1.5e1", 15},
		{"1.05e+2", 105},
		{"9007199254740992", 9007199254740992},
		{"9007199254740992.0", 9007199254740992},
		{"9.007199254740992e15", 9007199254740992},
		{"90071992547409920e-1", 9007199254740992},
		{"-9007199254740992.000", -9007199254740992},
		{"9007199254740993", INT64_MIN},
		{"9007199254740993.0", INT64_MIN},
		{"9007199254740992.5", INT64_MIN},
		{"9.0071992547409920000000000000001e15", INT64_MIN},
		{"9007199254740991.9999999999999999999999", INT64_MIN},
		{"0.1", INT64_MIN},
		{"1e-1", INT64_MIN},
		{"1.0000000000000000000000000000001", INT64_MIN},
		{"1e16", INT64_MIN},
		{"1e400", INT64_MIN},
		{"-1e-400", INT64_MIN},
		{"1e999999999", INT64_MIN},
		{"1e99999999999999999999999999999999", INT64_MIN},
		{"1e-99999999999999999999999999999999", INT64_MIN},
		{"1e18446744073709551616", INT64_MIN},
		{"18446744073709551617", INT64_MIN},
	};
	const size_t zeroes = 1000000;
	char *text = malloc(zeroes + 32);
	int64_t value;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		value = INT64_MIN;
		if (json_token_integer(rows[i].text, strlen(rows[i].text), &value) !=
		            (rows[i].value != INT64_MIN) ||
		    value != rows[i].value)
			fail_msg("%s is %jd", rows[i].text, (intmax_t)value);
	}
	/* 0.000…0007e1000001 */
	assert_non_null(text);
	memset(text, '0', zeroes + 32);
	text[1] = '.';
	sprintf(text + 2 + zeroes, "7e%zu", zeroes + 1);
	assert_true(json_token_integer(text, strlen(text), &value));
	assert_int_equal(value, 7);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sanitize_removes_space_outside_of_strings),
		cmocka_unit_test(test_normalize_writes_integers_and_stored_strings),
		cmocka_unit_test(test_integer_is_exact_in_any_notation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
