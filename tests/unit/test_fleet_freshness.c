/* SPDX-License-Identifier: MIT */
/* How long data is served, and how soon a reader sees new data. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_ttl_starts_when_the_page_arrives(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 50);
	world.latency_ms = 5000;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS);
	world.now_ms += TTL_MS - 1;
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 1);
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 1);
	world.now_ms += 1;
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 2);
	world_done(&world);
	(void)state;
}

static void test_new_value_is_served_after_the_ttl(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 500);
	assert_int_equal(world_find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v0");
	world.machines[321].version = 1;
	assert_int_equal(world_find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v0");
	world.now_ms += TTL_MS;
	assert_int_equal(world_find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE), world_wall_ns(&world));
	assert_int_equal(record_since(record, AGENT_ID, CHANGES_WHOLE), MOUNTED_NS);
	world_done(&world);
	(void)state;
}

static void test_page_slower_than_the_ttl_answers_the_readers_that_wait_for_it(void **state)
{
	struct world world;
	struct record *record;
	struct reader readers[40] = {0};

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 5000;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world.requests, 1);
	world.now_ms += 100;
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 2);
	world.now_ms += 100;
	for (size_t i = 0; i < 40; i++)
		readers[i].id = "p2";
	readers_ask_all(&world, readers, 40);
	assert_int_equal(readers[39].err, 0);
	assert_int_equal(world.requests, 3);
	world_done(&world);
	(void)state;
}

/* A lookup reads only as many pages as it needs. A later listing must not serve the rest expired.
 */
static void test_listing_after_a_lookup_serves_nothing_expired(void **state)
{
	for (size_t agents = 50; agents <= 450; agents += 100) {
		for (size_t known = 0; known < agents; known += 100) {
			struct world world;
			struct listing listing;
			struct record *record;
			char id[ID_BYTES];

			world_of(&world, agents);
			snprintf(id, sizeof(id), "p%zu", known);
			assert_int_equal(world_find(&world, id, NULL), 0);
			world.now_ms += TTL_MS;
			world_add(&world, 0, "new");
			for (size_t i = 0; i < world.count; i++)
				world.machines[i].version = 1;
			if (known % 200)
				assert_int_equal(world_find(&world, "new", &record), 0);
			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, world.count);
			for (size_t i = 0; i < listing.count; i++)
				assert_string_equal(listing.records[i]->agent->status, "v1");
			listing_done(&listing);
			world_done(&world);
		}
	}
	(void)state;
}

/* A reader may ask again only after the page that it waited for has expired. */
static void test_page_answers_its_reader_though_it_expired_meanwhile(void **state)
{
	struct world world;
	struct record *record;
	struct query query;
	uint64_t cursor = 0;

	world_init(&world, 50);
	world.config.stale_ms = 0;
	world_mount(&world);
	for (unsigned int round = 1; round <= 3; round++) {
		query = fleet_query(world.fleet);
		assert_int_equal(fleet_find(world.fleet, "p1", &query, &record), -EAGAIN);
		world_deliver(&world, 0);
		world.now_ms += 2 * TTL_MS;
		assert_int_equal(fleet_find(world.fleet, "p1", &query, &record), 0);
		assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
		assert_int_equal(world.requests, round);
	}
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "no-such-agent", &query, &record), -EAGAIN);
	world_deliver(&world, 0);
	world.now_ms += 2 * TTL_MS;
	assert_int_equal(fleet_find(world.fleet, "no-such-agent", &query, &record), -ENOENT);
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_walk(world.fleet, &cursor, &query, &record), -EAGAIN);
	world_deliver(&world, 0);
	world.now_ms += 2 * TTL_MS;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(fleet_walk(world.fleet, &cursor, &query, &record), 0);
		assert_non_null(record);
	}
	assert_int_equal(world.requests, 5);
	world_done(&world);
	(void)state;
}

static void test_listing_slower_than_the_ttl_ends(void **state)
{
	struct world world;

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 5000;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(world_list_all(&world), 11);
		world.now_ms += 100;
	}
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
	assert_int_equal(world.requests, 44);
	world_done(&world);
	(void)state;
}

/* Each new reader needs pages newer than those that the first readers wait for. */
static void test_reader_does_not_starve_while_new_readers_begin(void **state)
{
	struct world world;
	struct reader readers[60] = {0};
	size_t begun = 0, answered = 0;

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 1000;
	for (int steps = 0; answered < 60; steps++) {
		int64_t began_ms = world.now_ms;

		assert_true(steps < 10000);
		if (begun < 60)
			readers[begun++].id = "no-such-agent";
		answered = 0;
		for (size_t i = 0; i < begun; i++) {
			if (!readers[i].query.began || readers[i].asking)
				reader_ask(&world, &readers[i]);
			if (!readers[i].asking) {
				assert_int_equal(readers[i].err, -ENOENT);
				answered++;
				continue;
			}
			/* Eleven pages with the read-ahead 1, 2, 4, 6 take about five seconds. */
			assert_true(world.now_ms - readers[i].query.began_ms < 20000);
		}
		if (answered < begun || world.in_flight > 0) {
			assert_true(world.in_flight > 0);
			world_deliver(&world, 0);
		}
		if (world.now_ms == began_ms)
			world.now_ms += 500;
	}
	world_done(&world);
	(void)state;
}

