/* SPDX-License-Identifier: MIT */
/* The list is read periodically although nobody reads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

#define MINUTE_MS  60000
#define MOST_TURNS 100000 /* of a loop that sleeps whenever nothing is due */

/* A world whose cache refreshes its list. */
static void world_of_refresh(struct world *world, size_t count, int64_t refresh_ms)
{
	world_init(world, count);
	world->config.refresh_ms = refresh_ms;
	world->latency_ms = 20;
	world_mount(world);
}

/* Returns the flight that arrives first; world->in_flight if none is under way. */
static unsigned int world_first_flight(const struct world *world)
{
	unsigned int first = 0;

	for (unsigned int i = 1; i < world->in_flight; i++)
		if (world->flights[i].due_ms < world->flights[first].due_ms)
			first = i;
	return first;
}

/* Lets time pass as the loop of the program does, without a reader. */
static void world_run(struct world *world, int64_t ms)
{
	const int64_t end_ms = world->now_ms + ms;
	unsigned int turns = 0;

	for (;;) {
		unsigned int flight = world_first_flight(world);
		int64_t arrival_ms = INT64_MAX, due_ms;

		assert_true(turns++ < MOST_TURNS);
		due_ms = fleet_refresh_due_ms(world->fleet);
		if (due_ms <= world->now_ms) {
			fleet_refresh(world->fleet);
			due_ms = fleet_refresh_due_ms(world->fleet);
			assert_true(due_ms > world->now_ms);
			continue;
		}
		if (flight < world->in_flight)
			arrival_ms = world->flights[flight].due_ms;
		if (arrival_ms > end_ms && due_ms > end_ms)
			break;
		if (arrival_ms <= due_ms) {
			world_deliver(world, flight);
			fleet_refresh(world->fleet);
		} else {
			world->now_ms = due_ms;
		}
	}
	world->now_ms = end_ms;
}

static void assert_each_page_requested(const struct world *world, unsigned int pages,
                                       unsigned int least, unsigned int most)
{
	for (unsigned int page = 1; page <= pages; page++)
		assert_in_range(world->requests_of[page], least, most);
}

static void test_nothing_is_requested_or_due_unless_it_is_configured(void **state)
{
	struct world world;

	world_of(&world, 1042);
	fleet_refresh(world.fleet);
	assert_int_equal(fleet_refresh_due_ms(world.fleet), INT64_MAX);
	world_list_all(&world);
	world.now_ms += 60 * MINUTE_MS;
	fleet_refresh(world.fleet);
	assert_int_equal(fleet_refresh_due_ms(world.fleet), INT64_MAX);
	assert_int_equal(world.requests, 11);
	assert_int_equal(world_health(&world).refresh_ms, -1);
	world_done(&world);
	(void)state;
}

static void test_list_is_read_once_per_period(void **state)
{
	/* Shorter than the ttl, equal, a little longer, and much longer. */
	static const int64_t periods_ms[] = {2000, TTL_MS, TTL_MS + 1, 5 * TTL_MS};

	for (size_t i = 0; i < sizeof(periods_ms) / sizeof(periods_ms[0]); i++) {
		const unsigned int periods = 20;
		struct world world;

		world_of_refresh(&world, 1042, periods_ms[i]);
		world_run(&world, periods * periods_ms[i]);
		/* Each period begins when the list before it was read, which takes a while. */
		assert_each_page_requested(&world, 11, periods - 2, periods + 1);
		assert_in_range(world_health(&world).sweeps, periods - 2, periods + 1);
		assert_int_equal(world_health(&world).passes, world_health(&world).sweeps);
		assert_true(world_health(&world).verified);
		assert_true(world_health(&world).list_age_ms <= periods_ms[i] + 1000);
		world_done(&world);
	}
	(void)state;
}

static void test_first_list_uses_the_page_that_the_start_fetched(void **state)
{
	struct world world;

	world_of_refresh(&world, 1042, MINUTE_MS);
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	world_run(&world, 1000);
	assert_each_page_requested(&world, 11, 1, 1);
	assert_int_equal(world_health(&world).sweeps, 1);
	world_done(&world);
	(void)state;
}

