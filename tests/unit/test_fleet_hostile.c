/* SPDX-License-Identifier: MIT */
/* An API that contradicts itself. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

struct inconsistency {
	const char *what;
	size_t agents;
	enum count count_reported;
	int64_t fixed_count;
	bool one_page_for_all;
	unsigned int empty_page;
	unsigned int per_page; /* on each page, whatever the request asks for */
	unsigned int malformed;
	size_t listed;
	bool verified;
	unsigned int most_requests; /* for the first listing */
	unsigned int later_requests;
};

static void test_inconsistent_pages_are_listed_in_bounded_requests(void **state)
{
	const struct inconsistency cases[] = {
		{"count 0", 1042, COUNT_FIXED, 0, false, 0, 100, 0, 1042, false, 33, 11},
		{"count 1", 1042, COUNT_FIXED, 1, false, 0, 100, 0, 1042, false, 33, 11},
		{"no count", 1042, COUNT_ABSENT, 0, false, 0, 100, 0, 1042, false, 33, 11},
		{"no count, full pages", 1000, COUNT_ABSENT, 0, false, 0, 100, 0, 1000, false, 33,
	         11},
		{"count -1", 1042, COUNT_FIXED, -1, false, 0, 100, 0, 1042, false, 33, 11},
		{"count 2^62", 1042, COUNT_FIXED, INT64_C(1) << 62, false, 0, 100, 0, 1042, false,
	         54, 18},
		{"count 2^63-1", 1042, COUNT_FIXED, INT64_MAX, false, 0, 100, 0, 1042, false, 54,
	         18},
		{"count changes", 1042, COUNT_RANDOM, 0, false, 0, 100, 0, 1042, false, 54, 54},
		{"one page for ever", 1042, COUNT_RIGHT, 0, true, 0, 100, 0, 100, false, 27, 9},
		{"one page, no count", 1042, COUNT_ABSENT, 0, true, 0, 100, 0, 100, false, 9, 3},
		{"one page, count 2^62", 1042, COUNT_FIXED, INT64_C(1) << 62, true, 0, 100, 0, 100,
	         false, 27, 9},
		{"the last page is empty", 1042, COUNT_RIGHT, 0, false, 11, 100, 0, 1000, false, 33,
	         33},
		{"the count has a thousand more", 1042, COUNT_FIXED, 2042, false, 0, 100, 0, 1042,
	         false, 54, 18},
		{"all on page 1", 1042, COUNT_RIGHT, 0, false, 0, 5000, 0, 1042, true, 1, 1},
		{"all on page 1, no count", 1042, COUNT_ABSENT, 0, false, 0, 5000, 0, 1042, false,
	         3, 1},
		{"20 on a page", 1042, COUNT_RIGHT, 0, false, 0, 20, 0, 1042, true, 53, 53},
		{"elements that are no agents", 1042, COUNT_RIGHT, 0, false, 0, 100, 3, 1042, false,
	         36, 12},
		{"empty", 0, COUNT_RIGHT, 0, false, 0, 100, 0, 0, true, 1, 1},
		{"empty, no count", 0, COUNT_ABSENT, 0, false, 0, 100, 0, 0, false, 3, 1},
		{"empty, says 7", 0, COUNT_FIXED, 7, false, 0, 100, 0, 0, false, 3, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct inconsistency *row = &cases[i];
		struct world world;
		struct listing listing;

		print_message("# %s\n", row->what);
		world_init(&world, row->agents);
		world_mount(&world);
		world.per_page = row->per_page;
		world.count_reported = row->count_reported;
		world.fixed_count = row->fixed_count;
		world.one_page_for_all = row->one_page_for_all;
		world.empty_page = row->empty_page;
		world.malformed = row->malformed;
		for (int round = 0; round < 3; round++) {
			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, row->listed);
			assert_int_equal(world_health(&world).verified, row->verified);
			assert_true(listing.requests <=
			            (round ? row->later_requests : row->most_requests));
			listing_done(&listing);
			assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
			world.now_ms += TTL_MS;
		}
		world_done(&world);
	}
	(void)state;
}

