/* SPDX-License-Identifier: MIT */
/* Bounds on memory. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/agents.h"
#include "tests/unit/fleet_world.h"

/* Lets the cache complete the list, without a listing. */
static void read_whole_list(struct world *world)
{
	struct query query = fleet_query(world->fleet);
	uint64_t cursor;
	int err;

	while ((err = fleet_whole_list(world->fleet, &query, &cursor)) == -EAGAIN)
		world_wait(world, &query);
	assert_int_equal(err, 0);
}

/* However many and however large the API says that its agents are, there is an
 * end. */
static void test_page_beyond_the_memory_limit_is_rejected(void **state)
{
	struct world world;
	struct page *page = agents_page(3);
	struct query query;
	struct record *record;

	world_init(&world, 0);
	world_mount(&world);
	for (int i = 0; i < 3; i++) {
		char id[ID_BYTES];
		struct agent *agent;

		snprintf(id, sizeof(id), "p%d", i);
		agent = agents_new(id, "large");
		agent->block_bytes = FLEET_MAX_BYTES / 5 * 2;
		page->agents[page->agent_count++] = agent;
	}
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p0", &query, &record), -EAGAIN);
	assert_int_equal(world_arrive(&world, 1, page), -EFBIG);
	fleet_failed(world.fleet, 1, &(struct failure){.cause = FAILURE_OVERSIZED});
	world.in_flight = 0;
	world_done(&world);
	(void)state;
}

/* Other readers are answered between the parts. The page counts as in flight until the last one. */
static void test_large_page_is_ingested_in_parts(void **state)
{
	struct world world;
	struct query query, first, last;
	struct record *record;

	world_of(&world, 3);
	world.large_agents = true;
	world_list_all(&world);
	for (int hangup = 0; hangup <= 1; hangup++) {
		world.parts = 0;
		world.now_ms += TTL_MS;
		world.requests = 0;
		query = fleet_query(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &query, &record),
		                 -EAGAIN);
		world.in_flight = 0;
		world.machines[0].version++;
		assert_int_equal(fleet_ingest(world.fleet, 1, world_page(&world, 1)), -EAGAIN);

		first = fleet_query(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[0].id, &first, &record), 0);
		assert_string_equal(record->agent->status, hangup ? "v2" : "v1");
		last = fleet_query(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &last, &record),
		                 -EAGAIN);
		assert_int_equal(world.requests, 1);

		if (hangup)
			fleet_expire(world.fleet);
		while (fleet_ingest_more(world.fleet) == -EAGAIN)
			world.parts++;
		assert_int_equal(world.parts, hangup ? 0 : 1);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &query, &record),
		                 hangup ? -EAGAIN : 0);
		assert_int_equal(world.requests, 1 + hangup);
	}
	world.in_flight = 0;
	world_done(&world);
	(void)state;
}

static void test_partly_ingested_page_is_freed_with_the_fleet(void **state)
{
	struct world world;
	struct query query;
	struct record *record;

	world_of(&world, 3);
	world.large_agents = true;
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &query, &record), -EAGAIN);
	world.in_flight = 0;
	assert_int_equal(fleet_ingest(world.fleet, 1, world_page(&world, 1)), -EAGAIN);
	world_done(&world);
	(void)state;
}

static void test_churn_of_200000_agents_does_not_grow_the_table(void **state)
{
	struct world world;
	struct listing listing;
	uint32_t highest = 0;
	unsigned int left = 0;

	world_of(&world, 500);
	for (size_t i = 0; i < 500; i++)
		world.machines[i].permanent = false;
	world_list_all(&world);
	while (left < 200000) {
		for (int i = 0; i < 250; i++, left++)
			assert_true(world_leave(&world));
		for (int i = 0; i < 250; i++)
			world_join(&world);
		world.now_ms += TTL_MS;
		world_list(&world, &listing);
		assert_int_equal(listing.count, 500);
		for (size_t i = 0; i < listing.count; i++)
			if (highest < listing.records[i]->index)
				highest = listing.records[i]->index;
		listing_done(&listing);
		assert_int_equal(world_health(&world).agents, 500);
	}
	assert_int_equal(world.departed, 200000);
	assert_true(highest < 2048);
	world_done(&world);
	(void)state;
}

