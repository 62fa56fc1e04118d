/* SPDX-License-Identifier: MIT */

/*
 * Pages that stay bad, and agents that are on two pages, in the simulated world of the cache tests.
 */

int fleet_main(void);
#define main fleet_main
/* The simulated world is the beginning of that file.
 * NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/unit/test_fleet.c"
#undef main

static const enum failure_cause bad_causes[] = {
	FAILURE_MALFORMED, FAILURE_TRUNCATED,   FAILURE_OVERSIZED, FAILURE_SERVER,
	FAILURE_REQUEST,   FAILURE_UNREACHABLE, FAILURE_TIMEOUT,
};

#define BAD_CAUSES (sizeof(bad_causes) / sizeof(bad_causes[0]))

/* Asserts that a listing has every agent of the pages that are not bad, and ends with this. */
static void assert_lists_the_good_pages(struct world *world, int err)
{
	struct listing listing;
	size_t expected = 0;

	list(world, &listing);
	assert_int_equal(listing.err, err);
	for (size_t i = 0; i < world->count; i++) {
		bool bad = world->bad[i / world->per_page + 1];

		assert_int_equal(times_listed(&listing, world->machines[i].id), !bad);
		expected += !bad;
	}
	assert_int_equal(listing.count, expected);
	list_done(&listing);
}

static void world_mark_bad(struct world *world, const char *pages)
{
	memset(world->bad, 0, sizeof(world->bad));
	for (size_t i = 0; pages[i]; i++)
		world->bad[i + 1] = pages[i] == 'x';
}

/* The agents of a bad page get its error, the others are served, and no absence is believed. */
static void assert_agents_of_good_pages_are_read(struct world *world, int err)
{
	for (size_t i = 0; i < world->count; i += 50) {
		bool bad = world->bad[i / world->per_page + 1];

		assert_int_equal(find(world, world->machines[i].id, NULL), bad ? err : 0);
	}
	assert_int_equal(find(world, "nobody", NULL), err);
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

		/* Two pages that were never read, and nothing tells how far the list goes. */
		if (pages[1] == 'x' && pages[0] == 'x')
			continue;
		world_of(&world, 100 * strlen(pages) - 50);
		world.cause = cause;
		world_mark_bad(&world, pages);
		/* Pages that fail one after the other are held against the API at first. */
		for (int round = 0; round < 4; round++) {
			struct listing listing;

			list(&world, &listing);
			list_done(&listing);
			world.now_ms += 4000;
		}
		assert_lists_the_good_pages(&world, err);
		assert_agents_of_good_pages_are_read(&world, err);
		assert_false(health_of(&world).verified);
		assert_true(health_of(&world).failing);
		assert_int_equal(world.gone, 0);
		world_mark_bad(&world, "");
		world.now_ms += 30000;
		list_all(&world);
		assert_false(health_of(&world).failing);
		assert_true(health_of(&world).verified);
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
		world_mark_bad(&world, "-x-");
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_in_range(world.wants, 3, 5);
		world_done(&world);
	}
	(void)state;
}

/* Known agents of a page that goes bad are stale for a while; the others are fresh. */
static void test_agents_of_a_page_that_goes_bad_are_served_stale_then_fail(void **state)
{
	for (size_t i = 0; i < BAD_CAUSES; i++) {
		struct world world;
		struct record *record;
		int64_t began_ms;

		world_of(&world, 350);
		world.cause = bad_causes[i];
		list_all(&world);
		began_ms = world.now_ms;
		world_mark_bad(&world, "-x--");
		for (size_t at = 0; at < world.count; at++)
			world.machines[at].version = 1;
		for (world.now_ms += TTL_MS; world.now_ms < began_ms + TTL_MS + STALE_MS;
		     world.now_ms += 20000) {
			list_all(&world);
			assert_int_equal(find(&world, "p150", &record), 0);
			assert_string_equal(record->agent->status, "v0");
			assert_int_equal(find(&world, "p250", &record), 0);
			assert_string_equal(record->agent->status, "v1");
			assert_int_equal(find(&world, "nobody", NULL), -failure_errno(world.cause));
			assert_true(health_of(&world).stale);
			assert_false(health_of(&world).verified);
		}
		world.now_ms = began_ms + TTL_MS + STALE_MS + 1000;
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_agents_of_good_pages_are_read(&world, -failure_errno(world.cause));
		assert_int_equal(world.gone, 0);
		world.now_ms += 100 * TTL_MS;
		assert_lists_the_good_pages(&world, -failure_errno(world.cause));
		assert_int_equal(world.gone, 0);
		world_mark_bad(&world, "");
		world.now_ms += 30000;
		list_all(&world);
		assert_int_equal(world.gone, 0);
		assert_int_equal(world.joined, 350);
		assert_int_equal(world.changed, 350);
		world_done(&world);
	}
	(void)state;
}

