/* SPDX-License-Identifier: MIT */
/* Responses that an HTTP cache kept for some time. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_age_of_a_response_shortens_its_ttl(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 250);
	world.age_ms = TTL_MS - 10;
	world_list_all(&world);
	assert_int_equal(world.requests, 3);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 10);
	assert_int_equal(fleet_list_left_ms(world.fleet), 10);
	world.now_ms += 9;
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 3);
	world.now_ms += 1;
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 4);
	/* A response older than the ttl answers the reader that waited for it, and no other. */
	world.now_ms += TTL_MS;
	world.age_ms = TTL_MS + 1;
	world_list_all(&world);
	assert_int_equal(world.requests, 7);
	assert_int_equal(fleet_list_left_ms(world.fleet), 0);
	world_list_all(&world);
	assert_int_equal(world.requests, 10);
	world_done(&world);
	(void)state;
}

/* A lookup left a sweep that read page 1 only. Page 3 arrived since, but was old already. */
static void test_page_that_expired_before_a_listing_is_requested_for_it(void **state)
{
	struct world world;

	world_of(&world, 250);
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	assert_int_equal(world.requests, 1);
	world.age_ms = TTL_MS - 10;
	assert_int_equal(world_arrive(&world, 3, world_page(&world, 3)), 0);
	world.age_ms = 0;
	world.now_ms += 10;
	assert_int_equal(world_list_all(&world), 2);
	assert_int_equal(fleet_list_left_ms(world.fleet), TTL_MS - 10);
	world_done(&world);
	(void)state;
}

/* An HTTP cache in front of an API that is down. Each page is requested again after 1 s, then 2 s,
 * 4 s and so on up to 30 s. Meanwhile readers get the old data, until `stale` has passed. */
static void test_response_older_than_the_ttl_is_stale_data(void **state)
{
	struct world world;
	struct record *record;
	unsigned int requests;

	world_init(&world, 250);
	world.config.stale_ms = 60000;
	world_mount(&world);
	world.age_ms = TTL_MS + 20000;
	world.outdated = true;
	/* This holds although the list was never read to its end before. */
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world_list_all(&world), 2);
	assert_int_equal(world_find(&world, "p249", &record), 0);
	assert_int_equal(world_list_all(&world), 0);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
	assert_int_equal(world.requests, 3);
	assert_true(world_health(&world).stale);
	assert_int_equal(world_health(&world).list_age_ms, TTL_MS + 20000);
	assert_int_equal(world_health(&world).failures[FAILURE_OLD], 3);
	assert_int_equal(fleet_last_failure(world.fleet)->cause, FAILURE_OLD);
	for (int64_t hold_ms = 1000; hold_ms <= 16000; hold_ms *= 2) {
		requests = world.requests;
		world.now_ms += hold_ms - 1;
		world.age_ms += hold_ms - 1;
		assert_int_equal(world_find(&world, "p249", &record), 0);
		assert_int_equal(world.requests, requests);
		world.now_ms += 1;
		world.age_ms += 1;
		assert_int_equal(world_find(&world, "p249", &record), 0);
		assert_int_equal(world_find(&world, "p249", &record), 0);
		assert_int_equal(world.requests, requests + 1);
		/* The backoff of another page is its own. */
		assert_int_equal(world_find(&world, "p1", &record), 0);
	}
	/* Without further responses the data is served until `stale` has passed. */
	world.failing = true;
	world.now_ms += 60000;
	assert_int_equal(world_find(&world, "p249", &record), -EREMOTEIO);
	assert_int_equal(world_find(&world, "p1", &record), -EREMOTEIO);
	assert_false(world_health(&world).stale);
	/* A fresh response ends the failure. */
	world.failing = false;
	world.outdated = false;
	world.age_ms = 0;
	world.now_ms += 60000;
	assert_int_equal(world_list_all(&world), 3);
	assert_false(world_health(&world).failing);
	assert_int_equal(world_list_all(&world), 0);
	world_done(&world);
	(void)state;
}