/* While the reader pauses, others list again and again, and agents join. */
static void test_listing_continues_after_a_pause_of_hours(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 1000);
	assert_int_equal(world_list_some(&world, &cursor, 300, &listing), 1);
	for (int i = 0; i < 150; i++) {
		world.now_ms += 60 * TTL_MS;
		world_join(&world);
		world_list_all(&world);
	}
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	world_check_listing(&world, &listing);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

static void test_listings_without_a_reader_are_forgotten_first(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of_etags(&world, 40000);
	assert_int_equal(world_list_some(&world, &cursor, 300, &listing), 1);
	for (int i = 0; i < 60; i++) { /* each takes 320 KB */
		world.now_ms += TTL_MS;
		read_whole_list(&world);
	}
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	world_check_listing(&world, &listing);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

/* The other one reads the same listing from its beginning to its end, in several replies. */
static void test_listing_is_kept_for_a_reader_that_pauses_while_another_ends(void **state)
{
	struct world world;
	struct listing listing = {0}, other = {0};
	struct reader reader = {0};
	uint64_t cursor = 0;

	world_of_etags(&world, 40000);
	assert_int_equal(world_list_some(&world, &cursor, 300, &listing), 1);
	world_list(&world, &other);
	assert_int_equal(other.err, 0);
	listing_done(&other);
	/* all in one reply, and an empty one */
	assert_true(reader_ask(&world, &reader));
	for (int i = 0; i < 40; i++) {
		world.now_ms += TTL_MS;
		read_whole_list(&world);
	}
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	world_check_listing(&world, &listing);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

/* The memory of listings is bounded, so those whose readers never continue are forgotten at last.
 */
static void test_oldest_listings_are_forgotten_beyond_the_memory_limit(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursors[60] = {0};
	size_t forgotten = 0;

	world_of_etags(&world, 40000);
	for (size_t i = 0; i < 60; i++) {
		world.now_ms += TTL_MS;
		assert_int_equal(world_list_some(&world, &cursors[i], 300, &listing), 1);
		read_whole_list(&world);
		listing_done(&listing);
	}
	for (size_t i = 0; i < 60; i++) {
		int err = world_list_some(&world, &cursors[i], 100, &listing);

		assert_true(err == 1 || err == -ESTALE);
		if (err < 0)
			assert_int_equal(forgotten++, i); /* the oldest first */
		listing_done(&listing);
	}
	/* 16 MiB hold 52 listings of 40,000 entries of 8 bytes. */
	assert_in_range(forgotten, 7, 12);
	world_done(&world);
	(void)state;
}

/* Neither the size of the fleet nor a short ttl ends a listing that its reader continues. */
static void test_listing_that_is_read_is_not_forgotten(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 5000);
	assert_int_equal(world_list_some(&world, &cursor, 100, &listing), 1);
	for (int i = 0; i < 40; i++) {
		fleet_expire(world.fleet);
		world_list_all(&world);
		world.now_ms += 100;
		assert_int_equal(world_list_some(&world, &cursor, 100, &listing), 1);
	}
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	assert_int_equal(listing.count, 5000);
	world_check_listing(&world, &listing);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_beyond_the_memory_limit_is_rejected),
		cmocka_unit_test(test_large_page_is_ingested_in_parts),
		cmocka_unit_test(test_partly_ingested_page_is_freed_with_the_fleet),
		cmocka_unit_test(test_churn_of_200000_agents_does_not_grow_the_table),
		cmocka_unit_test(test_listing_continues_after_a_pause_of_hours),
		cmocka_unit_test(test_listings_without_a_reader_are_forgotten_first),
		cmocka_unit_test(test_listing_is_kept_for_a_reader_that_pauses_while_another_ends),
		cmocka_unit_test(test_oldest_listings_are_forgotten_beyond_the_memory_limit),
		cmocka_unit_test(test_listing_that_is_read_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
