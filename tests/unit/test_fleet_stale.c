/* SPDX-License-Identifier: MIT */
/* Expired data that is served while the API fails or is slow. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_stale_data_is_served_while_the_api_fails(void **state)
{
	struct world world;
	struct record *record;
	struct listing listing;
	int64_t began_ms;

	world_of(&world, 1042);
	world_list_all(&world);
	began_ms = world.now_ms;
	world.failing = true;
	world.cause = FAILURE_UNREACHABLE;
	for (int64_t age_ms = TTL_MS; age_ms < TTL_MS + STALE_MS; age_ms += 20000) {
		world.now_ms = began_ms + age_ms;
		assert_int_equal(world_find(&world, "p500", &record), 0);
		assert_string_equal(record->agent->status, "v0");
		assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
		world_list_all(&world);
		assert_true(world_health(&world).stale);
		assert_false(world_health(&world).verified &&
		             world_health(&world).list_age_ms < age_ms);
		/* An unknown name may exist, so the answer is the failure. */
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -EHOSTUNREACH);
	}
	world.now_ms = began_ms + TTL_MS + STALE_MS;
	assert_int_equal(world_find(&world, "p500", &record), -EHOSTUNREACH);
	world_list(&world, &listing);
	assert_int_equal(listing.err, -EHOSTUNREACH);
	listing_done(&listing);
	assert_false(world_health(&world).stale);
	world.failing = false;
	world.now_ms += 30000;
	assert_int_equal(world_list_all(&world), 11);
	assert_false(world_health(&world).stale);
	assert_int_equal(world.departed, 0);
	world_done(&world);
	(void)state;
}

/* The agents behind a newcomer on its page were pushed to pages that are not read again. */
static void test_a_list_from_memory_is_not_verified_if_its_agents_are_not_as_many_as_counted(
	void **state)
{
	for (int joins = 0; joins < 2; joins++) {
		struct world world;

		world_of(&world, 250);
		world_list_all(&world);
		assert_true(world_health(&world).verified);
		if (joins)
			world_add(&world, 0, "newcomer");
		world.now_ms += TTL_MS;
		assert_int_equal(world_find(&world, "p1", NULL), 0);
		world.failing = true;
		world.cause = FAILURE_UNREACHABLE;
		world.now_ms += TTL_MS;
		for (int i = 0; i < 3; i++) {
			world_list_all(&world);
			assert_int_equal(world_health(&world).agents, 250 + joins);
			assert_int_equal(world_health(&world).verified, !joins);
			world.now_ms += TTL_MS;
		}
		world_done(&world);
	}
	(void)state;
}

static void test_partly_read_list_is_served_stale(void **state)
{
	struct world world;
	struct record *record;
	uint64_t cursor = 0;
	struct listing listing = {0};

	world_of(&world, 1042);
	assert_int_equal(world_list_some(&world, &cursor, 10, &listing), 1);
	listing_done(&listing);
	world.failing = true;
	world.cause = FAILURE_UNREACHABLE;
	world.now_ms += TTL_MS;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_true(world_health(&world).failing && world_health(&world).stale);
	world.now_ms += STALE_MS;
	assert_int_equal(world_find(&world, "p1", &record), -EHOSTUNREACH);
	assert_false(world_health(&world).stale);
	world_done(&world);
	(void)state;
}

static void test_stale_data_is_served_at_once_during_the_backoff(void **state)
{
	struct world world;
	int64_t now_ms;
	unsigned int requests;

	world_of(&world, 1042);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	now_ms = world.now_ms;
	requests = world.requests;
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	assert_int_equal(world.requests, requests);
	/* One request for another page shows that the API itself fails. */
	assert_int_equal(world_find(&world, "p1000", NULL), 0);
	assert_int_equal(world.requests, ++requests);
	assert_int_equal(world_find(&world, "p500", NULL), 0);
	assert_int_equal(world_list_all(&world), 0);
	assert_int_equal(world.now_ms, now_ms);
	assert_int_equal(world.requests, requests);
	world_done(&world);
	(void)state;
}

