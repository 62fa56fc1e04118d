/* SPDX-License-Identifier: MIT */
/* Conditional requests. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_unchanged_page_is_renewed_without_its_body(void **state)
{
	struct world world;
	struct record *record;
	struct fleet_health health;
	int64_t mtime_ns;

	world_of_etags(&world, 250);
	world.malformed = 2;
	world.count_reported = COUNT_FIXED;
	world.fixed_count = 256;
	assert_int_equal(world_list_all(&world), 3);
	assert_int_equal(world.conditional, 0);
	health = world_health(&world);
	for (unsigned int round = 1; round <= 3; round++) {
		world.now_ms += TTL_MS;
		mtime_ns = fleet_list_mtime_ns(world.fleet);
		assert_int_equal(world_find(&world, "p120", &record), 0);
		assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS);
		assert_int_equal(record->renewals, round);
		assert_int_equal(world_list_all(&world), 2);
		assert_int_equal(world_list_all(&world), 0);
		assert_int_equal(world.conditional, 3 * round);
		assert_int_equal(world.full_pages, 3);
		assert_int_equal(fleet_list_left_ms(world.fleet), TTL_MS);
		assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns);
	}
	assert_int_equal(world_health(&world).arrived, 12);
	assert_int_equal(world_health(&world).unchanged, 9);
	assert_int_equal(world_health(&world).sweeps, 4);
	assert_int_equal(world_health(&world).verified, health.verified);
	assert_int_equal(world_health(&world).malformed, health.malformed);
	assert_int_equal(world.changed, 0);
	assert_int_equal(world.joined, 250);
	/* One page changes, and only this one is sent with a body. */
	world.machines[120].version++;
	world.now_ms += TTL_MS;
	assert_int_equal(world_list_all(&world), 3);
	assert_int_equal(world.full_pages, 4);
	assert_int_equal(world.changed, 1);
	assert_int_equal(world_find(&world, "p120", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	world_done(&world);
	(void)state;
}

static void test_age_of_an_unchanged_page_shortens_its_ttl(void **state)
{
	struct world world;
	struct record *record;

	world_of_etags(&world, 50);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	world.now_ms += TTL_MS;
	world.age_ms = 4000;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), TTL_MS - 4000);
	world.age_ms = TTL_MS;
	world.outdated = true;
	world.now_ms += TTL_MS;
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_true(world_health(&world).stale);
	assert_int_equal(world.requests, 3);
	assert_int_equal(world.full_pages, 1);
	world_done(&world);
	(void)state;
}

/* An agent of this page was seen on another page since, so "unchanged" would not restore it. */
static void test_page_that_lost_an_agent_to_another_page_is_requested_without_validator(
	void **state)
{
	struct world world;
	struct machine kept;

	world_of_etags(&world, 150);
	world.count_reported = COUNT_ABSENT;
	world_list_all(&world);
	world.now_ms += TTL_MS;
	/* p100 moves to the first page for a while, and the second page is not read. */
	kept = world.machines[50];
	world.machines[50] = world.machines[100];
	world.machines[100] = kept;
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	world.machines[100] = world.machines[50];
	world.machines[50] = kept;
	world.conditional = 0;
	world.full_pages = 0;
	world.now_ms += TTL_MS;
	assert_int_equal(world_list_all(&world), 2);
	/* The first page has changed again. The second has not, but lost p100 in the meantime. */
	assert_int_equal(world.conditional, 1);
	assert_int_equal(world.full_pages, 2);
	/* From then on both pages are unchanged. */
	world.now_ms += TTL_MS;
	assert_int_equal(world_list_all(&world), 2);
	assert_int_equal(world.conditional, 3);
	assert_int_equal(world.full_pages, 2);
	world_done(&world);
	(void)state;
}

/* The agent is seen on another page while the conditional request is in flight. */
static void test_unchanged_response_is_discarded_when_an_agent_moved_meanwhile(void **state)
{
	struct world world;
	struct machine kept;
	struct record *record;
	struct query query;

	world_of_etags(&world, 150);
	world.count_reported = COUNT_ABSENT;
	world_list_all(&world);
	world.now_ms += TTL_MS;
	query = fleet_query(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p120", &query, &record), -EAGAIN);
	assert_int_equal(world.conditional, 1);
	/* The second page, which has not changed, is in flight. The first page shows p100. */
	world.order = LAST_FIRST;
	kept = world.machines[50];
	world.machines[50] = world.machines[100];
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	assert_int_equal(world.requests, 4);
	world.machines[50] = kept;
	world.full_pages = 0;
	world_deliver(&world, 0);
	assert_int_equal(world.full_pages, 0);
	assert_int_equal(world_health(&world).unchanged, 0);
	assert_int_equal(fleet_find(world.fleet, "p120", &query, &record), -EAGAIN);
	assert_int_equal(world.conditional, 2); /* the other was for the first page */
	world_deliver(&world, 0);
	assert_int_equal(world.full_pages, 1);
	assert_int_equal(fleet_find(world.fleet, "p120", &query, &record), 0);
	assert_false(world_health(&world).failing);
	world_done(&world);
	(void)state;
}

/* An unchanged page must not renew an agent that left and whose position another one took. */
static void test_unchanged_page_does_not_revive_departed_agents(void **state)
{
	struct world world;
	struct listing listing;

	world_of_etags(&world, 250);
	world_list_all(&world);
	for (int round = 0; round < 20; round++) {
		char id[ID_BYTES];

		world_remove(&world, 249);
		snprintf(id, sizeof(id), "n%d", round);
		world_add(&world, (size_t)round * 10, id);
		world.now_ms += TTL_MS;
		world_list(&world, &listing);
		listing_done(&listing);
		world.now_ms += TTL_MS;
		world_list_all(&world);
		world.now_ms += TTL_MS;
		world.full_pages = 0;
		world_list_all(&world);
		assert_int_equal(world.full_pages, 0);
	}
	assert_int_equal(world.departed, 20);
	world_done(&world);
	(void)state;
}

/* An agent on two pages belongs to the first. Next time it may be on the second page only. */
static void test_page_that_dropped_a_duplicate_is_requested_without_validator(void **state)
{
	struct world world;
	struct record *record;

	world_of_etags(&world, 150);
	world.count_reported = COUNT_ABSENT;
	snprintf(world.machines[120].id, ID_BYTES, "p20"); /* listed twice */
	assert_int_equal(world_find(&world, "p149", NULL), 0);
	snprintf(world.machines[20].id, ID_BYTES, "other");
	for (int round = 0; round < 3; round++) {
		world.now_ms += TTL_MS;
		world_list_all(&world);
		assert_int_equal(world_find(&world, "p20", &record), 0);
		assert_int_equal(record->page, 2);
	}
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unchanged_page_is_renewed_without_its_body),
		cmocka_unit_test(test_age_of_an_unchanged_page_shortens_its_ttl),
		cmocka_unit_test(
			test_page_that_lost_an_agent_to_another_page_is_requested_without_validator),
		cmocka_unit_test(
			test_unchanged_response_is_discarded_when_an_agent_moved_meanwhile),
		cmocka_unit_test(test_unchanged_page_does_not_revive_departed_agents),
		cmocka_unit_test(test_page_that_dropped_a_duplicate_is_requested_without_validator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
