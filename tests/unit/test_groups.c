/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/reports/groups.h"
#include "fs/tree/names.h"

#define SEED 12345
#define MANY 20000

static void add(struct groups *groups, const char *value)
{
	assert_int_equal(groups_add(groups, value, NULL), 0);
}

static struct group *find(const struct groups *groups, const char *value)
{
	char name[NAME_BYTES];

	name_encode(value, name);
	return groups_find(groups, name);
}

static void test_new_groups_are_empty(void **state)
{
	struct groups groups;

	groups_init(&groups, SEED);
	assert_int_equal(groups.count, 0);
	assert_null(groups_find(&groups, "idle"));
	groups_done(&groups);
	groups_done(&groups);
	(void)state;
}

static void test_values_are_counted_in_the_order_in_which_they_are_found(void **state)
{
	static const char *const values[] = {"idle", "busy", "idle", "lost", "idle", "busy"};
	static const struct {
		const char *value;
		size_t count;
	} rows[] = {{"idle", 3}, {"busy", 2}, {"lost", 1}};
	struct groups groups;

	groups_init(&groups, SEED);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		add(&groups, values[i]);
	assert_int_equal(groups.count, 3);
	for (size_t i = 0; i < groups.count; i++) {
		assert_string_equal(groups.order[i]->value, rows[i].value);
		assert_int_equal(groups.order[i]->count, rows[i].count);
		assert_ptr_equal(groups_find(&groups, rows[i].value), groups.order[i]);
	}
	assert_null(groups_find(&groups, "Idle"));
	assert_null(groups_find(&groups, ""));
	groups_done(&groups);
	assert_int_equal(groups.count, 0);
	assert_null(groups_find(&groups, "idle"));
	/* The groups can be used again. */
	add(&groups, "idle");
	assert_int_equal(groups.order[0]->count, 1);
	groups_done(&groups);
	(void)state;
}

/* Values that look the same when they are shown, or when they are cut, are different. */
static void test_hostile_values_have_groups_of_their_own(void **state)
{
	static char longs[3][600];
	const char *values[] = {
		"",       "%",       "%25",    "a/b",    "a%2Fb",  "\x1b",   "\\x1b", "%1B",   ".",
		"..",     "-",       " ",      "\xff",   "\xfe",   "%FF",    "\n",    "a",     "A",
		"\u00e9", "e\u0301", longs[0], longs[1], longs[2], "\u202e", "a\tb",  "a\\tb",
	};
	const size_t count = sizeof(values) / sizeof(values[0]);
	struct groups groups;

	memset(longs, 'x', sizeof(longs));
	longs[0][255] = '\0';
	longs[1][256] = '\0';
	longs[2][599] = '\0';
	groups_init(&groups, SEED);
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; i < count; i++)
			add(&groups, values[i]);
	assert_int_equal(groups.count, count);
	for (size_t i = 0; i < count; i++) {
		struct group *group = find(&groups, values[i]);

		assert_non_null(group);
		assert_string_equal(group->value, values[i]);
		assert_int_equal(group->count, 2);
	}
	/* Groups are found by name, not by value. */
	assert_null(groups_find(&groups, "\x1b"));
	assert_string_equal(groups_find(&groups, "%1B")->value, "\x1b");
	groups_done(&groups);
	(void)state;
}

static void test_expected_group_exists_without_agents(void **state)
{
	struct groups groups;

	groups_init(&groups, SEED);
	for (groups.list = 1; groups.list <= 3; groups.list++) {
		assert_int_equal(groups_expect(&groups, "idle"), 0);
		assert_int_equal(groups_expect(&groups, "busy"), 0);
		if (groups.list == 2) {
			add(&groups, "other");
			add(&groups, "idle");
		}
		groups_finish(&groups);
		assert_int_equal(groups.count, groups.list == 2 ? 3 : 2);
		assert_int_equal(find(&groups, "idle")->count, groups.list == 2);
		assert_int_equal(find(&groups, "idle")->number, 1);
		assert_int_equal(find(&groups, "busy")->count, 0);
	}
	groups_done(&groups);
	(void)state;
}

static void test_group_refers_to_the_first_agent_of_its_list(void **state)
{
	struct agent agent = {.refs = 3, .id = "a"};
	struct record *one = record_ref(record_new("one", &agent));
	struct record *other = record_ref(record_new("other", &agent));
	struct groups groups;

	groups_init(&groups, SEED);
	groups.list = 1;
	assert_int_equal(groups_add(&groups, "x", one), 0);
	assert_int_equal(groups_add(&groups, "x", other), 0);
	groups_finish(&groups);
	assert_ptr_equal(find(&groups, "x")->first, one);
	assert_int_equal(one->refs, 2);
	groups.list = 2;
	assert_int_equal(groups_add(&groups, "x", other), 0);
	groups_finish(&groups);
	assert_ptr_equal(find(&groups, "x")->first, other);
	assert_int_equal(one->refs, 1);
	groups_done(&groups);
	assert_int_equal(other->refs, 1);
	record_unref(one);
	record_unref(other);
	(void)state;
}

static void test_many_values(void **state)
{
	struct groups groups;
	char value[24];

	groups_init(&groups, SEED);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(value, sizeof(value), "value %u", i % (MANY / 2));
		add(&groups, value);
	}
	assert_int_equal(groups.count, MANY / 2);
	for (unsigned int i = 0; i < MANY / 2; i++) {
		snprintf(value, sizeof(value), "value %u", i);
		assert_ptr_equal(groups_find(&groups, value), groups.order[i]);
		assert_int_equal(groups.order[i]->count, 2);
	}
	groups_done(&groups);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_groups_are_empty),
		cmocka_unit_test(test_values_are_counted_in_the_order_in_which_they_are_found),
		cmocka_unit_test(test_hostile_values_have_groups_of_their_own),
		cmocka_unit_test(test_expected_group_exists_without_agents),
		cmocka_unit_test(test_group_refers_to_the_first_agent_of_its_list),
		cmocka_unit_test(test_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
