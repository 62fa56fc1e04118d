/* SPDX-License-Identifier: MIT */
/* Pages that keep failing while other pages arrive. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/model/failure.h"
#include "cache/fleet.h"
#include "tests/unit/fleet_drift.h"
#include "tests/unit/fleet_world.h"

static const enum failure_cause bad_causes[] = {
	FAILURE_MALFORMED, FAILURE_TRUNCATED,  FAILURE_OVERSIZED,
	FAILURE_SERVER,    FAILURE_REQUEST,    FAILURE_UNREACHABLE,
	FAILURE_TIMEOUT,   FAILURE_CREDENTIAL, FAILURE_REDIRECT,
};

#define BAD_CAUSES (sizeof(bad_causes) / sizeof(bad_causes[0]))

/* Asserts that a listing has all agents of the pages that are not bad, and ends with err. */
static void assert_lists_the_good_pages(struct world *world, int err)
{
	struct listing listing;
	size_t expected = 0;

	world_list(world, &listing);
	assert_int_equal(listing.err, err);
	for (size_t i = 0; i < world->count; i++) {
		bool bad = world->bad_pages[i / world->per_page + 1];

		assert_int_equal(listing_times(&listing, world->machines[i].id), !bad);
		expected += !bad;
	}
	assert_int_equal(listing.count, expected);
	listing_done(&listing);
}

/* Asserts that agents of good pages are found, and that other lookups fail with err. */
static void assert_agents_of_good_pages_are_read(struct world *world, int err)
{
	for (size_t i = 0; i < world->count; i += 50) {
		bool bad = world->bad_pages[i / world->per_page + 1];

		assert_int_equal(world_find(world, world->machines[i].id, NULL), bad ? err : 0);
	}
	assert_int_equal(world_find(world, "no-such-agent", NULL), err);
}

static void test_a_bad_page_costs_its_own_agents_only(void **state)
{
	static const char *const layouts[] = {"-x-", "-x---x-", "-xx--", "---x",
	                                      "xx-", "x--",     "--xx",  "-x-x-x-x-"};

	for (size_t i = 0; i < BAD_CAUSES * 8; i++) {
		const char *pages = layouts[i / BAD_CAUSES];
		enum failure_cause cause = bad_causes[i % BAD_CAUSES];
		int err = -failure_errno(cause);
		struct world world;

		/* Without one of the first two pages nothing shows where the list ends. */
		if (pages[1] == 'x' && pages[0] == 'x')
			continue;
		world_of(&world, 100 * strlen(pages) - 50);
		world.cause = cause;
		world_set_bad_pages(&world, pages);
		/* At first, pages that fail in succession look like a failing API. */
		for (int round = 0; round < 4; round++) {
			struct listing listing;

			world_list(&world, &listing);
			listing_done(&listing);
			world.now_ms += 4000;
		}
		assert_lists_the_good_pages(&world, err);
		assert_agents_of_good_pages_are_read(&world, err);
		assert_false(world_health(&world).verified);
		assert_true(world_health(&world).failing);
		assert_int_equal(world.departed, 0);
		world_set_bad_pages(&world, "");
		world.now_ms += 30000;
		world_list_all(&world);
		assert_false(world_health(&world).failing);
		assert_true(world_health(&world).verified);
		world_done(&world);
	}
	(void)state;
}

/* Two pages that fail in succession look like a failing API until another page arrives. */
static void test_health_reports_bad_pages_until_they_arrive(void **state)
{
	for (size_t i = 0; i < BAD_CAUSES * 2; i++) {
		bool warm = i >= BAD_CAUSES;
		struct world world;
		struct listing listing;

		world_init(&world, 500);
		world.config.ttl_ms = 500;
		world_mount(&world);
		world.cause = bad_causes[i % BAD_CAUSES];
		if (warm)
			world_list_all(&world);
		world.now_ms += 500;
		world_set_bad_pages(&world, "-xx--");
		for (int round = 0; round < 40; round++) {
			world_list(&world, &listing);
			listing_done(&listing);
			assert_true(world_health(&world).failing);
			world.now_ms += 1500;
			assert_int_equal(world_find(&world, "p10", NULL), 0);
			assert_true(world_health(&world).failing);
			assert_int_equal(world_find(&world, "p450", NULL), 0);
			assert_true(world_health(&world).failing);
		}
		world_set_bad_pages(&world, "");
		world.now_ms += 30000;
		world_list_all(&world);
		assert_false(world_health(&world).failing);
		world_done(&world);
	}
	(void)state;
}