static void test_page_that_was_read_meanwhile_is_read_again(void **state)
{
	struct world world;

	world_of_refresh(&world, 1042, TTL_MS);
	world_run(&world, TTL_MS / 2);
	fleet_expire(world.fleet);
	assert_int_equal(world_find(&world, "p500", NULL), 0); /* on page 6 */
	assert_int_equal(world.requests_of[6], 2);
	world_run(&world, TTL_MS);
	assert_int_equal(world.requests_of[6], 3);
	assert_int_equal(world.requests_of[5], 2);
	assert_int_equal(world_health(&world).sweeps, 2);
	world_done(&world);
	(void)state;
}

static void test_list_of_a_reader_takes_the_place_of_a_refresh(void **state)
{
	struct world world;

	world_of_refresh(&world, 1042, 3 * TTL_MS / 2);
	for (int i = 0; i < 20; i++) {
		world_list_all(&world);
		world_run(&world, TTL_MS);
	}
	assert_each_page_requested(&world, 11, 20, 20);
	world_run(&world, TTL_MS);
	assert_each_page_requested(&world, 11, 21, 21);
	world_done(&world);
	(void)state;
}

/* An HTTP cache may serve pages that are older than a period. */
static void test_old_pages_are_not_requested_more_often(void **state)
{
	struct world world;

	world_of_refresh(&world, 250, 2000);
	world.age_ms = 5000;
	world_run(&world, 20 * 2000);
	assert_each_page_requested(&world, 3, 18, 21);
	world_done(&world);
	(void)state;
}

static void test_changes_are_reported_without_a_reader(void **state)
{
	struct world world;

	world_of_refresh(&world, 250, MINUTE_MS);
	world_run(&world, 1000);
	world_remove(&world, 7);
	world_add(&world, 100, "new");
	world.machines[3].version++;
	world_run(&world, 2 * MINUTE_MS);
	assert_int_equal(world.joined, 251);
	assert_int_equal(world.changed, 1);
	assert_int_equal(world.departed, 1);
	assert_string_equal(world.departed_id, "p7");
	world_done(&world);
	(void)state;
}

static void test_failing_api_gets_no_more_requests_than_its_backoff_permits(void **state)
{
	struct world world;
	unsigned int before;

	world_of_refresh(&world, 1042, 2000);
	world_run(&world, 10000);
	world.failing = true;
	before = world.requests;
	world_run(&world, 10 * MINUTE_MS);
	/* At most one each 30 s, after a few more at the beginning. */
	assert_in_range(world.requests - before, 20, 40);
	assert_true(world_health(&world).failing);
	world.failing = false;
	world_run(&world, 31000);
	assert_false(world_health(&world).failing);
	assert_true(world_health(&world).list_age_ms < 3000);
	world_done(&world);
	(void)state;
}

static void test_refresh_that_failed_continues_before_the_next_period(void **state)
{
	struct world world;

	world_of_refresh(&world, 1042, 60 * MINUTE_MS);
	world.failing = true;
	world_run(&world, 5 * MINUTE_MS);
	assert_int_equal(world_health(&world).sweeps, 0);
	world.failing = false;
	world_run(&world, MINUTE_MS);
	assert_int_equal(world_health(&world).sweeps, 1);
	assert_each_page_requested(&world, 11, 1, 50);
	world_done(&world);
	(void)state;
}

static void test_bad_page_costs_its_own_agents_only(void **state)
{
	struct world world;
	unsigned int before;

	world_of_refresh(&world, 1042, TTL_MS);
	world_run(&world, 1000);
	world_set_bad_pages(&world, "---x");
	before = world.requests_of[4];
	world_run(&world, 20 * TTL_MS);
	assert_in_range(world.requests_of[11], 15, 22);
	assert_in_range(world.requests_of[4] - before, 5, 40);
	assert_int_equal(world.departed, 0);
	world_done(&world);
	(void)state;
}