static void test_slow_api_delays_known_data_by_at_most_two_seconds(void **state)
{
	struct world world;
	struct record *record;
	struct listing listing;
	struct query query;
	int64_t now_ms;

	world_of(&world, 1042);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.latency_ms = 5000;
	world.machines[1].version = 1;
	now_ms = world.now_ms;
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p1", &query, &record), -EAGAIN);
	assert_int_equal(query.wake_ms, now_ms + 2000);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world.now_ms, now_ms + 2000);
	assert_string_equal(record->agent->status, "v0");
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
	assert_int_equal(world.requests, 12); /* the request continues */
	world_list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 1042);
	assert_int_equal(world.now_ms, now_ms + 2000); /* no second wait for the same request */
	listing_done(&listing);
	/* The response is served as soon as it has arrived. */
	world.now_ms = now_ms + 5001;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world.now_ms, now_ms + 5001);
	assert_string_equal(record->agent->status, "v1");
	world_done(&world);
	(void)state;
}

static void test_slow_api_is_waited_for_without_known_data(void **state)
{
	struct world world;
	struct query query;
	struct record *record;

	world_of(&world, 1042);
	world.latency_ms = 60000;
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p1", &query, &record), -EAGAIN);
	assert_int_equal(query.wake_ms, INT64_MAX);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	world_done(&world);
	(void)state;
}

/* The API fails in the middle of a listing, which is completed with the known agents. */
static void test_listing_completed_from_stale_data_has_each_agent_once(void **state)
{
	for (unsigned int most = 1; most < 1042; most += 130) {
		struct world world;
		struct listing listing = {0};
		uint64_t cursor = 0;

		world_of(&world, 1042);
		world_list_all(&world);
		world.now_ms += TTL_MS;
		world_add(&world, 0, "early");
		world_add(&world, 955, "late");
		assert_int_equal(world_list_some(&world, &cursor, most, &listing), 1);
		/* The lookup of another agent finds "late" on its page; the listing has not. */
		assert_int_equal(world_find(&world, "p950", NULL), 0);
		world.failing = true;
		assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
		world_check_listing(&world, &listing);
		assert_int_equal(listing_times(&listing, "early"), 1);
		assert_int_equal(listing_times(&listing, "late"), 1);
		assert_int_equal(listing.count, 1044);
		listing_done(&listing);
		world_done(&world);
	}
	(void)state;
}

/* The kernel keeps a listing until the mtime of its directory moves. That must happen when a
 * listing completed from stale data has served its time, and not before. */
static void test_listing_completed_from_stale_data_expires_after_a_minute(void **state)
{
	struct world world;
	struct listing listing;
	int64_t mtime_ns;

	world_of(&world, 200);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	world.failing_page = 1;
	world.cause = FAILURE_MALFORMED;
	mtime_ns = fleet_list_mtime_ns(world.fleet);
	world_list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 200);
	listing_done(&listing);
	assert_int_equal(fleet_list_left_ms(world.fleet), 0);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns);
	world.now_ms += 60000;
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
	world_done(&world);
	(void)state;
}

static void test_expired_data_of_a_slow_api_is_said_to_be_stale(void **state)
{
	struct world world;

	world_of(&world, 300);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.latency_ms = 60000;
	assert_false(world_health(&world).stale);
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	assert_true(world_health(&world).stale);
	assert_false(world_health(&world).failing);
	/* until the page has arrived */
	world.latency_ms = 0;
	world_deliver(&world, 0);
	assert_false(world_health(&world).stale);
	/* the same for a listing */
	world.latency_ms = 60000;
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_true(world_health(&world).stale);
	while (world.in_flight > 0)
		world_deliver(&world, 0);
	assert_false(world_health(&world).stale);
	world_done(&world);
	(void)state;
}

