/* SPDX-License-Identifier: MIT */
/* Failures of the API: retries, backoff, errno. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_failed_page_is_retried_then_backed_off(void **state)
{
	struct world world;
	unsigned int requests = 0;
	int64_t last_ms;

	world_of(&world, 250);
	world.failing = true;
	assert_int_equal(world_find(&world, "p1", NULL), -EREMOTEIO);
	assert_int_equal(world.requests, 3);
	assert_in_range(world.now_ms - 1000000, 0, 1500);
	assert_true(world_health(&world).failing);
	assert_int_equal(fleet_last_failure(world.fleet)->cause, FAILURE_SERVER);
	requests = world.requests;
	last_ms = world.now_ms;
	/* The backoff is 1, 2, 4, 8, 16, 30, 30 … s. Meanwhile readers get the error at once. */
	for (int64_t hold_ms = 1000; hold_ms < 200000; hold_ms *= 2) {
		int64_t held_ms = hold_ms < 30000 ? hold_ms : 30000;

		assert_int_equal(world_health(&world).retry_ms, held_ms);
		assert_int_equal(world_find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(world_find(&world, "p241", NULL), -EREMOTEIO);
		world.now_ms = last_ms + held_ms - 1;
		assert_int_equal(world_find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(world.requests, requests);
		world.now_ms += 1;
		assert_int_equal(world_find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(world.requests, ++requests);
		last_ms = world.now_ms;
	}
	world.failing = false;
	world.now_ms += 30000;
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	assert_int_equal(world_find(&world, "p241", NULL), 0);
	assert_false(world_health(&world).failing);
	world_done(&world);
	(void)state;
}

static void test_each_cause_of_failure_has_its_errno_and_retries(void **state)
{
	const struct {
		enum failure_cause cause;
		int error;
		unsigned int requests; /* for a bad body also those for the next page */
	} rows[] = {
		{FAILURE_CREDENTIAL, -EACCES, 1},   {FAILURE_REQUEST, -EINVAL, 1},
		{FAILURE_BUSY, -EBUSY, 1},          {FAILURE_SERVER, -EREMOTEIO, 3},
		{FAILURE_REDIRECT, -EREMOTEIO, 1},  {FAILURE_MALFORMED, -EREMOTEIO, 6},
		{FAILURE_TRUNCATED, -EREMOTEIO, 6}, {FAILURE_OVERSIZED, -EREMOTEIO, 2},
		{FAILURE_OLD, -EREMOTEIO, 2},       {FAILURE_UNREACHABLE, -EHOSTUNREACH, 3},
		{FAILURE_TIMEOUT, -ETIMEDOUT, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;
		struct listing listing;

		world_of(&world, 250);
		world.failing = true;
		world.cause = rows[i].cause;
		assert_int_equal(world_find(&world, "p1", NULL), rows[i].error);
		assert_int_equal(world.requests, rows[i].requests);
		world_list(&world, &listing);
		assert_int_equal(listing.err, rows[i].error);
		assert_int_equal(listing.requests, 0);
		assert_int_equal(world_health(&world).failures[rows[i].cause], rows[i].requests);
		world_done(&world);
	}
	(void)state;
}

static void test_retry_after_is_a_minimum_up_to_five_minutes(void **state)
{
	const struct {
		int64_t told_ms;
		int64_t waits_ms;
	} rows[] = {{-1, 1000},       {0, 1000},        {500, 1000},        {7000, 7000},
	            {300000, 300000}, {300001, 300000}, {INT64_MAX, 300000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;

		world_of(&world, 50);
		world.failing = true;
		world.cause = FAILURE_BUSY;
		world.retry_after_ms = rows[i].told_ms;
		assert_int_equal(world_find(&world, "p1", NULL), -EBUSY);
		world.failing = false;
		world.now_ms += rows[i].waits_ms - 1;
		assert_int_equal(world_find(&world, "p1", NULL), -EBUSY);
		assert_int_equal(world.requests, 1);
		world.now_ms += 1;
		assert_int_equal(world_find(&world, "p1", NULL), 0);
		world_done(&world);
	}
	(void)state;
}

static void test_failing_api_gets_at_most_one_request_a_second(void **state)
{
	const enum failure_cause causes[] = {FAILURE_SERVER,     FAILURE_UNREACHABLE,
	                                     FAILURE_BUSY,       FAILURE_TIMEOUT,
	                                     FAILURE_CREDENTIAL, FAILURE_MALFORMED};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		for (int warm = 0; warm <= 1; warm++) {
			struct world world;
			unsigned int requests;

			world_of(&world, 242);
			if (warm)
				world_list_all(&world);
			world.failing = true;
			world.cause = causes[i];
			world.latency_ms = 50;
			requests = readers_storm(&world, 10);
			assert_true(requests <= 600);
			assert_true(requests >= 10);
			/* The cache does not build a new listing for each reader either. */
			assert_true(world_health(&world).passes <= 100);
			world.failing = false;
			world.now_ms += 30000;
			assert_int_equal(world_list_all(&world), 3);
			world_done(&world);
		}
	}
	(void)state;
}

static void test_api_that_failed_is_probed_by_one_request(void **state)
{
	static const char *const ids[] = {"p1", "p101", "p201", "p301", "p401", NULL};
	struct reader readers[6] = {0};
	struct world world;

	world_init(&world, 1042);
	world.config.stale_ms = 0;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	world.cause = FAILURE_TIMEOUT;
	assert_int_equal(world_find(&world, "p1", NULL), -ETIMEDOUT);
	assert_int_equal(world_find(&world, "p101", NULL), -ETIMEDOUT);
	world.now_ms += 1000;
	for (size_t i = 0; i < 6; i++) {
		readers[i].id = ids[i];
		assert_false(reader_ask(&world, &readers[i]));
		assert_int_equal(world.in_flight, 1);
	}
	world_deliver(&world, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(reader_ask(&world, &readers[i]));
		assert_int_equal(readers[i].err, -ETIMEDOUT);
	}
	assert_int_equal(world_health(&world).retry_ms, 2000);
	/* When the API has recovered, all readers continue. */
	world.failing = false;
	world.now_ms += 2000;
	readers_ask_all(&world, readers, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(readers[i].err, 0);
	world_done(&world);
	(void)state;
}

static void test_pages_that_fail_together_back_off_once(void **state)
{
	struct reader reader = {0};
	struct world world;

	world_init(&world, 1042);
	world.config.retries = 0;
	world_mount(&world);
	reader_ask(&world, &reader);
	for (int i = 0; i < 3; i++) {
		world_deliver(&world, 0);
		reader_ask(&world, &reader);
	}
	assert_int_equal(world.in_flight, 6);
	world.failing = true;
	while (world.in_flight > 0)
		world_deliver(&world, 0);
	assert_int_equal(world_health(&world).failures[FAILURE_SERVER], 6);
	assert_int_equal(world_health(&world).retry_ms, 1000);
	world_done(&world);
	(void)state;
}

static void test_recovery_is_noticed_within_one_step_of_the_backoff(void **state)
{
	struct world world;
	struct record *record;
	int64_t now_ms;

	world_of(&world, 1042);
	world_list_all(&world);
	world.failing = true;
	world.now_ms += TTL_MS;
	readers_storm(&world, 3);
	world.failing = false;
	world.machines[1].version = 5;
	now_ms = world.now_ms;
	do {
		world.now_ms += 100;
		assert_int_equal(world_find(&world, "p1", &record), 0);
	} while (strcmp(record->agent->status, "v5") != 0);
	assert_true(world.now_ms - now_ms <= 30000);
	/* pages that failed with the API count until they arrive */
	assert_true(world_health(&world).failing);
	assert_int_equal(world_health(&world).retry_ms, 0);
	assert_in_range(world_list_all(&world), 9, 11);
	assert_false(world_health(&world).failing);
	world_done(&world);
	(void)state;
}

static void test_malformed_page_does_not_hide_other_pages(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 1042);
	world.failing = true;
	world.failing_page = 5;
	world.cause = FAILURE_MALFORMED;
	world_list(&world, &listing);
	assert_int_equal(listing.err, -EREMOTEIO);
	assert_int_equal(listing.count, 942);
	listing_done(&listing);
	for (int i = 0; i < 1042; i += 100) {
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%d", i);
		assert_int_equal(world_find(&world, id, NULL), i == 400 ? -EREMOTEIO : 0);
	}
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -EREMOTEIO);
	assert_true(world_health(&world).failing);
	world.failing = false;
	world.now_ms += 1000;
	world_list_all(&world);

	/* With known data, the agents of that page are served stale and the others fresh. */
	world.failing = true;
	world.now_ms += TTL_MS;
	for (size_t i = 0; i < world.count; i++)
		world.machines[i].version = 1;
	world_list_all(&world);
	for (size_t i = 0; i < world.count; i += 50) {
		struct record *record;

		assert_int_equal(world_find(&world, world.machines[i].id, &record), 0);
		assert_string_equal(record->agent->status, i / 100 == 4 ? "v0" : "v1");
	}
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed_page_is_retried_then_backed_off),
		cmocka_unit_test(test_each_cause_of_failure_has_its_errno_and_retries),
		cmocka_unit_test(test_retry_after_is_a_minimum_up_to_five_minutes),
		cmocka_unit_test(test_failing_api_gets_at_most_one_request_a_second),
		cmocka_unit_test(test_api_that_failed_is_probed_by_one_request),
		cmocka_unit_test(test_pages_that_fail_together_back_off_once),
		cmocka_unit_test(test_recovery_is_noticed_within_one_step_of_the_backoff),
		cmocka_unit_test(test_malformed_page_does_not_hide_other_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
