/* SPDX-License-Identifier: MIT */
/* Long runs of bad pages, and agents that move to a bad page. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_drift.h"
#include "tests/unit/fleet_world.h"

static const enum failure_cause causes[] = {FAILURE_MALFORMED, FAILURE_SERVER, FAILURE_REQUEST,
                                            FAILURE_TIMEOUT};

#define CAUSES (sizeof(causes) / sizeof(causes[0]))

/* Makes pages first to last bad. */
static void set_run(struct world *world, unsigned int first, unsigned int last)
{
	for (unsigned int page = first; page <= last; page++)
		world->bad_pages[page] = true;
}

/* Lists until a listing has all agents of the pages that are not bad. Returns how long that took,
 * at most most_ms. */
static int64_t list_until_complete(struct world *world, int64_t most_ms)
{
	int64_t began_ms = world->now_ms;
	size_t expected = 0;

	for (size_t i = 0; i < world->count; i++)
		expected += !world->bad_pages[i / world->per_page + 1];
	while (world->now_ms < began_ms + most_ms) {
		struct listing listing;
		size_t count;

		world_list(world, &listing);
		count = listing.count;
		listing_done(&listing);
		if (count == expected)
			break;
		world->now_ms += 500;
	}
	return world->now_ms - began_ms;
}

static void test_a_run_of_bad_pages_hides_no_page_that_total_count_promises(void **state)
{
	const struct {
		unsigned int pages, first, last;
		bool first_page_bad;
	} rows[] = {
		{22, 4, 20, false}, {34, 2, 33, false}, {102, 4, 100, false}, {35, 3, 34, true}};

	for (size_t i = 0; i < CAUSES * 4; i++) {
		size_t row = i / CAUSES;
		unsigned int pages = rows[row].pages;
		struct world world;

		world_of(&world, pages * 100);
		world.cause = causes[i % CAUSES];
		world.latency_ms = 50;
		set_run(&world, rows[row].first, rows[row].last);
		world.bad_pages[1] = rows[row].first_page_bad;
		assert_true(list_until_complete(&world, 60000) < 60000);
		/* a page costs one request, one more a second, and two retries at first */
		assert_true(world.requests <= 5 * pages);
		assert_int_equal(world_find(&world, world.machines[world.count - 1].id, NULL), 0);
		assert_int_equal(world_find(&world, "no-such-agent", NULL),
		                 -failure_errno(world.cause));
		world_done(&world);
	}
	(void)state;
}

static void test_pages_known_from_before_are_read_behind_a_run_of_bad_pages(void **state)
{
	struct world world;

	world_of(&world, 1850);
	world_list_all(&world);
	world.cause = FAILURE_MALFORMED;
	set_run(&world, 1, 18);
	world.now_ms += TTL_MS + STALE_MS;
	assert_true(list_until_complete(&world, 60000) < 60000);
	assert_int_equal(world_find(&world, "p1849", NULL), 0);
	world_done(&world);
	(void)state;
}

/* The list is sorted by the last heartbeat, so an agent moves to the first page from anywhere. */
static void test_agents_that_move_to_a_bad_page_do_not_leave(void **state)
{
	for (size_t i = 0; i < CAUSES * 2; i++) {
		bool expires = i >= CAUSES;
		struct world world;

		world_init(&world, 160);
		world.per_page = 20;
		world_mount(&world);
		world_list_all(&world);
		world.cause = causes[i % CAUSES];
		set_run(&world, 1, 1);
		for (int round = 0; round < 25; round++) {
			struct listing listing;

			for (int moves = 0; moves < 5; moves++)
				drift_to_front(&world);
			world.now_ms += TTL_MS;
			if (expires)
				fleet_expire(world.fleet);
			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, 160);
			world_check_listing(&world, &listing);
			listing_done(&listing);
			assert_int_equal(world_find(&world, world.machines[0].id, NULL), 0);
		}
		assert_int_equal(world.departed, 0);
		assert_int_equal(world.joined, 160);
		world_done(&world);
	}
	(void)state;
}