/* An agent that may have moved to the bad page is kept; after `stale` it leaves. */
static void test_what_may_be_on_a_bad_page_is_not_treated_as_departed(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	list_all(&world);
	world_mark_bad(&world, "-x-");
	world_add(&world, 0, "early"); /* p99 moves to the bad page, p199 from it to the third */
	world.now_ms += TTL_MS;
	list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 301);
	list_done(&listing);
	assert_int_equal(world.gone, 0);
	assert_int_equal(find(&world, "p99", NULL), 0);
	world_remove(&world, 10);
	for (int64_t waited_ms = 0; waited_ms < STALE_MS + 2 * TTL_MS; waited_ms += TTL_MS) {
		world.now_ms += TTL_MS;
		list(&world, &listing);
		list_done(&listing);
	}
	world_mark_bad(&world, "");
	world.now_ms += 30000;
	list_all(&world);
	assert_in_range(world.gone, 1, 2);
	world_done(&world);
	(void)state;
}

/* So many requests as a healthy fleet of this size costs, whatever is bad. */
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
			unsigned int wants;

			world_of(&world, 100 * strlen(pages) - 50);
			world.cause = i % 2 ? FAILURE_SERVER : FAILURE_MALFORMED;
			if (warm)
				list_all(&world);
			world_mark_bad(&world, pages);
			world.latency_ms = 50;
			wants = storm(&world, 2);
			if (getenv("SHOW"))
				print_message("%s cause %d warm %d: %u, %u passes\n", pages,
				              world.cause, warm, wants,
				              (unsigned int)health_of(&world).passes);
			/* each page once a ttl, and one request a second for the bad ones */
			assert_true(wants <= 12 * strlen(pages) + 2 * strlen(pages) + 120);
			world_done(&world);
		}
	}
	(void)state;
}

/* Where the list ends is not known: the requests are bounded all the same. */
static void test_an_endless_run_of_bad_pages_ends(void **state)
{
	const struct {
		enum count count_told;
		int64_t fixed_count;
	} rows[] = {{COUNT_RIGHT, 0}, {COUNT_ABSENT, 0}, {COUNT_FIXED, INT64_C(1) << 62}};

	for (size_t i = 0; i < 3 * BAD_CAUSES; i++) {
		struct world world;

		world_of(&world, 150 * 100);
		world.cause = bad_causes[i % BAD_CAUSES];
		world.count_told = rows[i / BAD_CAUSES].count_told;
		world.fixed_count = rows[i / BAD_CAUSES].fixed_count;
		for (size_t page = 4; page < 200; page++)
			world.bad[page] = true;
		for (int round = 0; round < 4; round++) {
			struct listing listing;

			list(&world, &listing);
			assert_int_equal(listing.count, 300);
			assert_int_equal(listing.err, -failure_errno(world.cause));
			assert_true(listing.wants <= 3 + 3 * 24);
			list_done(&listing);
			assert_int_equal(find(&world, "nobody", NULL), -failure_errno(world.cause));
			world.now_ms += 3000;
		}
		world_done(&world);
	}
	(void)state;
}

static void test_a_bad_page_that_recovers_is_listed_without_a_new_event(void **state)
{
	struct world world;

	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	world_mark_bad(&world, "-x-");
	assert_lists_the_good_pages(&world, -EREMOTEIO);
	assert_int_equal(world.joined, 200);
	world_mark_bad(&world, "");
	world.now_ms += 2 * TTL_MS;
	list_all(&world);
	/* what had never been read is as old as the mount, and did not join */
	assert_int_equal(world.joined, 200);
	for (int i = 0; i < 300; i += 50) {
		struct record *record;
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%d", i);
		assert_int_equal(find(&world, id, &record), 0);
		assert_int_equal(record->first_ns, MOUNTED_NS);
	}
	world_done(&world);
	(void)state;
}