static void test_the_first_listing_past_a_bad_page_is_complete(void **state)
{
	for (size_t i = 0; i < BAD_CAUSES; i++) {
		struct world world;

		world_of(&world, 300);
		world.cause = bad_causes[i];
		world_set_bad_pages(&world, "-x-");
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_in_range(world.requests, 3, 5);
		world_done(&world);
	}
	(void)state;
}

/* Without an arrival before, a failure of a whole page would count for the API. */
static void test_pages_whose_parts_are_refused_cost_their_own_agents_from_the_start(void **state)
{
	static const char *const layouts[] = {"x--", "-x-", "-xx-", "x-x-"};

	for (size_t i = 0; i < BAD_CAUSES * 4; i++) {
		const char *pages = layouts[i / BAD_CAUSES];
		struct world world;
		int err;

		world_of(&world, 100 * strlen(pages));
		world.cause = bad_causes[i % BAD_CAUSES];
		world.page_only = true;
		err = -failure_errno(world.cause);
		world_set_bad_pages(&world, pages);
		assert_lists_the_good_pages(&world, err);
		assert_agents_of_good_pages_are_read(&world, err);
		assert_true(world_health(&world).failing);
		assert_false(world_health(&world).verified);
		world_set_bad_pages(&world, "");
		world.now_ms += 30000;
		world_list_all(&world);
		world_done(&world);
	}
	(void)state;
}

/* The agents of the other pages stay fresh. */
static void test_agents_of_a_page_that_goes_bad_are_served_stale_then_fail(void **state)
{
	for (size_t i = 0; i < BAD_CAUSES; i++) {
		struct world world;
		struct record *record;
		int64_t began_ms;

		world_of(&world, 350);
		world.cause = bad_causes[i];
		world_list_all(&world);
		began_ms = world.now_ms;
		world_set_bad_pages(&world, "-x--");
		for (size_t at = 0; at < world.count; at++)
			world.machines[at].version = 1;
		for (world.now_ms += TTL_MS; world.now_ms < began_ms + TTL_MS + STALE_MS;
		     world.now_ms += 20000) {
			world_list_all(&world);
			assert_int_equal(world_find(&world, "p150", &record), 0);
			assert_string_equal(record->agent->status, "v0");
			assert_int_equal(world_find(&world, "p250", &record), 0);
			assert_string_equal(record->agent->status, "v1");
			assert_int_equal(world_find(&world, "no-such-agent", NULL),
			                 -failure_errno(world.cause));
			assert_true(world_health(&world).stale);
			assert_false(world_health(&world).verified);
		}
		world.now_ms = began_ms + TTL_MS + STALE_MS + 1000;
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_agents_of_good_pages_are_read(&world, -failure_errno(world.cause));
		assert_int_equal(world.departed, 0);
		world.now_ms += 100 * TTL_MS;
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_int_equal(world.departed, 0);
		world_set_bad_pages(&world, "");
		world.now_ms += 30000;
		world_list_all(&world);
		assert_int_equal(world.departed, 0);
		assert_int_equal(world.joined, 350);
		assert_int_equal(world.changed, 350);
		world_done(&world);
	}
	(void)state;
}

