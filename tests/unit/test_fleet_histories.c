/* SPDX-License-Identifier: MIT */
/*
 * Random histories of an API whose pages fail, are empty or are too large, and which as a whole is
 * down or slow for a time, while agents join and leave.
 *
 *	build/tests/test-fleet_histories [FIRST_SEED [SEEDS]]
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
#define STEPS 120
#define PAGE  10 /* agents */

static uint64_t first_seed = 1, seeds = SEEDS;

struct history {
	struct world world;
	bool churn; /* agents join and leave */
};

static const enum failure_cause causes[] = {
	FAILURE_MALFORMED, FAILURE_SERVER,    FAILURE_REQUEST,    FAILURE_UNREACHABLE,
	FAILURE_TIMEOUT,   FAILURE_TRUNCATED, FAILURE_CREDENTIAL, FAILURE_OVERSIZED,
};

#define CAUSES (sizeof(causes) / sizeof(causes[0]))

static void history_begin(struct history *history, uint64_t seed)
{
	static const int64_t ttls_ms[] = {500, 2000, TTL_MS};
	static const int64_t stales_ms[] = {0, 3000, 30000, STALE_MS};
	static const unsigned int connections[] = {1, 2, 6};
	struct world *world = &history->world;

	*history = (struct history){0};
	world_init(world, 0);
	world->random = seed * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0, count = 25 + world_random_below(world, 80); i < count; i++) {
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%zu", i);
		world_add(world, i, id)->permanent = true;
	}
	world->per_page = PAGE;
	world->config.ttl_ms = ttls_ms[world_random_below(world, 3)];
	world->config.stale_ms = stales_ms[world_random_below(world, 4)];
	world->config.max_connections = connections[world_random_below(world, 3)];
	world->config.retries = (unsigned int)world_random_below(world, 3);
	world->etags = world_random_below(world, 2);
	world->order = (enum order)world_random_below(world, 3);
	world->cause = causes[world_random_below(world, CAUSES)];
	world->page_only = world_random_below(world, 4) == 0;
	history->churn = world_random_below(world, 2);
	world_mount(world);
}

static unsigned int history_pages(const struct world *world)
{
	return (unsigned int)((world->count + PAGE - 1) / PAGE);
}

/* Data that is served is within its ttl, or within `stale`, and health says so. */
static void world_check_served(const struct world *world, const struct record *record)
{
	int64_t end_ms = record->read_ms + world->config.ttl_ms + world->config.stale_ms;

	if (fleet_record_left_ms(world->fleet, record) > 0)
		return;
	assert_true(world->now_ms < end_ms);
	assert_true(world_health(world).stale);
}

/* Looks an agent up that the API has. */
static void history_find_present(struct history *history, const char *id)
{
	struct world *world = &history->world;
	struct record *record;
	int err = world_find(world, id, &record);

	assert_int_not_equal(err, -ENOENT);
	if (err == 0)
		world_check_served(world, record);
}

static void history_find(struct history *history)
{
	struct world *world = &history->world;
	char id[ID_BYTES];

	if (world_random_machine(world, id))
		history_find_present(history, id);
	else
		world_find(world, id, NULL);
}

/* Checks a listing that just ended. */
static void history_check_listing(const struct history *history, const struct listing *listing)
{
	const struct world *world = &history->world;
	struct fleet_health health = world_health(world);

	for (size_t i = 0; i < listing->count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(listing->records[i]->name,
			                        listing->records[j]->name);
	/* An agent that moved to a bad page may be missing; then the count does not agree. */
	if (listing->err == 0 && (health.verified || !history->churn))
		world_check_listing(world, listing);
	else if (listing->err < 0)
		assert_true(health.failing || health.stale);
}

/* Lists, and reads an agent that is listed. */
static void history_list(struct history *history)
{
	struct world *world = &history->world;
	int64_t began_ms = world->now_ms;
	struct listing listing;

	world_list(world, &listing);
	history_check_listing(history, &listing);
	if (world->now_ms == began_ms && listing.count > 0 && !history->churn) {
		const char *id = listing.records[world_random_below(world, listing.count)]->name;
		int err = world_find(world, id, NULL);

		if (world->now_ms == began_ms)
			assert_int_equal(err, 0);
	}
	if (world->now_ms == began_ms && listing.err < 0) {
		int err = world_find(world, "no-such-agent", NULL);

		/* unless this query was the first since the API works again */
		assert_true(err != -ENOENT || world->now_ms > began_ms ||
		            !world_health(world).failing);
	}
	listing_done(&listing);
}

static void history_change_api(struct history *history)
{
	struct world *world = &history->world;
	unsigned int pages = history_pages(world);
	unsigned int page = 1 + (unsigned int)world_random_below(world, pages);

	switch (world_random_below(world, 8)) {
	case 0:
	case 1:
		world->bad_pages[page] = true;
		break;
	case 2:
	case 3:
		for (size_t i = 0; i < MOST_PAGES; i++)
			world->bad_pages[i] = false;
		break;
	case 4:
		world->failing = !world->failing;
		break;
	case 5:
		/* While agents leave, an empty page looks like the end of a list that shrank. */
		world->empty_page = page < pages && !history->churn ? page : 0;
		break;
	case 6:
		world->empty_page = 0;
		break;
	default:
		world->latency_ms = (int64_t)world_random_below(world, 3) * 700;
	}
}

static void history_step(struct history *history)
{
	struct world *world = &history->world;

	switch (world_random_below(world, 16)) {
	case 0:
	case 1:
	case 2:
		history_list(history);
		break;
	case 3:
	case 4:
	case 5:
		history_find(history);
		break;
	case 6:
		world_find(world, "no-such-agent", NULL);
		break;
	case 7:
	case 8:
		history_change_api(history);
		break;
	case 9:
		world->now_ms += world->config.ttl_ms + world->config.stale_ms;
		break;
	case 10:
		world->now_ms += world->config.ttl_ms;
		break;
	case 11:
		if (history->churn && world_random_below(world, 2))
			world_join(world);
		else if (history->churn)
			world_leave(world);
		break;
	default:
		world->now_ms += (int64_t)world_random_below(world, 2000);
	}
	/* An agent that moved to a bad page departs in the end. */
	if (!history->churn)
		assert_int_equal(world->departed, 0);
}

/* In the end the API works again. */
static void history_end(struct history *history)
{
	struct world *world = &history->world;
	struct listing listing;

	world->failing = false;
	world->empty_page = 0;
	world->latency_ms = 0;
	world_set_bad_pages(world, "");
	for (size_t i = 0; i < MOST_PAGES; i++)
		world->bad_pages[i] = false;
	for (int round = 0; round < 2; round++) {
		world->now_ms += 60000 + world->config.ttl_ms;
		world_list(world, &listing);
		assert_int_equal(listing.err, 0);
		world_check_listing(world, &listing);
		listing_done(&listing);
	}
	assert_false(world_health(world).failing);
	assert_true(world_health(world).verified);
	assert_int_equal(world_find(world, "no-such-agent", NULL), -ENOENT);
	world_done(world);
}

static void test_histories_of_failures_keep_the_promises_of_lists_and_lookups(void **state)
{
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
		struct history history;

		print_message("# seed %ju\n", (uintmax_t)seed);
		history_begin(&history, seed);
		for (int step = 0; step < STEPS; step++)
			history_step(&history);
		history_end(&history);
	}
	(void)state;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories_of_failures_keep_the_promises_of_lists_and_lookups),
	};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		seeds = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
