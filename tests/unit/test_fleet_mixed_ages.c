/* SPDX-License-Identifier: MIT */
/*
 * Listings from pages of different ages: some have expired and show the list as it is now, others
 * are within their ttl and show it as it was, and pages of agents joined or left in between.
 *
 *	build/tests/test-fleet_mixed_ages [FIRST_SEED [SEEDS]]
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_drift.h"
#include "tests/unit/fleet_world.h"

#define SEEDS 300
#define STEPS 60
#define PAGE  10 /* agents */

static uint64_t first_seed = 1, seeds = SEEDS;

/* Pages whose content is older than that of the others, as bits: bit 0 is page 1. */
struct shift {
	const char *what;
	unsigned int pages;
	unsigned int old_pages;
	int joined; /* pages of agents that join at the front; negative: that leave there */
	enum count count_reported; /* COUNT_FIXED: as before they joined or left */
};

/* Lists, lets agents join or leave, and lists again when all pages but the old ones have expired.
 * Agents that stay must be listed in both, and in a third listing after everything expired. */
static void check_shift(const struct shift *shift, size_t staying)
{
	size_t leaving = shift->joined < 0 ? (size_t)-shift->joined * PAGE : 0;
	struct world world;
	struct listing listing;

	print_message("# %s\n", shift->what);
	world_init(&world, staying);
	world.per_page = PAGE;
	world.count_reported = shift->count_reported;
	drift_join_many(&world, 0, leaving);
	world.fixed_count = (int64_t)world.count;
	world_mount(&world);
	world_list_all(&world);
	world.now_ms += TTL_MS / 2;
	for (unsigned int i = 0; i < shift->pages; i++)
		if (shift->old_pages >> i & 1)
			assert_int_equal(world_arrive(&world, i + 1, world_page(&world, i + 1)), 0);
	world.now_ms += TTL_MS / 2;
	if (shift->joined < 0)
		drift_leave_many(&world, 0, leaving);
	else
		drift_join_many(&world, 0, (size_t)shift->joined * PAGE + PAGE / 2);
	for (int round = 0; round < 2; round++) {
		world_list(&world, &listing);
		assert_int_equal(listing.err, 0);
		world_check_listing(&world, &listing);
		listing_done(&listing);
		assert_int_equal(world.departed_wrongly, 0);
		world.now_ms += TTL_MS;
	}
	if (shift->joined < 0)
		assert_int_equal(world.departed, leaving);
	world_done(&world);
}

static void test_list_that_grew_is_read_to_its_end(void **state)
{
	const struct shift shifts[] = {
		{"the last page is old", 3, 0x4, 2, COUNT_RIGHT},
		{"the last page is old, no count", 3, 0x4, 2, COUNT_ABSENT},
		{"the first page is new", 3, 0x6, 4, COUNT_RIGHT},
		{"the first page is new, no count", 3, 0x6, 4, COUNT_ABSENT},
		{"the last half is new", 10, 0x1f, 5, COUNT_RIGHT},
		{"the last half is new, no count", 10, 0x1f, 5, COUNT_ABSENT},
		{"the count lags", 3, 0, 2, COUNT_FIXED},
		{"the count lags, the last page is old", 3, 0x4, 2, COUNT_FIXED},
	};

	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++)
		for (size_t last = 0; last < PAGE; last += PAGE / 2)
			check_shift(&shifts[i], (size_t)shifts[i].pages * PAGE - last);
	(void)state;
}

static void test_agents_that_moved_to_an_old_page_are_found(void **state)
{
	const struct shift shifts[] = {
		{"page 2 is old", 20, 0x2, -4, COUNT_RIGHT},
		{"page 9 is old", 20, 0x100, -6, COUNT_RIGHT},
		{"page 9 is old, no count", 20, 0x100, -6, COUNT_ABSENT},
		{"page 9 is old, the count lags", 20, 0x100, -6, COUNT_FIXED},
		{"page 9 is old, many join", 20, 0x100, 6, COUNT_ABSENT},
		{"every third page is old", 20, 0x49249, -7, COUNT_ABSENT},
		{"all pages but the last are old", 20, 0x7ffff, -5, COUNT_ABSENT},
	};

	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		size_t leaving = shifts[i].joined < 0 ? (size_t)-shifts[i].joined : 0;

		for (size_t last = 0; last < PAGE; last += PAGE / 2)
			check_shift(&shifts[i], (shifts[i].pages - leaving) * PAGE - last);
	}
	(void)state;
}

/* Random histories */