/* Churn beside a bad page: who stays on the good ones is listed once, and memory stays bounded. */
static void test_churn_beside_a_bad_page_is_followed(void **state)
{
	struct world world;
	struct listing listing;

	world_init(&world, 200);
	world.per_page = 20;
	world.config.stale_ms = 30000;
	world.recognised = true;
	for (int i = 0; i < 100; i++)
		world_join(&world);
	world_mount(&world);
	list_all(&world);
	world.cause = FAILURE_MALFORMED;
	world_mark_bad(&world, "----x-");
	world.shift = shift_one_for_one;
	world.shift_percent = 30;
	for (int round = 0; round < 300; round++) {
		world.now_ms += TTL_MS;
		list(&world, &listing);
		for (size_t i = 0; i < world.count; i++) {
			const struct machine *machine = &world.machines[i];

			/* not at the rim of the bad page, where they come and go */
			if (machine->permanent && (i < 60 || i > 120))
				assert_in_range(times_listed(&listing, machine->id), 1, 1);
		}
		assert_true(listing.wants <= 60);
		list_done(&listing);
		assert_true(health_of(&world).agents < 300 + 100);
	}
	world_done(&world);
	(void)state;
}

/* Agents on two pages */

/* What two readers, of either page, see of an agent that is on both, and what is told of it. */
static void two_pages(int64_t ttl_ms, enum order order, bool recognised, const size_t *copies,
                      size_t count)
{
	struct world world;
	struct record *record;

	world_init(&world, 600);
	world.config.ttl_ms = ttl_ms;
	world.recognised = recognised;
	world.order = order;
	for (size_t i = 0; i < count; i++)
		world_add(&world, copies[i], "p10")->version = (unsigned int)(7 + i);
	world_mount(&world);
	world.latency_ms = 40;
	for (int round = 0; round < 40; round++) {
		static const char *const ids[] = {"p250", "p10", "p20", "p455", "p350"};
		struct listing listing;

		if (round % 7 == 0) {
			list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(times_listed(&listing, "p10"), 1);
			list_done(&listing);
		}
		world.now_ms += ttl_ms;
		assert_int_equal(find(&world, ids[round % 5], NULL), 0);
		assert_int_equal(find(&world, "p10", &record), 0);
		assert_string_equal(record->agent->status, "v0");
	}
	assert_int_equal(world.changed, 0);
	assert_int_equal(world.gone, 0);
	assert_int_equal(world.duplicates_told, 1);
	assert_true(health_of(&world).duplicates >= 6);
	world_done(&world);
}

static void test_an_agent_on_several_pages_is_the_first_of_them(void **state)
{
	static const size_t copies[][3] = {{250}, {250, 460}, {250, 251, 460}};

	for (size_t count = 1; count <= 3; count++)
		for (int order = FIRST_FIRST; order <= ANY_FIRST; order++)
			for (int recognised = 0; recognised <= 1; recognised++) {
				two_pages(TTL_MS, (enum order)order, recognised, copies[count - 1],
				          count);
				two_pages(100, (enum order)order, recognised, copies[count - 1],
				          count);
			}
	(void)state;
}

/* An agent that moves is followed, to a later page and to an earlier one, and is no duplicate. */
static void test_an_agent_that_moves_between_pages_is_followed(void **state)
{
	static const size_t places[] = {250, 455, 5, 350, 20, 599, 0};

	for (int with_list = 0; with_list <= 1; with_list++) {
		struct world world;
		struct record *record;
		size_t at = 10;

		world_of(&world, 600);
		list_all(&world);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			char status[24];

			world_move(&world, at, places[i]);
			at = places[i];
			world.machines[at].version = (unsigned int)i + 1;
			world.now_ms += TTL_MS;
			/* the page that it moved to comes first */
			assert_int_equal(
				find(&world, world.machines[at > 300 ? at - 3 : at + 3].id, NULL),
				0);
			if (with_list)
				assert_in_range(list_all(&world), 0, 20);
			assert_int_equal(find(&world, "p10", &record), 0);
			snprintf(status, sizeof(status), "v%zu", i + 1);
			assert_string_equal(record->agent->status, status);
		}
		assert_int_equal(world.gone, 0);
		assert_int_equal(world.duplicates_told, 0);
		world_done(&world);
	}
	(void)state;
}

