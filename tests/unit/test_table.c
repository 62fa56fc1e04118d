/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/table.h"

#define THINGS 5000

struct thing {
	struct table_link link;
	unsigned int number;
	int in;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct thing *find(const struct table *table, uint64_t hash, unsigned int number)
{
	struct table_link *at = table_first(table, hash);

	for (; at; at = table_next(at)) {
		struct thing *thing = TABLE_ENTRY(at, struct thing, link);

		assert_int_equal(thing->link.hash, hash);
		if (thing->number == number)
			return thing;
	}
	return NULL;
}

static void test_empty_table_finds_nothing(void **state)
{
	struct table table = {0};

	assert_null(table_first(&table, 0));
	assert_null(table_first(&table, UINT64_MAX));
	table_done(&table);
	(void)state;
}

static void test_removed_entry_is_not_found(void **state)
{
	struct table table = {0};
	struct thing thing = {.link.hash = 7, .number = 1};

	assert_int_equal(table_insert(&table, &thing.link), 0);
	assert_ptr_equal(table_first(&table, 7), &thing.link);
	assert_null(table_first(&table, 8));
	assert_null(table_next(&thing.link));
	table_remove(&table, &thing.link);
	assert_null(table_first(&table, 7));
	assert_int_equal(table.entry_count, 0);
	table_done(&table);
	(void)state;
}

static void test_all_entries_with_one_hash_are_found(void **state)
{
	struct table table = {0};
	struct thing things[200] = {0};

	for (unsigned int i = 0; i < 200; i++) {
		things[i] = (struct thing){.link.hash = i % 2, .number = i};
		assert_int_equal(table_insert(&table, &things[i].link), 0);
	}
	for (unsigned int i = 0; i < 200; i++)
		assert_ptr_equal(find(&table, i % 2, i), &things[i]);
	for (unsigned int i = 0; i < 200; i += 3)
		table_remove(&table, &things[i].link);
	for (unsigned int i = 0; i < 200; i++)
		assert_ptr_equal(find(&table, i % 2, i), i % 3 == 0 ? NULL : &things[i]);
	table_done(&table);
	(void)state;
}

/* Grows a table to thousands of entries and shrinks it to none, several times, and compares it with
 * an array of what it must have. */
static void check_against_array(uint64_t seed, int consecutive_hashes)
{
	struct table table = {0};
	struct thing *things = calloc(THINGS, sizeof(*things));
	size_t in = 0;
	uint64_t random = seed;

	assert_non_null(things);
	for (unsigned int i = 0; i < THINGS; i++) {
		things[i].number = i;
		things[i].link.hash = consecutive_hashes ? i : next_random(&random) % (THINGS / 2);
	}
	for (int step = 0; step < 200000; step++) {
		struct thing *thing = &things[next_random(&random) % THINGS];
		/* mostly grow, then mostly shrink */
		int grow = (next_random(&random) % 100 < 80) == (step / 20000 % 2 == 0);

		assert_ptr_equal(find(&table, thing->link.hash, thing->number),
		                 thing->in ? thing : NULL);
		if (grow && !thing->in) {
			assert_int_equal(table_insert(&table, &thing->link), 0);
			thing->in = 1;
			in++;
		} else if (!grow && thing->in) {
			table_remove(&table, &thing->link);
			thing->in = 0;
			in--;
		}
		assert_int_equal(table.entry_count, in);
	}
	for (unsigned int i = 0; i < THINGS; i++)
		assert_ptr_equal(find(&table, things[i].link.hash, i),
		                 things[i].in ? &things[i] : NULL);
	for (unsigned int i = 0; i < THINGS; i++)
		if (things[i].in)
			table_remove(&table, &things[i].link);
	assert_int_equal(table.entry_count, 0);
	assert_in_range(table.bucket_count, 1, 128); /* the memory was freed */
	table_done(&table);
	free(things);
}

static void test_random_hashes_agree_with_an_array(void **state)
{
	check_against_array(1, 0);
	(void)state;
}

static void test_consecutive_hashes_agree_with_an_array(void **state)
{
	check_against_array(2, 1);
	(void)state;
}

static void test_consecutive_hashes_make_short_chains(void **state)
{
	struct table table = {0};
	struct thing *things = calloc(THINGS, sizeof(*things));
	size_t longest = 0;

	assert_non_null(things);
	for (unsigned int i = 0; i < THINGS; i++) {
		things[i].link.hash = i + 1; /* like node IDs */
		assert_int_equal(table_insert(&table, &things[i].link), 0);
	}
	assert_in_range(table.bucket_count, THINGS / 2, THINGS * 4);
	for (size_t i = 0; i < table.bucket_count; i++) {
		size_t length = 0;

		for (struct table_link *at = table.buckets[i]; at; at = at->next)
			length++;
		longest = length > longest ? length : longest;
	}
	assert_in_range(longest, 1, 8);
	table_done(&table);
	free(things);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_table_finds_nothing),
		cmocka_unit_test(test_removed_entry_is_not_found),
		cmocka_unit_test(test_all_entries_with_one_hash_are_found),
		cmocka_unit_test(test_random_hashes_agree_with_an_array),
		cmocka_unit_test(test_consecutive_hashes_agree_with_an_array),
		cmocka_unit_test(test_consecutive_hashes_make_short_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