static void test_an_agent_that_leaves_far_from_a_bad_page_leaves_at_once(void **state)
{
	struct world world;
	struct listing listing;

	world_init(&world, 160);
	world.per_page = 20;
	world_mount(&world);
	world_list_all(&world);
	world.cause = FAILURE_MALFORMED;
	set_run(&world, 1, 1);
	world_remove(&world, 130);
	world.now_ms += TTL_MS;
	world_list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 159);
	assert_int_equal(listing_times(&listing, "p130"), 0);
	listing_done(&listing);
	assert_int_equal(world.departed, 1);
	assert_string_equal(world.departed_id, "p130");
	world_done(&world);
	(void)state;
}

/* An agent that leaves is not served stale, although another page stays bad. */
static void test_an_agent_that_left_gets_the_error_of_the_bad_page(void **state)
{
	for (size_t i = 0; i < CAUSES * 2; i++) {
		bool held = i >= CAUSES;
		struct record *record;
		struct world world;
		int err;

		world_of(&world, 400);
		world_list_all(&world);
		assert_int_equal(world_find(&world, "p50", &record), 0);
		if (held)
			record_ref(record);
		world.cause = causes[i % CAUSES];
		set_run(&world, 4, 4);
		world_remove(&world, 50);
		world.now_ms += TTL_MS;
		err = held ? world_renew(&world, record) : world_find(&world, "p50", &record);
		assert_int_equal(err, -failure_errno(world.cause));
		assert_int_equal(world.departed, 1);
		assert_string_equal(world.departed_id, "p50");
		if (held) {
			assert_int_equal(world_renew(&world, record), -ENOENT);
			record_unref(record);
		}
		assert_int_equal(world_find(&world, "p50", NULL), -failure_errno(world.cause));
		world_done(&world);
	}
	(void)state;
}

/* A page that stays empty, though total_count and later pages show that it is in the list. */
static void test_a_page_that_stays_empty_hides_no_other_page(void **state)
{
	static const struct {
		unsigned int pages, first, last;
	} rows[] = {{4, 2, 2}, {4, 1, 1}, {4, 3, 3}, {9, 3, 7}, {9, 1, 7}};

	for (size_t i = 0; i < 5 * 2; i++) {
		bool warm = i >= 5;
		unsigned int first = rows[i % 5].first, last = rows[i % 5].last;
		unsigned int pages = rows[i % 5].pages, missing = 100 * (last - first + 1);
		struct world world;
		struct listing listing;
		char id[ID_BYTES];

		world_of(&world, (size_t)pages * 100);
		if (warm)
			world_list_all(&world);
		world.empty_page = first;
		world.last_empty_page = last;
		snprintf(id, sizeof(id), "p%u", 100 * first - 50);
		for (int round = 0; round < 40; round++) {
			bool served = warm && round < 30;

			world.now_ms += TTL_MS;
			world_list(&world, &listing);
			assert_int_equal(listing.count, pages * 100 - (served ? 0 : missing));
			assert_int_equal(listing.err, served ? 0 : -EREMOTEIO);
			assert_true(listing.requests <= 3 * pages + 1);
			listing_done(&listing);
			assert_int_equal(world_find(&world, "no-such-agent", NULL), -EREMOTEIO);
			assert_int_equal(world_find(&world, id, NULL), served ? 0 : -EREMOTEIO);
			assert_int_equal(
				world_find(&world, world.machines[world.count - 1].id, NULL), 0);
			assert_true(world_health(&world).failing);
			assert_false(world_health(&world).verified);
		}
		assert_int_equal(world.departed, 0);
		assert_int_equal(world.joined, pages * 100 - (warm ? 0 : missing));
		world.empty_page = world.last_empty_page = 0;
		world.now_ms += 30000;
		world_list_all(&world);
		assert_false(world_health(&world).failing);
		assert_true(world_health(&world).verified);
		assert_int_equal(world.departed, 0);
		assert_int_equal(world.joined, pages * 100 - (warm ? 0 : missing));
		world_done(&world);
	}
	(void)state;
}

/* Only the first pages were ever read, and now all pages are bad. */
static void test_a_list_that_was_never_read_to_its_end_does_not_end_without_an_error(void **state)
{
	for (int counted = 0; counted <= 1; counted++) {
		struct world world;
		struct listing listing;

		world_of(&world, 500);
		world.count_reported = counted ? COUNT_RIGHT : COUNT_ABSENT;
		assert_int_equal(world_find(&world, "p150", NULL), 0);
		world.now_ms += TTL_MS;
		world.cause = FAILURE_MALFORMED;
		set_run(&world, 1, 5);
		world_list(&world, &listing);
		assert_int_equal(listing.err, -EREMOTEIO);
		assert_int_equal(listing.count, 200);
		listing_done(&listing);
		world_done(&world);
	}
	(void)state;
}