static void test_a_name_that_the_last_list_lacked_is_denied_after_two_seconds(void **state)
{
	for (int stale = 0; stale <= 1; stale++) {
		struct world world;
		int64_t now_ms;

		world_init(&world, 300);
		world.config.stale_ms = stale ? STALE_MS : 0;
		world_mount(&world);
		world_list_all(&world);
		world.now_ms += TTL_MS;
		world.latency_ms = 5000;
		now_ms = world.now_ms;
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		assert_int_equal(world.now_ms - now_ms, stale ? 2000 : 10000);
		assert_int_equal(world_health(&world).stale, stale);
		world_done(&world);
	}
	(void)state;
}

static void test_a_name_that_no_list_can_deny_is_waited_for(void **state)
{
	struct world world;
	struct query query;
	struct record *record;
	struct listing listing;

	/* no list yet */
	world_of(&world, 300);
	world.latency_ms = 5000;
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "no-such-agent", &query, &record), -EAGAIN);
	assert_int_equal(query.wake_ms, INT64_MAX);
	world_done(&world);
	/* a list that lacks a page */
	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	world_set_bad_pages(&world, "-x-");
	world_list(&world, &listing);
	assert_int_equal(listing.err, -EREMOTEIO);
	listing_done(&listing);
	world_set_bad_pages(&world, "");
	world.now_ms += 2 * TTL_MS;
	world.latency_ms = 5000;
	assert_int_equal(world_find(&world, "p150", NULL), 0);
	world_done(&world);
	/* a list that is too old */
	world_of(&world, 300);
	world_list_all(&world);
	world_add(&world, 250, "new");
	world.now_ms += TTL_MS + STALE_MS;
	world.latency_ms = 5000;
	assert_int_equal(world_find(&world, "new", NULL), 0);
	world_done(&world);
	(void)state;
}

/* A lookup waits for two pages of a list. The first page of that list expires, and its next request
 * fails, so a reader gets a newer list from memory. The two pages still prove that the name is
 * absent; a new list would need the page that fails. */
static void test_a_lookup_ends_in_its_list_though_a_newer_one_came_from_memory(void **state)
{
	struct reader finder = {.id = "no-such-agent"}, lister = {.id = NULL};
	struct world world;

	world_init(&world, 250);
	world.config.ttl_ms = 1000;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += 1000;
	assert_false(reader_ask(&world, &finder));
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &finder));
	assert_int_equal(world.in_flight, 2);

	world.now_ms += 1000;
	assert_false(reader_ask(&world, &lister));
	assert_int_equal(world.in_flight, 3);
	world.bad_pages[1] = true;
	world.cause = FAILURE_BUSY;
	world.retry_after_ms = 60000;
	world_deliver(&world, 2);
	assert_true(reader_ask(&world, &lister));
	assert_int_equal(lister.err, 0);
	assert_int_equal(lister.listed, 250);

	assert_false(reader_ask(&world, &finder));
	world_deliver(&world, 0);
	world_deliver(&world, 0);
	assert_true(reader_ask(&world, &finder));
	assert_int_equal(finder.err, -ENOENT);
	assert_int_equal(world.requests, 3 + 4);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stale_data_is_served_while_the_api_fails),
		cmocka_unit_test(
			test_a_list_from_memory_is_not_verified_if_its_agents_are_not_as_many_as_counted),
		cmocka_unit_test(test_partly_read_list_is_served_stale),
		cmocka_unit_test(test_stale_data_is_served_at_once_during_the_backoff),
		cmocka_unit_test(test_slow_api_delays_known_data_by_at_most_two_seconds),
		cmocka_unit_test(test_slow_api_is_waited_for_without_known_data),
		cmocka_unit_test(test_listing_completed_from_stale_data_has_each_agent_once),
		cmocka_unit_test(test_listing_completed_from_stale_data_expires_after_a_minute),
		cmocka_unit_test(test_expired_data_of_a_slow_api_is_said_to_be_stale),
		cmocka_unit_test(test_a_name_that_the_last_list_lacked_is_denied_after_two_seconds),
		cmocka_unit_test(test_a_name_that_no_list_can_deny_is_waited_for),
		cmocka_unit_test(
			test_a_lookup_ends_in_its_list_though_a_newer_one_came_from_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