/* The page was bad for longer than the other pages are stale when the API fails as a whole. */
static void test_agents_of_a_bad_page_beyond_stale_are_not_listed_when_the_api_fails(void **state)
{
	for (size_t i = 0; i < BAD_CAUSES; i++) {
		struct world world;
		int64_t began_ms;

		world_of(&world, 350);
		world.cause = bad_causes[i];
		world_list_all(&world);
		began_ms = world.now_ms;
		world_set_bad_pages(&world, "--x-");
		world.now_ms = began_ms + STALE_MS;
		world_list_all(&world);
		world.failing = true;
		for (world.now_ms += TTL_MS - 1; world.now_ms < began_ms + TTL_MS + 2 * STALE_MS;
		     world.now_ms += 1000) {
			struct listing listing;
			size_t listed = 0;

			world_list(&world, &listing);
			/* what is listed can be read */
			for (size_t at = 0; at < listing.count; at++)
				assert_int_equal(
					world_find(&world, listing.records[at]->name, NULL), 0);
			listed = listing.count;
			assert_int_equal(listing.err,
			                 listed == 350 ? 0 : -failure_errno(world.cause));
			listing_done(&listing);
			if (world.now_ms < began_ms + TTL_MS + STALE_MS)
				assert_int_equal(listed, 350);
			else if (world.now_ms < began_ms + TTL_MS + 2 * STALE_MS - 1000)
				assert_int_equal(listed, 250);
			assert_int_equal(world_find(&world, "no-such-agent", NULL),
			                 -failure_errno(world.cause));
		}
		world_done(&world);
	}
	(void)state;
}

/* An agent that may have moved to the bad page is kept until `stale` has passed. */
static void test_what_may_be_on_a_bad_page_is_not_treated_as_departed(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	world_list_all(&world);
	world_set_bad_pages(&world, "-x-");
	world_add(&world, 0, "early"); /* p99 moves to the bad page, p199 from it to the third */
	world.now_ms += TTL_MS;
	world_list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 301);
	listing_done(&listing);
	assert_int_equal(world.departed, 0);
	assert_int_equal(world_find(&world, "p99", NULL), 0);
	world_remove(&world, 10);
	for (int64_t waited_ms = 0; waited_ms < STALE_MS + 2 * TTL_MS; waited_ms += TTL_MS) {
		world.now_ms += TTL_MS;
		world_list(&world, &listing);
		listing_done(&listing);
	}
	world_set_bad_pages(&world, "");
	world.now_ms += 30000;
	world_list_all(&world);
	assert_in_range(world.departed, 1, 2);
	world_done(&world);
	(void)state;
}

/* Bad pages cost at most one request a second more than a healthy fleet. */
static void test_bad_pages_are_not_stormed(void **state)
{
	static const char *const layouts[] = {
		"-x-",
		"x--",
		"--x",
		"xxx",
		"-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-"};

	for (size_t i = 0; i < 2 * 6; i++) {
		const char *pages = layouts[i / 2];

		for (int warm = 0; warm <= 1; warm++) {
			struct world world;
			unsigned int requests;

			world_of(&world, 100 * strlen(pages) - 50);
			world.cause = i % 2 ? FAILURE_SERVER : FAILURE_MALFORMED;
			if (warm)
				world_list_all(&world);
			world_set_bad_pages(&world, pages);
			world.latency_ms = 50;
			requests = readers_storm(&world, 2);
			/* each page once in a ttl, and one request a second for the bad pages */
			assert_true(requests <= 12 * strlen(pages) + 2 * strlen(pages) + 120);
			world_done(&world);
		}
	}
	(void)state;
}