static void test_a_list_without_any_page_does_not_count_as_read(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 250);
	world.cause = FAILURE_MALFORMED;
	set_run(&world, 1, 3);
	world_list(&world, &listing);
	assert_int_equal(listing.err, -EREMOTEIO);
	listing_done(&listing);
	assert_int_equal(world_health(&world).sweeps, 0);
	assert_int_equal(world_health(&world).sweep_ns, 0);
	world_done(&world);
	(void)state;
}

static void world_fill_page(struct world *world)
{
	if (world->requests_of[world->empty_page] > 0)
		world->empty_page = 0;
}

static void test_a_page_that_is_empty_once_is_read_again(void **state)
{
	struct world world;

	world_of(&world, 400);
	world.empty_page = 2;
	world.drift = world_fill_page;
	world.drift_percent = 100;
	world.at_request = true;
	assert_in_range(world_list_all(&world), 5, 8);
	assert_true(world_health(&world).verified);
	assert_false(world_health(&world).failing);
	world_done(&world);
	(void)state;
}

/* When the listing goes back to the empty pages, a lookup has already requested the first of them
 * again. The others must be requested after that, too. */
static void test_empty_pages_are_read_again_though_the_first_is_in_flight(void **state)
{
	struct reader lister = {.id = NULL}, reader = {.id = "p150"};
	struct world world;

	world_of(&world, 400);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.empty_page = 2;
	world.last_empty_page = 3;
	assert_false(reader_ask(&world, &lister));
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	assert_int_equal(world.in_flight, 3);
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	assert_false(reader_ask(&world, &reader));
	assert_int_equal(world.requests_of[2], 3);
	world_deliver(&world, 0);
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	assert_int_equal(world.in_flight, 3);
	world.last_empty_page = 0;
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &lister));
	world_deliver(&world, 0);
	world_deliver(&world, 0);
	assert_true(reader_ask(&world, &lister));
	assert_int_equal(lister.err, 0);
	assert_int_equal(lister.listed, 400);
	assert_int_equal(world_health(&world).failures[FAILURE_MALFORMED], 1); /* page 2 */
	world_done(&world);
	(void)state;
}

/* While a listing goes on behind an empty page, another one finds a short list, and removes the
 * empty page from the cache. */
static void test_an_empty_page_that_another_listing_removed_is_malformed(void **state)
{
	struct reader lister = {.id = NULL}, other = {.id = NULL};
	struct world world;

	world_init(&world, 50);
	drift_join_many(&world, 50, 350);
	world_mount(&world);
	world.empty_page = 2;
	for (int pages = 0; pages < 5; pages++) {
		assert_false(reader_ask(&world, &lister));
		world_deliver(&world, 0);
	}
	assert_false(reader_ask(&world, &lister)); /* it went back, and read page 2 again */
	assert_int_equal(world.requests_of[2], 2);
	fleet_expire(world.fleet);
	while (world.in_flight > 0)
		world_deliver(&world, 0);
	drift_leave_many(&world, 50, 350);
	readers_ask_all(&world, &other, 1);
	assert_int_equal(other.err, 0);
	assert_int_equal(other.listed, 50);
	drift_join_many(&world, 50, 350);
	readers_ask_all(&world, &lister, 1);
	assert_int_equal(lister.err, -EREMOTEIO);
	world_done(&world);
	(void)state;
}

static void test_a_list_that_shrank_ends_at_its_first_empty_page(void **state)
{
	for (int lags = 0; lags <= 1; lags++) {
		struct world world;
		struct listing listing;

		world_init(&world, 90);
		drift_join_many(&world, 90, 310);
		world_mount(&world);
		world_list_all(&world);
		drift_leave_many(&world, 90, 310);
		if (lags) {
			world.count_reported = COUNT_FIXED;
			world.fixed_count = 400;
		}
		for (int round = 0; round < 3; round++) {
			world.now_ms += TTL_MS;
			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, 90);
			listing_done(&listing);
			assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
			assert_false(world_health(&world).failing);
		}
		assert_int_equal(world.departed, 310);
		world_done(&world);
	}
	(void)state;
}

