/* SPDX-License-Identifier: MIT */
/* Agents that join, move and leave. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static unsigned int cost_of(struct world *world, const char *id, int expected)
{
	unsigned int requests = world->requests;

	assert_int_equal(world_find(world, id, NULL), expected);
	return world->requests - requests;
}

static void test_agent_that_moved_a_page_is_found_in_few_requests(void **state)
{
	struct world world;

	world_of(&world, 1042);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world_move(&world, 450, 350);
	assert_in_range(cost_of(&world, "p450", 0), 1, 3);
	world.now_ms += TTL_MS;
	world_move(&world, 350, 450);
	assert_in_range(cost_of(&world, "p450", 0), 1, 3);
	world.now_ms += TTL_MS;
	assert_int_equal(cost_of(&world, "p450", 0), 1);
	world.now_ms += TTL_MS;
	world_move(&world, 450, 1000);
	assert_in_range(cost_of(&world, "p450", 0), 3, 11);
	world.now_ms += TTL_MS;
	assert_int_equal(cost_of(&world, "p450", 0), 1);
	assert_int_equal(world.departed, 0);
	world_done(&world);
	(void)state;
}

static void test_agent_that_left_is_not_found_after_the_ttl(void **state)
{
	struct world world;
	struct record *record, *back;

	world_of(&world, 1042);
	world_list_all(&world);
	assert_int_equal(world_find(&world, "p450", &record), 0);
	record_ref(record);
	world_remove(&world, 450);
	assert_int_equal(world_find(&world, "p450", &back), 0);
	world.now_ms += TTL_MS;
	assert_in_range(cost_of(&world, "p450", -ENOENT), 11, 14);
	assert_int_equal(world.departed, 1);
	assert_string_equal(world.departed_id, "p450");
	assert_false(record->present);
	assert_int_equal(world_renew(&world, record), -ENOENT);
	assert_int_equal(cost_of(&world, "p450", -ENOENT), 0);
	assert_int_equal(world_list_all(&world), 0);
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world.departed, 1);

	world_add(&world, 450, "p450");
	world.now_ms += TTL_MS;
	assert_int_equal(world_find(&world, "p450", &back), 0);
	assert_ptr_not_equal(back, record);
	assert_int_equal(back->first_ns, world_wall_ns(&world));
	assert_int_equal(world_renew(&world, record), -ENOENT);
	record_unref(record);
	assert_int_equal(world_health(&world).agents, 1042);
	world_done(&world);
	(void)state;
}

static void test_listing_after_the_ttl_omits_agents_that_left(void **state)
{
	struct world world;

	world_of(&world, 1042);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world_remove(&world, 1041);
	world_remove(&world, 500);
	world_remove(&world, 0);
	/* a pass of 11 pages, and a recheck of pages 1, 2, 5, 6, 7, 10 and 11 */
	assert_int_equal(world_list_all(&world), 11 + 7);
	assert_int_equal(world.departed, 3);
	world.now_ms += TTL_MS;
	assert_int_equal(world_list_all(&world), 11);
	world_done(&world);
	(void)state;
}

/* Some pages expired and show the list as it is now, others are fresh and show agents that moved to
 * the former ones. */
static void test_pages_without_a_new_agent_do_not_end_a_list_that_was_longer(void **state)
{
	struct world world;

	for (unsigned int expired = 1; expired <= 20; expired++) {
		world_init(&world, 2000);
		world.config.max_connections = 1;
		world_mount(&world);
		world.latency_ms = 100;
		world_list_all(&world);
		world.now_ms += TTL_MS - (20 - expired) * 100;
		world.latency_ms = 1;
		for (unsigned int i = 0; i < 340; i++)
			world_remove(&world, 0);
		for (unsigned int i = 0; i < 3; i++) {
			struct listing listing;

			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			for (unsigned int p = 340; p < 2000; p++) {
				char id[ID_BYTES];

				snprintf(id, sizeof(id), "p%u", p);
				assert_int_equal(listing_times(&listing, id), 1);
			}
			listing_done(&listing);
			world.now_ms += TTL_MS;
		}
		assert_int_equal(world.departed, 340);
		assert_int_equal(world.departed_wrongly, 0);
		world_done(&world);
	}
	(void)state;
}