/* Another HTTP cache may respond with an older page. No value may go back to an earlier one. */
static void test_response_older_than_the_known_data_is_ignored(void **state)
{
	struct world world;
	struct record *record;

	world_init(&world, 150);
	world.config.stale_ms = 60000;
	world_mount(&world);
	world.machines[120].version = 2;
	world_list_all(&world);
	world.machines[120].version = 1;
	world.now_ms += TTL_MS;
	world.age_ms = TTL_MS + 1;
	world.outdated = true;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(world_find(&world, "p120", &record), 0);
		assert_string_equal(record->agent->status, "v2");
		world_list_all(&world);
		assert_int_equal(world.requests, round == 0 ? 4 : 6); /* backoff */
		assert_int_equal(world.changed, 0);
		assert_true(world_health(&world).stale);
		assert_int_equal(world_health(&world).list_age_ms, TTL_MS + 1000 * round);
		world.now_ms += 1000;
		world.age_ms += 1000;
	}
	/* A response younger than the known data is accepted, though it is outdated. */
	world.now_ms += 30000;
	world.age_ms = TTL_MS + 500;
	assert_int_equal(world_find(&world, "p120", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	assert_int_equal(world.changed, 1);
	world_done(&world);
	(void)state;
}

/* A recheck needs a page as it is after the recheck began. A response from an HTTP cache to an
 * earlier request of another reader does not count, though it arrives during the recheck. */
static void test_recheck_does_not_accept_a_response_from_a_cache(void **state)
{
	struct reader lister = {.id = NULL}, reader = {.id = "p1"};
	struct world world;

	world_of(&world, 150);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	/* p120 moves to the first page, of which the HTTP cache still has the earlier one. */
	snprintf(world.machines[120].id, sizeof(world.machines[120].id), "new");
	world.age_ms = TTL_MS - 1000;
	assert_false(reader_ask(&world, &lister));
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	world.now_ms += 1000;
	assert_false(reader_ask(&world, &reader));
	assert_int_equal(world.in_flight, 2);
	assert_int_equal(world.no_cache, 0);
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	assert_int_equal(world.in_flight, 2);
	assert_int_equal(world.no_cache, 1);
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	snprintf(world.machines[50].id, sizeof(world.machines[50].id), "p120");
	world.age_ms = 0;
	readers_ask_all(&world, &lister, 1);
	assert_int_equal(lister.err, 0);
	assert_int_equal(world.departed, 0);
	assert_int_equal(world.no_cache, 2);
	assert_int_equal(world.requests, 2 + 5);
	world_done(&world);
	(void)state;
}

/* After the list, another HTTP cache responds with an older page 1. So its agents expire before the
 * list does, and this list no longer shows that they are there. */
static void test_agent_that_expired_before_its_list_is_not_served_from_it(void **state)
{
	for (int leaves = 0; leaves <= 1; leaves++) {
		struct world world;
		struct record *record = NULL;

		world_of(&world, 450);
		world_list_all(&world);
		world.age_ms = TTL_MS - 1000;
		assert_int_equal(world_arrive(&world, 1, world_page(&world, 1)), 0);
		world.age_ms = 0;
		world.now_ms += 1000;
		if (leaves)
			world_remove(&world, 50);
		else
			world_move(&world, 50, 449);
		assert_int_equal(world_find(&world, "p50", &record), leaves ? -ENOENT : 0);
		if (!leaves)
			assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS);
		assert_int_equal(world.departed, leaves);
		world_done(&world);
	}
	(void)state;
}

/* Outdated pages may differ in age, and therefore in total_count. */
static void test_outdated_pages_that_disagree_are_listed(void **state)
{
	struct world world;

	world_of(&world, 250);
	world.age_ms = TTL_MS + 20000;
	world.outdated = true;
	world.count_reported = COUNT_FIXED;
	world.fixed_count = 240;
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	world_list_all(&world);
	assert_false(world_health(&world).verified);
	assert_in_range(world.requests, 3, 4);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age_of_a_response_shortens_its_ttl),
		cmocka_unit_test(test_page_that_expired_before_a_listing_is_requested_for_it),
		cmocka_unit_test(test_response_older_than_the_ttl_is_stale_data),
		cmocka_unit_test(test_response_older_than_the_known_data_is_ignored),
		cmocka_unit_test(test_recheck_does_not_accept_a_response_from_a_cache),
		cmocka_unit_test(test_agent_that_expired_before_its_list_is_not_served_from_it),
		cmocka_unit_test(test_outdated_pages_that_disagree_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
