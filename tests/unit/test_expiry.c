/* SPDX-License-Identifier: MIT */
#include "fs/program/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HOUR 3600
#define DAY  86400
#define END  2000000000

static void test_warnings_come_a_day_and_an_hour_before_and_at_the_end(void **state)
{
	struct expiry expiry = {0};
	int warnings = 0;

	(void)state;
	for (int64_t now = END - 3 * DAY; now < END + DAY; now += 60) {
		int64_t left = END - now;

		if (!expiry_due(&expiry, END, now))
			continue;
		warnings++;
		assert_true(left == DAY || left == HOUR || left == 0);
	}
	assert_int_equal(warnings, 3);
}

static void test_missed_warnings_are_given_once_together(void **state)
{
	struct expiry expiry = {0};

	(void)state;
	assert_true(expiry_due(&expiry, END, END - 60));
	assert_false(expiry_due(&expiry, END, END - 59));
	assert_true(expiry_due(&expiry, END, END + 1));
	assert_false(expiry_due(&expiry, END, END + DAY));
}

static void test_another_token_starts_again(void **state)
{
	struct expiry expiry = {0};

	(void)state;
	assert_true(expiry_due(&expiry, END, END - HOUR));
	assert_false(expiry_due(&expiry, END + 9 * DAY, END - HOUR));
	assert_true(expiry_due(&expiry, END + 9 * DAY, END + 8 * DAY));
	assert_false(expiry_due(&expiry, 0, END + 30 * DAY));
}

static void test_distance_is_in_one_unit(void **state)
{
	static const struct {
		int64_t left;
		const char *text;
	} rows[] = {
		{0, "0 seconds ago"},         {1, "in 1 second"},      {119, "in 119 seconds"},
		{120, "in 2 minutes"},        {HOUR, "in 60 minutes"}, {DAY, "in 24 hours"},
		{2 * DAY, "in 2 days"},       {-1, "1 second ago"},    {-7200, "2 hours ago"},
		{-400 * DAY, "400 days ago"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];

		expiry_distance(END + rows[i].left, END, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings_come_a_day_and_an_hour_before_and_at_the_end),
		cmocka_unit_test(test_missed_warnings_are_given_once_together),
		cmocka_unit_test(test_another_token_starts_again),
		cmocka_unit_test(test_distance_is_in_one_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
