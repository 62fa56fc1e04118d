/* SPDX-License-Identifier: MIT */
/* How many requests to the API reading costs. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_first_entries_cost_one_request(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 1042);
	assert_int_equal(world.requests, 0);
	assert_int_equal(world_list_some(&world, &cursor, 100, &listing), 1);
	assert_int_equal(listing.count, 100);
	assert_int_equal(world.requests, 1);
	assert_true(cursor > UINT32_MAX);
	assert_true(cursor < UINT64_C(1) << 63);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

static void test_listing_requests_each_page_once_per_ttl(void **state)
{
	struct world world;

	world_of(&world, 1042);
	assert_int_equal(world_list_all(&world), 11);
	/* The reader waits at most once for each page that was read ahead. */
	assert_true(world_health(&world).coalesced <= 10);
	assert_int_equal(world_list_all(&world), 0);
	world.now_ms += TTL_MS - 1;
	assert_int_equal(world_list_all(&world), 0);
	world.now_ms += 1;
	assert_int_equal(world_list_all(&world), 11);
	assert_int_equal(world_list_all(&world), 0);
	for (unsigned int page = 1; page <= 11; page++)
		assert_int_equal(world.requests_of[page], 2);
	assert_true(world_health(&world).verified);
	assert_int_equal(world_health(&world).sweeps, 2);
	assert_int_equal(world_health(&world).passes, 2);
	assert_int_equal(world_health(&world).pages, 11);
	world_done(&world);
	(void)state;
}

static void test_full_last_page_costs_no_request_for_an_empty_one(void **state)
{
	const struct {
		size_t agents;
		unsigned int requests;
	} rows[] = {{0, 1}, {1, 1}, {99, 1}, {100, 1}, {101, 2}, {200, 2}, {1000, 10}, {1001, 11}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;

		world_of(&world, rows[i].agents);
		assert_int_equal(world_list_all(&world), rows[i].requests);
		assert_true(world_health(&world).verified);
		world_done(&world);
	}
	(void)state;
}

static void test_nothing_is_requested_without_a_reader(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 1042);
	world_list_all(&world);
	assert_int_equal(world_find(&world, "p3", &record), 0);
	for (int i = 0; i < 100; i++) {
		world.now_ms += TTL_MS / 3;
		fleet_list_left_ms(world.fleet);
		fleet_list_mtime_ns(world.fleet);
		fleet_record_left_ms(world.fleet, record);
		world_health(&world);
		fleet_query(world.fleet);
	}
	assert_int_equal(world.requests, 11);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
	world_done(&world);
	(void)state;
}

static void test_lookup_requests_only_the_page_of_its_agent(void **state)
{
	struct world world;
	struct record *record = NULL;

	world_of(&world, 1042);
	assert_int_equal(world_find(&world, "p7", &record), 0);
	assert_int_equal(world.requests, 1);
	assert_int_equal(world_find(&world, "p99", &record), 0);
	assert_int_equal(world.requests, 1);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS);
	assert_int_equal(world_find(&world, "p1041", &record), 0);
	assert_int_equal(world.requests, 11);
	world.now_ms += TTL_MS;
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world.requests, 12);
	assert_int_equal(world.requests_of[11], 2);
	assert_int_equal(world_find(&world, "p1040", NULL), 0);
	assert_int_equal(world.requests, 12);
	world_done(&world);
	(void)state;
}

static void test_unknown_name_costs_one_sweep_per_ttl(void **state)
{
	struct world world;

	world_of(&world, 1042);
	for (int round = 1; round <= 3; round++) {
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		assert_int_equal(world.requests, 11 * round);
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		assert_int_equal(world_find(&world, "no-such-agent-2", NULL), -ENOENT);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
		assert_int_equal(world_list_all(&world), 0);
		assert_int_equal(world.requests, 11 * round);
		world.now_ms += 1;
	}
	world_done(&world);
	(void)state;
}

