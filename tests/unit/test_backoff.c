/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/backoff.h"

#define NOW_MS INT64_C(1000000)

static const struct failure server = {.cause = FAILURE_SERVER, .retry_after_ms = -1};

static void test_no_failure_forbids_nothing(void **state)
{
	const struct backoff backoff = {0};

	assert_false(backoff.active);
	assert_false(backoff_is_retrying(&backoff));
	assert_false(backoff_is_held(&backoff, 0));
	(void)state;
}

static void test_holds_double_after_the_retries(void **state)
{
	const int64_t holds_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	struct backoff backoff = {0};
	int64_t now_ms = NOW_MS;

	for (unsigned int retry = 1; retry <= 2; retry++) {
		backoff_failed(&backoff, &server, 2, now_ms, 499);
		assert_true(backoff_is_retrying(&backoff));
		assert_false(backoff_is_held(&backoff, now_ms));
		assert_int_equal(backoff.until_ms, now_ms + 499);
		now_ms = backoff.until_ms;
	}
	for (size_t i = 0; i < sizeof(holds_ms) / sizeof(holds_ms[0]); i++) {
		backoff_failed(&backoff, &server, 2, now_ms, 499);
		assert_true(backoff.active);
		assert_false(backoff_is_retrying(&backoff));
		assert_int_equal(backoff.until_ms, now_ms + holds_ms[i]);
		assert_true(backoff_is_held(&backoff, now_ms));
		assert_true(backoff_is_held(&backoff, backoff.until_ms - 1));
		assert_false(backoff_is_held(&backoff, backoff.until_ms));
		now_ms = backoff.until_ms + 12345;
	}
	backoff_clear(&backoff);
	assert_false(backoff.active);
	backoff_failed(&backoff, &server, 2, now_ms, 0);
	assert_true(backoff_is_retrying(&backoff));
	(void)state;
}

/* Full jitter: any part of a delay that doubles, from none of it to nearly all of it. */
static void test_a_retry_waits_a_random_part_of_a_doubling_delay(void **state)
{
	int64_t most_ms[3] = {0}, least_ms[3] = {INT64_MAX, INT64_MAX, INT64_MAX};

	for (uint32_t i = 0; i < 10000; i++) {
		struct backoff backoff = {0};

		for (int retry = 0; retry < 3; retry++) {
			int64_t wait_ms;

			backoff_failed(&backoff, &server, 3, NOW_MS, i * 2654435761u);
			wait_ms = backoff.until_ms - NOW_MS;
			most_ms[retry] = wait_ms > most_ms[retry] ? wait_ms : most_ms[retry];
			least_ms[retry] = wait_ms < least_ms[retry] ? wait_ms : least_ms[retry];
		}
	}
	for (int retry = 0; retry < 3; retry++) {
		assert_in_range(least_ms[retry], 0, 10);
		assert_in_range(most_ms[retry], (500 << retry) - 10, (500 << retry) - 1);
	}
	(void)state;
}

static void test_without_retries_the_first_failure_is_held(void **state)
{
	struct backoff backoff = {0};

	backoff_failed(&backoff, &server, 0, NOW_MS, 7);
	assert_int_equal(backoff.until_ms, NOW_MS + 1000);
	assert_true(backoff_is_held(&backoff, NOW_MS));
	(void)state;
}

static void test_only_failures_that_may_pass_are_retried(void **state)
{
	for (int cause = 0; cause < FAILURE_CAUSES; cause++) {
		const struct failure failure = {.cause = (uint8_t)cause, .retry_after_ms = -1};
		bool may_pass = cause == FAILURE_SERVER || cause == FAILURE_MALFORMED ||
		                cause == FAILURE_TRUNCATED || cause == FAILURE_UNREACHABLE;
		struct backoff backoff = {0};

		backoff_failed(&backoff, &failure, 2, NOW_MS, 7);
		assert_int_equal(backoff.cause, cause);
		assert_int_equal(backoff_is_retrying(&backoff), may_pass);
		assert_int_equal(backoff_is_held(&backoff, NOW_MS), !may_pass);
	}
	(void)state;
}

static void test_retry_after_lengthens_a_hold_up_to_a_ceiling(void **state)
{
	const struct {
		int64_t retry_after_ms;
		int64_t hold_ms;
	} rows[] = {
		{-1, 1000},         {0, 1000},           {1, 1000},         {999, 1000},
		{1001, 1001},       {60000, 60000},      {300000, 300000},  {300001, 300000},
		{86400000, 300000}, {INT64_MAX, 300000}, {INT64_MIN, 1000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct failure busy = {.cause = FAILURE_BUSY,
		                             .retry_after_ms = rows[i].retry_after_ms};
		struct backoff backoff = {0};

		backoff_failed(&backoff, &busy, 2, NOW_MS, 7);
		assert_int_equal(backoff.until_ms, NOW_MS + rows[i].hold_ms);
		assert_true(backoff_is_held(&backoff, NOW_MS));
	}
	(void)state;
}

static void test_failure_with_retry_after_is_held_at_once(void **state)
{
	const struct failure failure = {.cause = FAILURE_SERVER, .retry_after_ms = 5000};
	struct backoff backoff = {0};

	backoff_failed(&backoff, &failure, 2, NOW_MS, 7);
	assert_true(backoff_is_held(&backoff, NOW_MS + 4999));
	assert_false(backoff_is_held(&backoff, NOW_MS + 5000));
	(void)state;
}

static void test_a_year_of_failures_never_waits_longer_than_the_ceiling(void **state)
{
	struct backoff backoff = {0};
	int64_t now_ms = NOW_MS;

	for (int i = 0; i < 1000000; i++) {
		backoff_failed(&backoff, &server, 2, now_ms, (uint32_t)i);
		assert_in_range(backoff.until_ms - now_ms, 0, 30000);
		now_ms = backoff.until_ms;
	}
	assert_true(now_ms - NOW_MS > INT64_C(29000) * 1000000);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_failure_forbids_nothing),
		cmocka_unit_test(test_holds_double_after_the_retries),
		cmocka_unit_test(test_a_retry_waits_a_random_part_of_a_doubling_delay),
		cmocka_unit_test(test_without_retries_the_first_failure_is_held),
		cmocka_unit_test(test_only_failures_that_may_pass_are_retried),
		cmocka_unit_test(test_retry_after_lengthens_a_hold_up_to_a_ceiling),
		cmocka_unit_test(test_failure_with_retry_after_is_held_at_once),
		cmocka_unit_test(test_a_year_of_failures_never_waits_longer_than_the_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
