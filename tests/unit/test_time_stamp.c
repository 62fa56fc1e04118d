/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/model/time_stamp.h"

#define SECOND INT64_C(1000000000)

static void test_time_stamp_is_parsed_to_nanoseconds(void **state)
{
	const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:01Z", SECOND},
		{"2026-01-31T12:00:00Z", 1769860800 * SECOND},
		{"2026-01-31t12:00:00z", 1769860800 * SECOND},
		{"2026-01-31 12:00:00Z", 1769860800 * SECOND},
		{"2026-01-31T12:00:00.5Z", 1769860800 * SECOND + 500000000},
		{"2026-01-31T12:00:00.123456789Z", 1769860800 * SECOND + 123456789},
		{"2026-01-31T12:00:00.1234567899999Z", 1769860800 * SECOND + 123456789},
		{"2026-01-31T12:00:00.000000000000000000000000000001Z", 1769860800 * SECOND},
		/* offsets */
		{"2026-01-31T13:00:00+01:00", 1769860800 * SECOND},
		{"2026-01-31T06:30:00-05:30", 1769860800 * SECOND},
		{"2026-01-31T12:00:00+00:00", 1769860800 * SECOND},
		{"2026-01-31T12:00:00-00:00", 1769860800 * SECOND},
		{"2026-02-01T11:59:00.25+23:59", 1769860800 * SECOND + 250000000},
		{"1969-12-31T23:59:59-00:01", -1}, /* 1970 in UTC, but not in its own zone */
		/* leap days and a leap second */
		{"2024-02-29T00:00:00Z", 1709164800 * SECOND},
		{"2000-02-29T00:00:00Z", 951782400 * SECOND},
		{"2016-12-31T23:59:60Z", 1483228800 * SECOND},
		{"2023-02-29T00:00:00Z", -1},
		{"2100-02-29T00:00:00Z", -1},
		{"2026-02-30T00:00:00Z", -1},
		{"2026-04-31T00:00:00Z", -1},
		/* before 1970; the last that fit into nanoseconds; later */
		{"1969-12-31T23:59:59Z", -1},
		{"1970-01-01T00:00:00+00:01", -1},
		{"0000-01-01T00:00:00Z", -1},
		{"2038-01-19T03:14:08Z", (INT64_C(1) << 31) * SECOND},
		{"2262-01-01T00:00:00Z", INT64_C(9214646400) * SECOND},
		{"2262-04-12T00:00:00Z", -1},
		{"2263-01-01T00:00:00Z", -1},
		{"9999-12-31T23:59:59Z", -1},
		/* invalid */
		{"", -1},
		{"Z", -1},
		{"2026", -1},
		{"2026-01-31", -1},
		{"2026-01-31T12:00", -1},
		{"2026-01-31T12:00Z", -1},
		{"2026-01-31T12:00:00", -1},
		{"2026-01-31T12:00:00.Z", -1},
		{"2026-01-31T12:00:00,5Z", -1},
		{"2026-01-31T12:00:00.5", -1},
		{"2026-01-31T12:00:00ZZ", -1},
		{"2026-01-31T12:00:00Z ", -1},
		{" 2026-01-31T12:00:00Z", -1},
		{"2026-01-31T12:00:00+0100", -1},
		{"2026-01-31T12:00:00+01", -1},
		{"2026-01-31T12:00:00+24:00", -1},
		{"2026-01-31T12:00:00+01:60", -1},
		{"2026-01-31T12:00:00+-1:00", -1},
		{"2026-00-31T12:00:00Z", -1},
		{"2026-13-31T12:00:00Z", -1},
		{"2026-01-00T12:00:00Z", -1},
		{"2026-01-32T12:00:00Z", -1},
		{"2026-01-31T24:00:00Z", -1},
		{"2026-01-31T12:60:00Z", -1},
		{"2026-01-31T12:00:61Z", -1},
		{"2026-1-31T12:00:00Z", -1},
		{"2026-01-3T12:00:00Z", -1},
		{"26-01-31T12:00:00Z", -1},
		{"12026-01-31T12:00:00Z", -1},
		{"+026-01-31T12:00:00Z", -1},
		{"-026-01-31T12:00:00Z", -1},
		{"2026/01/31T12:00:00Z", -1},
		{"2026-01-31_12:00:00Z", -1},
		{"2026-01-31T12:00:-1Z", -1},
		{"2026-01-31T12:00:0xZ", -1},
		{"1769860800", -1},
		{"\xff\xff\xff\xff", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ns = time_stamp_parse(rows[i].text);

		if (ns != rows[i].ns)
			print_error("\"%s\"\n", rows[i].text);
		assert_int_equal(ns, rows[i].ns);
	}
	(void)state;
}

/* Each copy ends where the text ends, so ASan detects a read beyond it. */
static void test_truncated_time_stamp_is_rejected(void **state)
{
	static const char whole[] = "2026-01-31T12:00:00.250+01:00";

	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		char *text = strndup(whole, length);

		assert_non_null(text);
		assert_int_equal(time_stamp_parse(text), -1);
		free(text);
	}
	assert_true(time_stamp_parse(whole) > 0);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_stamp_is_parsed_to_nanoseconds),
		cmocka_unit_test(test_truncated_time_stamp_is_rejected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