/* Readers that get stale data after two seconds do not end a refresh. */
static void test_slow_api_is_read_to_its_end_beside_impatient_readers(void **state)
{
	struct world world;

	world_of_refresh(&world, 1042, MINUTE_MS);
	world_run(&world, 1000);
	world.latency_ms = 5000;
	world.machines[1000].version++;
	for (int second = 0; second < 4 * 60; second++) {
		struct reader reader = {0};

		reader_ask(&world, &reader);
		world_run(&world, 1000);
	}
	assert_int_equal(world.changed, 1);
	assert_true(world_health(&world).list_age_ms < 3 * MINUTE_MS);
	world_done(&world);
	(void)state;
}

/* A reader begins the next list after that of the refresh ended in memory. The reader may use pages
 * that are fresh, but arrived before the refresh began. */
static void test_fresh_pages_of_a_reader_do_not_end_a_refresh(void **state)
{
	for (int i = 0; i < 2; i++) {
		bool completes = i == 1; /* the reader reads its list to the end */
		struct reader reader = {0};
		struct world world;

		world_of_refresh(&world, 250, 8 * TTL_MS / 10 + 100);
		assert_int_equal(world_find(&world, "p1", NULL), 0);
		world.now_ms += 2 * TTL_MS / 10;
		world_run(&world, 1000); /* the first refresh reads pages 2 and 3 */
		assert_each_page_requested(&world, 3, 1, 1);
		world.cause = FAILURE_BUSY;
		world.failing = true;
		world_run(&world, 7 * TTL_MS / 10 + 200); /* the second one fails */
		assert_int_equal(world.requests_of[1], 2);
		world_list_all(&world); /* from memory */
		world.failing = false;
		world.now_ms += world_health(&world).retry_ms;
		if (completes) /* page 1 has expired, pages 2 and 3 are fresh */
			world_list_all(&world);
		else
			assert_false(reader_ask(&world, &reader));
		assert_int_equal(world.requests_of[1], 3);
		assert_int_equal(world.requests_of[2] + world.requests_of[3], 2);
		world_run(&world, 1000); /* the second refresh continues */
		assert_int_equal(world.requests_of[1], 3);
		assert_int_equal(world.requests_of[2], 2);
		assert_int_equal(world.requests_of[3], 2);
		assert_true(world_health(&world).refresh_ms > 0);
		world_done(&world);
	}
	(void)state;
}

static void test_health_says_when_the_next_refresh_is(void **state)
{
	struct world world;

	world_of_refresh(&world, 250, MINUTE_MS);
	assert_int_equal(world_health(&world).refresh_ms, 0);
	world_run(&world, 30000);
	assert_in_range(world_health(&world).refresh_ms, 30000, 31000);
	world.latency_ms = 5000;
	world_run(&world, 32000);
	assert_int_equal(world_health(&world).refresh_ms, 0);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_requested_or_due_unless_it_is_configured),
		cmocka_unit_test(test_list_is_read_once_per_period),
		cmocka_unit_test(test_first_list_uses_the_page_that_the_start_fetched),
		cmocka_unit_test(test_page_that_was_read_meanwhile_is_read_again),
		cmocka_unit_test(test_list_of_a_reader_takes_the_place_of_a_refresh),
		cmocka_unit_test(test_old_pages_are_not_requested_more_often),
		cmocka_unit_test(test_changes_are_reported_without_a_reader),
		cmocka_unit_test(test_failing_api_gets_no_more_requests_than_its_backoff_permits),
		cmocka_unit_test(test_refresh_that_failed_continues_before_the_next_period),
		cmocka_unit_test(test_bad_page_costs_its_own_agents_only),
		cmocka_unit_test(test_slow_api_is_read_to_its_end_beside_impatient_readers),
		cmocka_unit_test(test_fresh_pages_of_a_reader_do_not_end_a_refresh),
		cmocka_unit_test(test_health_says_when_the_next_refresh_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