/* The list grows by a page, which fails when it is requested for the first time. The list before it
 * had no gaps, so the agents of the new page were not in it. */
static void test_agents_of_a_new_page_that_fails_at_first_have_joined(void **state)
{
	for (int api_fails = 0; api_fails <= 1; api_fails++) {
		struct world world;
		struct listing listing;
		struct record *record;
		int64_t joined_ns;

		world_of(&world, 200);
		world_list_all(&world);
		world_add(&world, 200, "new");
		world.now_ms += TTL_MS;
		world.cause = FAILURE_SERVER;
		world.bad_pages[3] = true;
		world_list(&world, &listing);
		listing_done(&listing);
		for (int round = 0; api_fails && round < 5; round++) {
			world.failing = true;
			world.now_ms += TTL_MS;
			world_list(&world, &listing);
			listing_done(&listing);
		}
		world.failing = world.bad_pages[3] = false;
		world.now_ms += 60000;
		world_list_all(&world);
		joined_ns = world_wall_ns(&world);
		assert_int_equal(world.joined, 201);
		assert_int_equal(world_find(&world, "new", &record), 0);
		assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE), joined_ns);
		world_done(&world);
	}
	(void)state;
}

static void swap_machines(struct world *world, size_t one, size_t other)
{
	struct machine machine = world->machines[one];

	world->machines[one] = world->machines[other];
	world->machines[other] = machine;
}

/* A reader pauses in its listing, which has an agent that then leaves. A newer listing, which skips
 * a bad page, finds that it left. When the reader goes on, the bad page has recovered, and one of
 * its agents has moved to a page that both listings have read. total_count shows that this agent is
 * lacking only if the agent that left is not counted. */
static void test_an_older_listing_does_not_count_agents_that_departed_meanwhile(void **state)
{
	struct world world;
	struct listing paused = {0}, newer;
	uint64_t cursor = 0;

	world_init(&world, 59);
	world_add(&world, 5, "leaver");
	world.per_page = 10;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	assert_int_equal(world_list_some(&world, &cursor, 8, &paused), 1);
	assert_int_equal(listing_times(&paused, "leaver"), 1);

	world.now_ms += TTL_MS;
	world_remove(&world, 5);
	world_add(&world, 5, "joiner");
	world.cause = FAILURE_OVERSIZED;
	world_set_bad_pages(&world, "----x-");
	world_list(&world, &newer);
	assert_int_equal(newer.err, 0);
	assert_int_equal(newer.count, 60);
	listing_done(&newer);
	assert_int_equal(world.departed, 1);
	assert_string_equal(world.departed_id, "leaver");

	world_set_bad_pages(&world, "");
	world.now_ms += 2000;
	swap_machines(&world, 15, 45);
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &paused), 0);
	world_check_listing(&world, &paused);
	listing_done(&paused);
	assert_int_equal(world.departed, 1);
	assert_int_equal(world.departed_wrongly, 0);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_run_of_bad_pages_hides_no_page_that_total_count_promises),
		cmocka_unit_test(test_pages_known_from_before_are_read_behind_a_run_of_bad_pages),
		cmocka_unit_test(test_agents_that_move_to_a_bad_page_do_not_leave),
		cmocka_unit_test(
			test_a_list_that_was_never_read_to_its_end_does_not_end_without_an_error),
		cmocka_unit_test(test_a_page_that_stays_empty_hides_no_other_page),
		cmocka_unit_test(test_a_list_without_any_page_does_not_count_as_read),
		cmocka_unit_test(test_a_page_that_is_empty_once_is_read_again),
		cmocka_unit_test(test_empty_pages_are_read_again_though_the_first_is_in_flight),
		cmocka_unit_test(test_an_empty_page_that_another_listing_removed_is_malformed),
		cmocka_unit_test(test_agents_of_a_new_page_that_fails_at_first_have_joined),
		cmocka_unit_test(test_a_list_that_shrank_ends_at_its_first_empty_page),
		cmocka_unit_test(test_an_agent_that_leaves_far_from_a_bad_page_leaves_at_once),
		cmocka_unit_test(test_an_agent_that_left_gets_the_error_of_the_bad_page),
		cmocka_unit_test(
			test_an_older_listing_does_not_count_agents_that_departed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