/* The requests are bounded even if nothing shows where the list ends. */
static void test_an_endless_run_of_bad_pages_ends(void **state)
{
	const struct {
		enum count count_reported;
		int64_t fixed_count;
		unsigned int most_requests; /* for one listing */
	} rows[] = {{COUNT_RIGHT, 0, 3 * 150},
	            {COUNT_ABSENT, 0, 3 + 3 * 24},
	            {COUNT_FIXED, INT64_C(1) << 62, 3 + 3 * 24}};

	for (size_t i = 0; i < 3 * BAD_CAUSES; i++) {
		struct world world;

		world_of(&world, 150 * 100);
		world.cause = bad_causes[i % BAD_CAUSES];
		world.count_reported = rows[i / BAD_CAUSES].count_reported;
		world.fixed_count = rows[i / BAD_CAUSES].fixed_count;
		for (size_t page = 4; page < 200; page++)
			world.bad_pages[page] = true;
		for (int round = 0; round < 4; round++) {
			struct listing listing;

			world_list(&world, &listing);
			assert_int_equal(listing.count, 300);
			assert_int_equal(listing.err, -failure_errno(world.cause));
			assert_true(listing.requests <= rows[i / BAD_CAUSES].most_requests);
			listing_done(&listing);
			assert_int_equal(world_find(&world, "no-such-agent", NULL),
			                 -failure_errno(world.cause));
			world.now_ms += 3000;
		}
		world_done(&world);
	}
	(void)state;
}

static void check_a_bad_page_recovers_without_a_new_event(bool expire)
{
	struct world world;

	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	world_set_bad_pages(&world, "-x-");
	assert_lists_the_good_pages(&world, -EREMOTEIO);
	assert_int_equal(world.joined, 200);
	world_set_bad_pages(&world, "");
	if (expire)
		fleet_expire(world.fleet);
	world.now_ms += 2 * TTL_MS;
	world_list_all(&world);
	/* agents that were never read before are as old as the mount, and did not join */
	assert_int_equal(world.joined, 200);
	for (int i = 0; i < 300; i += 50) {
		struct record *record;
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%d", i);
		assert_int_equal(world_find(&world, id, &record), 0);
		assert_int_equal(record->first_ns, MOUNTED_NS);
	}
	world_done(&world);
}

static void test_a_bad_page_that_recovers_is_listed_without_a_new_event(void **state)
{
	check_a_bad_page_recovers_without_a_new_event(false);
	check_a_bad_page_recovers_without_a_new_event(true);
	(void)state;
}

/* Agents that stay on the good pages are listed once, and memory stays bounded. */
static void test_churn_beside_a_bad_page_is_followed(void **state)
{
	struct world world;
	struct listing listing;

	world_init(&world, 200);
	world.per_page = 20;
	world.config.stale_ms = 30000;
	world.etags = true;
	for (int i = 0; i < 100; i++)
		world_join(&world);
	world_mount(&world);
	world_list_all(&world);
	world.cause = FAILURE_MALFORMED;
	world_set_bad_pages(&world, "----x-");
	world.drift = drift_one_for_one;
	world.drift_percent = 30;
	for (int round = 0; round < 300; round++) {
		world.now_ms += TTL_MS;
		world_list(&world, &listing);
		for (size_t i = 0; i < world.count; i++) {
			const struct machine *machine = &world.machines[i];

			/* agents close to the bad page move to and from it */
			if (machine->permanent && (i < 60 || i > 120))
				assert_in_range(listing_times(&listing, machine->id), 1, 1);
		}
		assert_true(listing.requests <= 60);
		listing_done(&listing);
		assert_true(world_health(&world).agents < 300 + 100);
	}
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bad_page_costs_its_own_agents_only),
		cmocka_unit_test(test_health_reports_bad_pages_until_they_arrive),
		cmocka_unit_test(test_the_first_listing_past_a_bad_page_is_complete),
		cmocka_unit_test(
			test_pages_whose_parts_are_refused_cost_their_own_agents_from_the_start),
		cmocka_unit_test(test_agents_of_a_page_that_goes_bad_are_served_stale_then_fail),
		cmocka_unit_test(
			test_agents_of_a_bad_page_beyond_stale_are_not_listed_when_the_api_fails),
		cmocka_unit_test(test_what_may_be_on_a_bad_page_is_not_treated_as_departed),
		cmocka_unit_test(test_bad_pages_are_not_stormed),
		cmocka_unit_test(test_an_endless_run_of_bad_pages_ends),
		cmocka_unit_test(test_a_bad_page_that_recovers_is_listed_without_a_new_event),
		cmocka_unit_test(test_churn_beside_a_bad_page_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
