/* SPDX-License-Identifier: MIT */
/* An API that fails slowly: queries that have stale data wait for two seconds in all. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static const enum failure_cause slow_causes[] = {
	FAILURE_SERVER,  FAILURE_MALFORMED,  FAILURE_TRUNCATED, FAILURE_UNREACHABLE,
	FAILURE_TIMEOUT, FAILURE_CREDENTIAL, FAILURE_REDIRECT,
};

#define SLOW_CAUSES (sizeof(slow_causes) / sizeof(slow_causes[0]))

/* A fleet of 300 agents that was listed and has expired. Requests now fail after 1.5 s. */
static void world_of_slow_failures(struct world *world, enum failure_cause cause,
                                   unsigned int retries)
{
	world_init(world, 300);
	world->config.retries = retries;
	world_mount(world);
	world_list_all(world);
	world->now_ms += TTL_MS;
	world->failing = true;
	world->cause = cause;
	world->latency_ms = 1500;
}

/* Waits for a whole list. Returns what it says about a name that it lacks. */
static int ask_list_for_absent_name(struct world *world)
{
	struct query query = fleet_query(world->fleet);
	uint64_t list;
	int err;

	while ((err = fleet_whole_list(world->fleet, &query, &list)) == -EAGAIN)
		world_wait(world, &query);
	return err < 0 ? err : fleet_list_absent(world->fleet, list);
}

static void test_name_is_denied_after_two_seconds_of_slow_failures(void **state)
{
	for (size_t i = 0; i < SLOW_CAUSES * 3; i++) {
		enum failure_cause cause = slow_causes[i % SLOW_CAUSES];
		unsigned int retries = (unsigned int)(i / SLOW_CAUSES);
		struct world world;
		int64_t began_ms;

		world_of_slow_failures(&world, cause, retries);
		began_ms = world.now_ms;
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		assert_int_equal(world.now_ms, began_ms + 2000);
		assert_true(world_health(&world).stale && world_health(&world).failing);
		world_done(&world);

		world_of_slow_failures(&world, cause, retries);
		began_ms = world.now_ms;
		assert_int_equal(ask_list_for_absent_name(&world), -ENOENT);
		assert_int_equal(world.now_ms, began_ms + 2000);
		world_done(&world);
	}
	(void)state;
}

/* A failure that is known within the two seconds is the result. */
static void test_name_gets_a_failure_that_is_known_in_time(void **state)
{
	for (size_t i = 0; i < SLOW_CAUSES; i++) {
		int err = -failure_errno(slow_causes[i]);
		struct world world;
		int64_t began_ms;

		world_of_slow_failures(&world, slow_causes[i], 0);
		world.latency_ms = 500;
		began_ms = world.now_ms;
		assert_int_equal(world_find(&world, "no-such-agent", NULL), err);
		assert_in_range(world.now_ms - began_ms, 1000, 1999);
		assert_int_equal(ask_list_for_absent_name(&world), err);
		world_done(&world);
	}
	(void)state;
}

/* A list that was completed from memory during a failure denies as much as the list before it. */
static void test_name_is_denied_if_the_api_hangs_after_a_failure(void **state)
{
	struct world world;
	int64_t began_ms;

	world_of_slow_failures(&world, FAILURE_UNREACHABLE, 0);
	world.latency_ms = 0;
	assert_int_equal(ask_list_for_absent_name(&world), -EHOSTUNREACH);
	world.latency_ms = 60000;
	world.now_ms += 30000;
	began_ms = world.now_ms;
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
	assert_int_equal(world.now_ms, began_ms + 2000);
	assert_int_equal(ask_list_for_absent_name(&world), -ENOENT);
	world_done(&world);
	(void)state;
}

/* The agents of a page that the last whole list lacked are not known, so no name is denied. */
static void test_name_is_not_denied_if_the_last_list_has_a_gap(void **state)
{
	for (size_t i = 0; i < SLOW_CAUSES; i++) {
		int err = -failure_errno(slow_causes[i]);
		struct world world;
		struct listing listing;

		world_of(&world, 300);
		world.cause = slow_causes[i];
		world_set_bad_pages(&world, "-x-");
		world_list(&world, &listing);
		assert_int_equal(listing.err, err);
		listing_done(&listing);
		world.now_ms += 2 * TTL_MS;
		world.failing = true;
		world.latency_ms = 1500;
		assert_int_equal(world_find(&world, "p150", NULL), err);
		world.now_ms += 30000;
		assert_int_equal(ask_list_for_absent_name(&world), err);
		world_done(&world);
	}
	(void)state;
}

/* While one request probes an API that failed, queries for other pages wait for that request. */
static void test_request_that_probes_the_api_is_waited_for_once(void **state)
{
	struct world world;
	struct record *record;
	int64_t began_ms;

	world_of_slow_failures(&world, FAILURE_TIMEOUT, 0);
	world.latency_ms = 0;
	assert_int_equal(ask_list_for_absent_name(&world), -ETIMEDOUT);
	world.latency_ms = 60000;
	world.now_ms += 30000;
	began_ms = world.now_ms;
	assert_int_equal(world_find(&world, "p150", &record), 0);
	assert_int_equal(world.now_ms, began_ms + 2000);
	assert_int_equal(world_find(&world, "p250", &record), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.now_ms, began_ms + 2000);
	world_done(&world);
	(void)state;
}

/* Opening a file takes several operations. Only the first one waits for a page and its retries. */
static void test_retried_page_is_waited_for_once(void **state)
{
	for (unsigned int latency_ms = 100; latency_ms < 2000; latency_ms += 100) {
		struct world world;
		struct record *record;
		int64_t began_ms;

		world_of_slow_failures(&world, FAILURE_SERVER, 10);
		world.latency_ms = latency_ms;
		began_ms = world.now_ms;
		assert_int_equal(world_find(&world, "p250", &record), 0);
		assert_int_equal(world.now_ms, began_ms + 2000);
		for (int i = 0; i < 3; i++)
			assert_int_equal(world_renew(&world, record), 0);
		assert_int_equal(world.now_ms, began_ms + 2000);
		world_done(&world);
	}
	(void)state;
}

/* When a program reads again after a pause, the API may work again, so its response is awaited. */
static void test_retry_after_a_pause_is_waited_for_anew(void **state)
{
	struct world world;
	struct record *record;
	int64_t began_ms;

	world_of_slow_failures(&world, FAILURE_SERVER, 10);
	assert_int_equal(world_find(&world, "p250", NULL), 0);
	world_deliver_next(&world);
	world.failing = false;
	world.machines[250].version = 1;
	world.now_ms += 5000;
	began_ms = world.now_ms;
	assert_int_equal(world_find(&world, "p250", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	assert_int_equal(world.now_ms, began_ms + 1500);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_is_denied_after_two_seconds_of_slow_failures),
		cmocka_unit_test(test_name_gets_a_failure_that_is_known_in_time),
		cmocka_unit_test(test_name_is_denied_if_the_api_hangs_after_a_failure),
		cmocka_unit_test(test_name_is_not_denied_if_the_last_list_has_a_gap),
		cmocka_unit_test(test_request_that_probes_the_api_is_waited_for_once),
		cmocka_unit_test(test_retried_page_is_waited_for_once),
		cmocka_unit_test(test_retry_after_a_pause_is_waited_for_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