/* Stale data while the API is slow */

static void test_expired_data_of_a_slow_api_is_said_to_be_stale(void **state)
{
	struct world world;

	world_of(&world, 300);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.latency_ms = 60000;
	assert_false(health_of(&world).stale);
	assert_int_equal(find(&world, "p1", NULL), 0);
	assert_true(health_of(&world).stale);
	assert_false(health_of(&world).failing);
	/* until the page has come */
	world.latency_ms = 0;
	deliver(&world, 0);
	assert_false(health_of(&world).stale);
	/* and likewise a listing */
	world.latency_ms = 60000;
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_true(health_of(&world).stale);
	while (world.in_flight > 0)
		deliver(&world, 0);
	assert_false(health_of(&world).stale);
	world_done(&world);
	(void)state;
}

/* Names that are not there */

static void test_a_name_that_the_last_list_lacked_is_denied_after_two_seconds(void **state)
{
	for (int stale = 0; stale <= 1; stale++) {
		struct world world;
		int64_t now_ms;

		world_init(&world, 300);
		world.config.stale_ms = stale ? STALE_MS : 0;
		world_mount(&world);
		list_all(&world);
		world.now_ms += TTL_MS;
		world.latency_ms = 5000;
		now_ms = world.now_ms;
		assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
		assert_int_equal(world.now_ms - now_ms, stale ? 2000 : 10000);
		assert_int_equal(health_of(&world).stale, stale);
		world_done(&world);
	}
	(void)state;
}

static void test_a_name_that_no_list_can_deny_is_waited_for(void **state)
{
	struct world world;
	struct look look;
	struct record *record;

	/* no list yet */
	world_of(&world, 300);
	world.latency_ms = 5000;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "nobody", &look, &record), -EAGAIN);
	assert_int_equal(look.wake_ms, INT64_MAX);
	world_done(&world);
	/* a list that lacks a page */
	world_of(&world, 300);
	world.cause = FAILURE_MALFORMED;
	world_mark_bad(&world, "-x-");
	assert_lists_the_good_pages(&world, -EREMOTEIO);
	world_mark_bad(&world, "");
	world.now_ms += 2 * TTL_MS;
	world.latency_ms = 5000;
	assert_int_equal(find(&world, "p150", NULL), 0);
	world_done(&world);
	/* a list that is too old */
	world_of(&world, 300);
	list_all(&world);
	world_add(&world, 250, "new");
	world.now_ms += TTL_MS + STALE_MS;
	world.latency_ms = 5000;
	assert_int_equal(find(&world, "new", NULL), 0);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bad_page_costs_its_own_agents_only),
		cmocka_unit_test(test_the_first_listing_past_a_bad_page_is_complete),
		cmocka_unit_test(test_agents_of_a_page_that_goes_bad_are_served_stale_then_fail),
		cmocka_unit_test(test_what_may_be_on_a_bad_page_is_not_treated_as_departed),
		cmocka_unit_test(test_bad_pages_are_not_stormed),
		cmocka_unit_test(test_an_endless_run_of_bad_pages_ends),
		cmocka_unit_test(test_a_bad_page_that_recovers_is_listed_without_a_new_event),
		cmocka_unit_test(test_churn_beside_a_bad_page_is_followed),
		cmocka_unit_test(test_an_agent_on_several_pages_is_the_first_of_them),
		cmocka_unit_test(test_an_agent_that_moves_between_pages_is_followed),
		cmocka_unit_test(test_expired_data_of_a_slow_api_is_said_to_be_stale),
		cmocka_unit_test(test_a_name_that_the_last_list_lacked_is_denied_after_two_seconds),
		cmocka_unit_test(test_a_name_that_no_list_can_deny_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
