/* SPDX-License-Identifier: MIT */
/* Listings of a fleet that drifts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_drift.h"
#include "tests/unit/fleet_world.h"

#define MOST_NUMBERED 100000 /* machines that join during a test */

struct drift {
	const char *what;
	void (*step)(struct world *world);
	unsigned int percent; /* of the requests that a step happens before */
	bool shuffle;         /* the whole list, between two listings */
	bool at_request;
	enum order order;
	unsigned int max_connections;
};

/* Fails the test if the listing of this round has a machine that left before the last round. */
static void check_departed(const struct world *world, const struct listing *listing,
                           unsigned int *there_at, unsigned int round)
{
	for (size_t i = 0; i < world->count; i++)
		if (world->machines[i].id[0] == 't')
			there_at[strtoul(world->machines[i].id + 1, NULL, 10)] = round;
	for (size_t i = 0; i < listing->count; i++) {
		const char *name = listing->records[i]->name;
		unsigned int *at = &there_at[strtoul(name + 1, NULL, 10)];

		if (name[0] != 't')
			continue;
		if (*at == 0)
			*at = round; /* it joined and left within this round */
		assert_in_range(round - *at, 0, 1);
	}
	assert_true(world->numbered < MOST_NUMBERED);
}

static void check_drift(const struct drift *drift, bool etags, bool large_agents, uint64_t seed)
{
	struct world world;
	unsigned int *there_at = calloc(MOST_NUMBERED, sizeof(*there_at));

	assert_non_null(there_at);
	world_init(&world, 200);
	world.random = seed * 0x9e3779b97f4a7c15;
	world.per_page = 20;
	world.config.max_connections = drift->max_connections;
	world.at_request = drift->at_request;
	world.large_agents = large_agents;
	world.order = drift->order;
	world.drift_percent = drift->percent;
	world.etags = etags;
	for (size_t i = 0; i < 100; i++)
		world_join(&world);
	world_mount(&world);
	for (unsigned int round = 1; round <= 300; round++) {
		struct listing listing;
		unsigned int pages = (unsigned int)(world.count + 19) / 20;
		char id[ID_BYTES];

		world.drift = round == 1 ? NULL : drift->step;
		if (drift->shuffle)
			drift_shuffle(&world);
		world_list(&world, &listing);
		assert_int_equal(listing.err, 0);
		world_check_listing(&world, &listing);
		check_departed(&world, &listing, there_at, round);
		/* three passes, three rechecks, and pages read ahead beyond the end */
		assert_true(listing.requests <= 6 * (pages + drift->max_connections));
		listing_done(&listing);
		snprintf(id, sizeof(id), "p%zu", world_random_below(&world, 200));
		world.now_ms += TTL_MS;
		assert_int_equal(world_find(&world, id, NULL), 0);
		world.now_ms += TTL_MS;
	}
	free(there_at);
	world_done(&world);
}

/* Between the requests for the first and the second page one machine leaves and another joins, so
 * p20 moves from the second page to the first while total_count stays. */
static void drift_first_for_last(struct world *world)
{
	if (world->requests_of[1] == 2 && strcmp(world->machines[0].id, "first") == 0) {
		world_remove(world, 0);
		world_add(world, world->count, "last");
	}
}

static void test_agents_that_stay_are_listed_exactly_once_while_the_list_drifts(void **state)
{
	const struct drift drifts[] = {
		{"joins", drift_join, 2, false, false, FIRST_FIRST, 6},
		{"joins, late responses", drift_join, 2, false, true, LAST_FIRST, 6},
		{"queue", drift_queue, 30, false, false, FIRST_FIRST, 6},
		{"queue, any order", drift_queue, 30, false, true, ANY_FIRST, 3},
		{"stack", drift_stack, 30, false, false, FIRST_FIRST, 6},
		{"stack, any order", drift_stack, 30, false, true, ANY_FIRST, 3},
		{"join or leave", drift_join_or_leave, 30, false, false, FIRST_FIRST, 6},
		{"one for one", drift_one_for_one, 30, false, false, FIRST_FIRST, 6},
		{"one for one, one by one", drift_one_for_one, 30, false, false, FIRST_FIRST, 1},
		{"one for one, late responses", drift_one_for_one, 30, false, true, LAST_FIRST, 6},
		{"one for one, any order", drift_one_for_one, 30, false, true, ANY_FIRST, 6},
		{"one for one, seldom", drift_one_for_one, 5, false, true, ANY_FIRST, 6},
		{"shuffled", NULL, 0, true, false, FIRST_FIRST, 6},
		{"shuffled, any order", NULL, 0, true, true, ANY_FIRST, 6},
	};

	for (size_t i = 0; i < sizeof(drifts) / sizeof(drifts[0]); i++) {
		print_message("# %s\n", drifts[i].what);
		/* The seeds also cover ETags and large agents, which must make no difference. */
		for (uint64_t seed = 1; seed <= 4; seed++)
			check_drift(&drifts[i], seed % 2, seed > 2, seed);
	}
	(void)state;
}

static void test_matching_total_count_does_not_hide_a_missed_agent(void **state)
{
	struct world world;
	struct listing listing;

	world_init(&world, 60);
	world.per_page = 20;
	snprintf(world.machines[0].id, ID_BYTES, "first");
	world.machines[0].permanent = false;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world.drift = drift_first_for_last;
	world.drift_percent = 100;
	world_list(&world, &listing);
	world_check_listing(&world, &listing);
	assert_string_equal(world.machines[0].id, "p1");
	assert_int_equal(listing_times(&listing, "p20"), 1);
	assert_int_equal(listing_times(&listing, "last"), 1);
	assert_int_equal(listing_times(&listing, "first"), 1);
	assert_int_equal(listing.requests,
	                 3 + 3); /* a pass, and a recheck of the pages around p20 */
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

/* An agent that another reader's request found on a page already listed needs no recheck. */
static void test_agent_that_moved_behind_the_reader_is_listed(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_init(&world, 60);
	world.per_page = 20;
	world.config.ttl_ms = 100;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += 100;
	world.requests = 0;
	assert_int_equal(world_list_some(&world, &cursor, 20, &listing), 1);
	assert_int_equal(world.requests, 1);
	world_remove(&world, 0);
	world_move(&world, 49, 0); /* p50, from the third page to the first */
	world.now_ms += 100;
	assert_int_equal(world_find(&world, "p3", NULL), 0);
	assert_int_equal(world.requests, 2);
	assert_int_equal(world_list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	assert_int_equal(world.requests, 4);
	assert_int_equal(listing.count, 60);
	assert_int_equal(listing_times(&listing, "p50"), 1);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_agents_that_stay_are_listed_exactly_once_while_the_list_drifts),
		cmocka_unit_test(test_matching_total_count_does_not_hide_a_missed_agent),
		cmocka_unit_test(test_agent_that_moved_behind_the_reader_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