struct history {
	struct world world;
	struct listing paused; /* of a reader that pauses in its listing */
	uint64_t cursor;       /* of that reader, or 0 without one */
};

/* Between one agent and four pages join or leave, at the front or anywhere. */
static void history_shift(struct world *world)
{
	size_t most = world_random_below(world, 2) ? 4 * PAGE : 2;
	size_t count = 1 + world_random_below(world, most);
	size_t position =
		world_random_below(world, 2) ? 0 : world_random_below(world, world->count + 1);

	if (world_random_below(world, 2) && world->count < 40 * (size_t)PAGE)
		drift_join_many(world, position, count);
	else
		drift_leave_many(world, position, count);
}

static void history_begin(struct history *history, uint64_t seed)
{
	static const unsigned int connections[] = {1, 2, 6};
	static const unsigned int percents[] = {0, 0, 0, 1, 3};
	static const enum count counts[] = {COUNT_RIGHT, COUNT_RIGHT, COUNT_ABSENT, COUNT_FIXED};
	struct world *world = &history->world;

	*history = (struct history){0};
	world_init(world, 0);
	world->random = seed * UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned int i = 0, count = 10 + (unsigned int)world_random_below(world, 120);
	     i < count; i++) {
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%u", i);
		world_add(world, world->count, id)->permanent = true;
	}
	for (size_t i = world_random_below(world, 6); i > 0; i--)
		drift_join_many(world, world_random_below(world, world->count + 1),
		                world_random_below(world, 4 * PAGE));
	world->per_page = PAGE;
	world->config.max_connections = connections[world_random_below(world, 3)];
	world->count_reported = counts[world_random_below(world, 4)];
	world->fixed_count = (int64_t)world->count;
	world->etags = world_random_below(world, 2);
	world->at_request = world_random_below(world, 2);
	world->order = (enum order)world_random_below(world, 3);
	world->latency_ms = (int64_t)world_random_below(world, 3) * TTL_MS / 100;
	world_mount(world);
	world_list_all(world);
	world->drift = history_shift;
	world->drift_percent = percents[world_random_below(world, 5)];
}

static void history_check_listing(const struct history *history, struct listing *listing)
{
	assert_int_equal(listing->err, 0);
	world_check_listing(&history->world, listing);
	listing_done(listing);
}

static void history_list(struct history *history)
{
	struct listing listing;

	world_list(&history->world, &listing);
	history_check_listing(history, &listing);
}

/* Continues the listing of the reader that pauses. */
static void history_list_some(struct history *history)
{
	size_t most = world_random_below(&history->world, 8 * (size_t)PAGE) + 1;
	int more = world_list_some(&history->world, &history->cursor, most, &history->paused);

	assert_in_range(more, 0, 1);
	if (more)
		return;
	history_check_listing(history, &history->paused);
	history->cursor = 0;
}

static void history_find(struct history *history)
{
	struct world *world = &history->world;
	char id[ID_BYTES];

	if (world_random_machine(world, id))
		assert_int_equal(world_find(world, id, NULL), 0);
	else
		world_find(world, id, NULL);
}

static void history_step(struct history *history)
{
	struct world *world = &history->world;

	if (world_random_below(world, 3) == 0)
		world->fixed_count = (int64_t)world->count;
	switch (world_random_below(world, 16)) {
	case 0:
	case 1:
		history_list(history);
		break;
	case 2:
		history_list_some(history);
		break;
	case 3:
	case 4:
	case 5:
		history_find(history);
		break;
	case 6:
		assert_int_equal(world_find(world, "no-such-agent", NULL), -ENOENT);
		break;
	case 7:
		if (world_random_below(world, 4) == 0)
			fleet_expire(world->fleet);
		break;
	case 8:
		world->now_ms += TTL_MS;
		break;
	case 9:
	case 10:
	case 11:
		world->now_ms += (int64_t)world_random_below(world, TTL_MS);
		break;
	default:
		history_shift(world);
	}
	assert_int_equal(world->departed_wrongly, 0);
}

static void test_agents_that_stay_are_listed_whatever_the_ages_of_the_pages(void **state)
{
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
		struct history history;

		history_begin(&history, seed);
		for (int step = 0; step < STEPS; step++)
			history_step(&history);
		listing_done(&history.paused);
		world_done(&history.world);
	}
	(void)state;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_that_grew_is_read_to_its_end),
		cmocka_unit_test(test_agents_that_moved_to_an_old_page_are_found),
		cmocka_unit_test(test_agents_that_stay_are_listed_whatever_the_ages_of_the_pages),
	};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		seeds = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