static void test_200_readers_of_a_cold_cache_cost_one_sweep(void **state)
{
	const int64_t latencies_ms[] = {0, 50, 5000, 60000};

	for (enum order order = FIRST_FIRST; order <= ANY_FIRST; order++) {
		for (size_t i = 0; i < sizeof(latencies_ms) / sizeof(latencies_ms[0]); i++) {
			struct world world;
			struct reader readers[200] = {0};

			world_of(&world, 1042);
			world.order = order;
			world.latency_ms = latencies_ms[i];
			for (size_t reader = 0; reader < 200; reader++)
				if (reader % 3 > 0)
					readers[reader].id =
						reader % 3 == 1 ? "p1041" : "no-such-agent";
			readers_ask_all(&world, readers, 200);
			for (size_t reader = 0; reader < 200; reader++) {
				assert_int_equal(readers[reader].err,
				                 reader % 3 == 2 ? -ENOENT : 0);
				if (!readers[reader].id)
					assert_int_equal(readers[reader].listed, 1042);
			}
			assert_int_equal(world.requests, 11);
			assert_true(world_health(&world).coalesced > 0);
			world_done(&world);
		}
	}
	(void)state;
}

static void test_reader_that_continues_has_max_connections_pages_read_ahead(void **state)
{
	const unsigned int connections[] = {1, 2, 6, 100};

	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		unsigned int most = connections[i];
		struct world world;
		struct reader reader = {0};

		world_init(&world, 1042);
		world.config.max_connections = most;
		world_mount(&world);
		reader_ask(&world, &reader);
		assert_int_equal(world.in_flight, 1);
		for (unsigned int pages = 1; pages < 11; pages++) {
			world_deliver(&world, 0);
			assert_false(reader_ask(&world, &reader));
			assert_int_equal(world.in_flight, most < 11 - pages ? most : 11 - pages);
		}
		world_deliver(&world, 0);
		assert_true(reader_ask(&world, &reader));
		assert_int_equal(reader.listed, 1042);
		assert_int_equal(world.requests, 11);
		assert_true(world.peak <= most);
		world_done(&world);
	}
	(void)state;
}

static void test_hits_count_each_query_that_is_answered_from_memory(void **state)
{
	struct world world;
	struct query query;
	struct record *record;
	uint64_t list, cursor = 0, hits;

	world_of(&world, 3);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world_health(&world).hits, 0);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world_health(&world).hits, 1);
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
	assert_int_equal(world_health(&world).hits, 2);
	assert_int_equal(world_renew(&world, record), 0);
	assert_int_equal(world_health(&world).hits, 3);
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_whole_list(world.fleet, &query, &list), 0);
	assert_int_equal(world_health(&world).hits, 4);
	/* However many agents it passes, as in the search for those of a group. */
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_walk(world.fleet, &cursor, &query, &record), 0);
	assert_int_equal(fleet_walk(world.fleet, &cursor, &query, &record), 0);
	assert_int_equal(fleet_walk(world.fleet, &cursor, NULL, &record), 0);
	assert_int_equal(world_health(&world).hits, 5);
	assert_int_equal(world.requests, 1);

	world.now_ms += TTL_MS;
	world_list_all(&world);
	hits = world_health(&world).hits;
	world.now_ms += TTL_MS;
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
	world.now_ms += TTL_MS;
	world.failing = true;
	world.cause = FAILURE_CREDENTIAL;
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -EACCES);
	assert_int_equal(world_find(&world, "p1", NULL), 0); /* stale */
	assert_int_equal(world_health(&world).hits, hits);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_entries_cost_one_request),
		cmocka_unit_test(test_listing_requests_each_page_once_per_ttl),
		cmocka_unit_test(test_full_last_page_costs_no_request_for_an_empty_one),
		cmocka_unit_test(test_nothing_is_requested_without_a_reader),
		cmocka_unit_test(test_lookup_requests_only_the_page_of_its_agent),
		cmocka_unit_test(test_unknown_name_costs_one_sweep_per_ttl),
		cmocka_unit_test(test_hits_count_each_query_that_is_answered_from_memory),
		cmocka_unit_test(test_200_readers_of_a_cold_cache_cost_one_sweep),
		cmocka_unit_test(test_reader_that_continues_has_max_connections_pages_read_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