static void test_each_change_is_reported_once(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 250);
	world_list_all(&world);
	assert_int_equal(world.joined, 250);
	world.machines[7].version++;
	world.machines[120].version++;
	world_remove(&world, 30);
	world_add(&world, 60, "new");
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world.changed, 2);
	assert_int_equal(world.joined, 251);
	assert_int_equal(world.departed, 1);
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world.changed, 2);

	/* A change that cannot be reported is not applied, and is reported later. */
	world_remove(&world, 10);
	world.now_ms += TTL_MS;
	world.changes_fail = true;
	world_list(&world, &listing);
	assert_int_equal(listing.err, -ENOMEM);
	listing_done(&listing);
	assert_int_equal(world_health(&world).agents, 250);
	world.changes_fail = false;
	world_list_all(&world);
	assert_int_equal(world.departed, 2);
	world_done(&world);
	(void)state;
}

/* Page 1 arrives with changes, which the port cannot report. */
static void arrive_without_memory_to_report(struct world *world)
{
	struct query query;
	struct record *record;

	world->now_ms += TTL_MS;
	query = fleet_query(world->fleet);
	assert_int_equal(fleet_find(world->fleet, "p1", &query, &record), -EAGAIN);
	assert_int_equal(world->in_flight, 1);
	world->in_flight = 0;
	world->changes_fail = true;
	assert_int_equal(world_arrive(world, 1, world_page(world, 1)), -ENOMEM);
	fleet_failed(world->fleet, 1, &(struct failure){.cause = FAILURE_MEMORY});
}

static void test_page_is_requested_again_when_a_change_cannot_be_reported(void **state)
{
	struct world world;

	world_of(&world, 3);
	world_list_all(&world);
	world.machines[1].version++;
	world_add(&world, 3, "new");
	arrive_without_memory_to_report(&world);
	assert_int_equal(world_health(&world).agents, 3);
	world.changes_fail = false;
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world.changed, 1);
	assert_int_equal(world.joined, 4);
	world_done(&world);
	(void)state;
}

/* The value has its old time, and keeps it if it is as before when the page arrives again. */
static void test_change_that_cannot_be_reported_moves_no_modification_time(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 3);
	world_list_all(&world);
	world.machines[1].version++;
	arrive_without_memory_to_report(&world);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_string_equal(record->agent->status, "v0");
	assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE), MOUNTED_NS);
	world.changes_fail = false;
	world.machines[1].version--;
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE), MOUNTED_NS);
	assert_int_equal(world.changed, 0);
	world_done(&world);
	(void)state;
}

static void test_all_agents_may_leave_at_once(void **state)
{
	struct world world;

	world_of(&world, 1042);
	world_list_all(&world);
	world.count = 0;
	world.now_ms += TTL_MS;
	assert_in_range(world_list_all(&world), 1, 4);
	assert_int_equal(world.departed, 1042);
	assert_int_equal(world_health(&world).agents, 0);
	world_done(&world);
	(void)state;
}

/* It moves to later and to earlier pages, and is not taken for a duplicate. */
static void test_an_agent_that_moves_between_pages_is_followed(void **state)
{
	static const size_t places[] = {250, 455, 5, 350, 20, 599, 0};

	for (int with_list = 0; with_list <= 1; with_list++) {
		struct world world;
		struct record *record;
		size_t at = 10;

		world_of(&world, 600);
		world_list_all(&world);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			char status[24];

			world_move(&world, at, places[i]);
			at = places[i];
			world.machines[at].version = (unsigned int)i + 1;
			world.now_ms += TTL_MS;
			/* the page that it moved to comes first */
			assert_int_equal(world_find(&world,
			                            world.machines[at > 300 ? at - 3 : at + 3].id,
			                            NULL),
			                 0);
			if (with_list)
				assert_in_range(world_list_all(&world), 0, 20);
			assert_int_equal(world_find(&world, "p10", &record), 0);
			snprintf(status, sizeof(status), "v%zu", i + 1);
			assert_string_equal(record->agent->status, status);
		}
		assert_int_equal(world.departed, 0);
		assert_int_equal(world.duplicates, 0);
		world_done(&world);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agent_that_moved_a_page_is_found_in_few_requests),
		cmocka_unit_test(test_agent_that_left_is_not_found_after_the_ttl),
		cmocka_unit_test(test_listing_after_the_ttl_omits_agents_that_left),
		cmocka_unit_test(test_pages_without_a_new_agent_do_not_end_a_list_that_was_longer),
		cmocka_unit_test(test_each_change_is_reported_once),
		cmocka_unit_test(test_page_is_requested_again_when_a_change_cannot_be_reported),
		cmocka_unit_test(test_change_that_cannot_be_reported_moves_no_modification_time),
		cmocka_unit_test(test_all_agents_may_leave_at_once),
		cmocka_unit_test(test_an_agent_that_moves_between_pages_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