static void test_wall_clock_jump_changes_no_expiry(void **state)
{
	const int64_t ten_years_ns = INT64_C(10) * 365 * 86400 * 1000000000;
	struct world world;
	struct record *record;

	world_of(&world, 250);
	world_list_all(&world);
	for (int sign = -1; sign <= 1; sign += 2) {
		world.wall_offset_ns += 2 * sign * ten_years_ns;
		assert_int_equal(world_find(&world, "p1", &record), 0);
		assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS);
		assert_int_equal(fleet_list_left_ms(world.fleet), TTL_MS);
		assert_int_equal(world_list_all(&world), 0);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(world_list_all(&world), 0);
		world.now_ms += 1;
		assert_int_equal(world_list_all(&world), 3);
	}
	world_done(&world);
	(void)state;
}

static void test_list_mtime_moves_once_per_expiry(void **state)
{
	struct world world;

	world_of(&world, 250);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS);
	world_list_all(&world);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		world_list_all(&world);
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round);
		world.now_ms += 1;
		/* Reading the mtime before the next listing makes no difference. */
		if (round % 2)
			assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round + 1);
		world_list_all(&world);
	}
	world.now_ms += 3600000;
	for (int i = 0; i < 10; i++)
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + 6);
	world_done(&world);
	(void)state;
}

/* The reader of an expired listing is killed while it waits. Its sweep is left without a page, and
 * the page arrives later and expires unread. */
static void leave_empty_sweep(struct world *world)
{
	struct query query = fleet_query(world->fleet);
	struct record *record;
	uint64_t cursor = 0;

	assert_int_equal(fleet_walk(world->fleet, &cursor, &query, &record), -EAGAIN);
	world_deliver_next(world);
	world->now_ms += TTL_MS;
}

static void test_list_mtime_moves_after_the_reader_of_a_listing_was_killed(void **state)
{
	struct world world;
	int64_t mtime_ns;

	for (unsigned int count = 50; count <= 250; count += 200) {
		world_of(&world, count);
		leave_empty_sweep(&world);
		for (int round = 0; round < 5; round++) {
			assert_int_equal(world_list_all(&world), (count + 99) / 100);
			mtime_ns = fleet_list_mtime_ns(world.fleet);
			world.now_ms += TTL_MS - 1;
			assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns);
			world.now_ms += 1;
			assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
			if (round % 2)
				leave_empty_sweep(&world);
		}
		world_done(&world);
	}
	(void)state;
}

/* The kernel may hold the listing of a reader that finished after a later one. */
static void test_list_mtime_moves_when_an_expired_list_is_completed(void **state)
{
	struct world world;
	struct listing slow = {0};
	uint64_t cursor = 0;
	int64_t mtime_ns;

	world_of(&world, 250);
	mtime_ns = fleet_list_mtime_ns(world.fleet);
	assert_int_equal(world_list_some(&world, &cursor, 10, &slow), 1);
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &slow), 0);
	assert_int_equal(slow.count, 250);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
	world.now_ms += TTL_MS;
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 2);
	listing_done(&slow);
	world_done(&world);
	(void)state;
}

static void test_list_mtime_moves_when_the_set_of_names_changes(void **state)
{
	struct world world;
	int64_t joined_ns;
	struct record *record;

	world_of(&world, 250);
	world_list_all(&world);
	assert_int_equal(world_find(&world, "p3", &record), 0);
	assert_int_equal(record->first_ns, MOUNTED_NS);
	world.now_ms += TTL_MS;
	world_add(&world, 130, "new");
	world_list_all(&world);
	joined_ns = world_wall_ns(&world);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), joined_ns);
	assert_int_equal(world_find(&world, "new", &record), 0);
	assert_int_equal(record->first_ns, joined_ns);
	world.now_ms += TTL_MS;
	world_remove(&world, 130);
	world_list_all(&world);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), world_wall_ns(&world));
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ttl_starts_when_the_page_arrives),
		cmocka_unit_test(test_new_value_is_served_after_the_ttl),
		cmocka_unit_test(
			test_page_slower_than_the_ttl_answers_the_readers_that_wait_for_it),
		cmocka_unit_test(test_listing_after_a_lookup_serves_nothing_expired),
		cmocka_unit_test(test_page_answers_its_reader_though_it_expired_meanwhile),
		cmocka_unit_test(test_listing_slower_than_the_ttl_ends),
		cmocka_unit_test(test_reader_does_not_starve_while_new_readers_begin),
		cmocka_unit_test(test_wall_clock_jump_changes_no_expiry),
		cmocka_unit_test(test_list_mtime_moves_once_per_expiry),
		cmocka_unit_test(test_list_mtime_moves_after_the_reader_of_a_listing_was_killed),
		cmocka_unit_test(test_list_mtime_moves_when_an_expired_list_is_completed),
		cmocka_unit_test(test_list_mtime_moves_when_the_set_of_names_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