static void test_first_of_two_agents_with_one_id_wins(void **state)
{
	const size_t second_at[] = {15, 450}; /* on the same page, on another */

	for (size_t i = 0; i < 2; i++) {
		struct world world;
		struct record *record;

		world_init(&world, 1042);
		world_add(&world, second_at[i], "p10")->version = 7;
		world_mount(&world);
		for (int round = 0; round < 6; round++) {
			struct listing listing;

			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, 1042);
			for (size_t at = 0; at < 1042; at++) {
				char id[ID_BYTES];

				snprintf(id, sizeof(id), "p%zu", at);
				assert_string_equal(listing.records[at]->name, id);
			}
			assert_true(listing.requests <= (round ? 11 : 33));
			listing_done(&listing);
			assert_int_equal(world_find(&world, "p10", &record), 0);
			assert_string_equal(record->agent->status, "v0");
			assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE),
			                 MOUNTED_NS);
			assert_true(world_health(&world).duplicates > (unsigned int)round);
			world.now_ms += TTL_MS;
		}
		assert_int_equal(world.duplicates, 1);
		assert_int_equal(world_health(&world).verified, i == 0);
		world_done(&world);
	}
	(void)state;
}

static void test_first_of_two_agents_wins_in_any_order_of_responses(void **state)
{
	struct world world;
	struct record *record;

	world_init(&world, 1042);
	world_add(&world, 250, "p110")->version = 7; /* pages 2 and 3 are in flight together */
	world_mount(&world);
	world.order = LAST_FIRST;
	for (int round = 0; round < 6; round++) {
		struct listing listing;

		world_list(&world, &listing);
		assert_int_equal(listing.count, 1042);
		listing_done(&listing);
		assert_int_equal(world_find(&world, "p110", &record), 0);
		assert_string_equal(record->agent->status, "v0");
		world.now_ms += TTL_MS;
	}
	world_done(&world);
	(void)state;
}

/* Readers of all pages see the first copy of an agent, and its copies cause no changes. */
static void check_copies(int64_t ttl_ms, enum order order, bool etags, const size_t *copies,
                         size_t count)
{
	struct world world;
	struct record *record;

	world_init(&world, 600);
	world.config.ttl_ms = ttl_ms;
	world.etags = etags;
	world.order = order;
	for (size_t i = 0; i < count; i++)
		world_add(&world, copies[i], "p10")->version = (unsigned int)(7 + i);
	world_mount(&world);
	world.latency_ms = 40;
	for (int round = 0; round < 40; round++) {
		static const char *const ids[] = {"p250", "p10", "p20", "p455", "p350"};
		struct listing listing;

		if (round % 7 == 0) {
			world_list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing_times(&listing, "p10"), 1);
			listing_done(&listing);
		}
		world.now_ms += ttl_ms;
		assert_int_equal(world_find(&world, ids[round % 5], NULL), 0);
		assert_int_equal(world_find(&world, "p10", &record), 0);
		assert_string_equal(record->agent->status, "v0");
	}
	assert_int_equal(world.changed, 0);
	assert_int_equal(world.departed, 0);
	assert_int_equal(world.duplicates, 1);
	assert_true(world_health(&world).duplicates >= 6);
	world_done(&world);
}

static void test_an_agent_on_several_pages_is_the_first_of_them(void **state)
{
	static const size_t copies[][3] = {{250}, {250, 460}, {250, 251, 460}};

	for (size_t count = 1; count <= 3; count++)
		for (int order = FIRST_FIRST; order <= ANY_FIRST; order++)
			for (int etags = 0; etags <= 1; etags++) {
				check_copies(TTL_MS, (enum order)order, etags, copies[count - 1],
				             count);
				check_copies(100, (enum order)order, etags, copies[count - 1],
				             count);
			}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inconsistent_pages_are_listed_in_bounded_requests),
		cmocka_unit_test(test_first_of_two_agents_with_one_id_wins),
		cmocka_unit_test(test_first_of_two_agents_wins_in_any_order_of_responses),
		cmocka_unit_test(test_an_agent_on_several_pages_is_the_first_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
