/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/record.h"
#include "fs/fuse/node.h"
#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define SEED 12345

static const struct row rows[2];

static struct record *new_record(const char *name, const char *status)
{
	struct agent *agent = agents_new(name, status);
	struct record *record = record_new(name, agent);

	assert_non_null(record);
	return record_ref(record);
}

static struct node *value_of(struct nodes *nodes, const char *text, int64_t mtime_ns)
{
	struct node *node = node_value(nodes, text, strlen(text), mtime_ns);

	assert_non_null(node);
	return node;
}

static void assert_value(const struct node *node, const char *text, int64_t mtime_ns)
{
	assert_null(node->row);
	assert_int_equal(node->bytes, strlen(text));
	assert_memory_equal(node_text(node), text, strlen(text));
	assert_int_equal(node->mtime_ns, mtime_ns);
}

static void test_the_root_is_1(void **state)
{
	struct nodes nodes;
	struct node *root;

	nodes_init(&nodes, SEED);
	assert_null(nodes_find(&nodes, 1));
	root = node_directory(&nodes, &rows[0], NULL, 0);
	assert_int_equal(node_id(root), 1);
	assert_ptr_equal(nodes_find(&nodes, 1), root);
	assert_ptr_equal(node_directory(&nodes, &rows[0], NULL, 0), root);
	assert_int_equal(nodes_count(&nodes), 1);
	nodes_done(&nodes);
	(void)state;
}

static void test_a_folder_is_one_row_agent_and_number(void **state)
{
	struct record *one = new_record("a", "online"), *other = new_record("b", "online");
	struct nodes nodes;
	struct node *folders[6];

	nodes_init(&nodes, SEED);
	folders[0] = node_directory(&nodes, &rows[0], NULL, 0);
	folders[1] = node_directory(&nodes, &rows[1], NULL, 0);
	folders[2] = node_directory(&nodes, &rows[0], one, 0);
	folders[3] = node_directory(&nodes, &rows[0], other, 0);
	folders[4] = node_directory(&nodes, &rows[0], one, 1);
	folders[5] = node_directory(&nodes, &rows[1], one, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(node_id(folders[i]), i + 1);
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(folders[i], folders[j]);
	}
	assert_ptr_equal(node_directory(&nodes, &rows[0], one, 1), folders[4]);
	assert_ptr_equal(folders[4]->row, &rows[0]);
	assert_ptr_equal(folders[4]->record, one);
	assert_int_equal(folders[4]->index, 1);
	assert_int_equal(one->refs, 4);
	node_forget(&nodes, folders[4], 0);
	assert_int_equal(one->refs, 3);
	nodes_done(&nodes);
	assert_int_equal(one->refs, 1);
	assert_int_equal(other->refs, 1);
	record_unref(one);
	record_unref(other);
	(void)state;
}

/* The kernel may know an agent's folder long after the agent left and another came by its name. */
static void test_a_folder_keeps_its_agent_that_left(void **state)
{
	struct record *record = new_record("a", "online"), *next = new_record("a", "online");
	struct nodes nodes;
	struct node *folder, *next_folder;

	nodes_init(&nodes, SEED);
	folder = node_directory(&nodes, &rows[0], record, 0);
	folder->lookups = 1;
	record->present = false;
	record_unref(record);
	next_folder = node_directory(&nodes, &rows[0], next, 0);
	assert_ptr_not_equal(next_folder, folder);
	assert_false(folder->record->present);
	assert_string_equal(folder->record->name, "a");
	node_forget(&nodes, folder, 1);
	assert_ptr_equal(node_directory(&nodes, &rows[0], next, 0), next_folder);
	nodes_done(&nodes);
	record_unref(next);
	(void)state;
}

static void test_the_same_text_and_time_are_the_same_value(void **state)
{
	struct nodes nodes;
	struct node *value;

	nodes_init(&nodes, SEED);
	value = value_of(&nodes, "online\n", 7);
	value->lookups = 1;
	assert_value(value, "online\n", 7);
	assert_ptr_equal(value_of(&nodes, "online\n", 7), value);
	assert_ptr_not_equal(value_of(&nodes, "online\n", 8), value);
	assert_ptr_not_equal(value_of(&nodes, "online", 7), value);
	assert_ptr_not_equal(value_of(&nodes, "onlinE\n", 7), value);
	assert_int_equal(nodes_count(&nodes), 4);
	nodes_done(&nodes);
	(void)state;
}

static void test_an_old_value_is_readable_until_it_is_forgotten(void **state)
{
	struct nodes nodes;
	struct node *old, *value;
	uint64_t id;

	nodes_init(&nodes, SEED);
	old = value_of(&nodes, "idle\n", 7);
	old->lookups = 3;
	id = node_id(old);
	value = value_of(&nodes, "busy\n", 8);
	value->lookups = 1;
	assert_int_not_equal(node_id(value), id);
	node_forget(&nodes, old, 2);
	assert_ptr_equal(nodes_find(&nodes, id), old);
	assert_value(old, "idle\n", 7);
	node_forget(&nodes, old, 1);
	assert_null(nodes_find(&nodes, id));
	assert_int_equal(nodes_count(&nodes), 1);
	/* the same value again is the same text, but an id is never used twice */
	assert_true(node_id(value_of(&nodes, "idle\n", 7)) > node_id(value));
	nodes_done(&nodes);
	(void)state;
}

static void test_odd_texts(void **state)
{
	struct nodes nodes;
	struct node *empty, *nul, *other;
	char *large = malloc(1 << 20);

	assert_non_null(large);
	memset(large, 'x', 1 << 20);
	nodes_init(&nodes, SEED);
	empty = node_value(&nodes, NULL, 0, 7);
	assert_non_null(empty);
	assert_int_equal(empty->bytes, 0);
	assert_ptr_equal(node_value(&nodes, "", 0, 7), empty);
	nul = node_value(&nodes, "a\0b", 3, 7);
	other = node_value(&nodes, "a\0c", 3, 7);
	assert_ptr_not_equal(nul, other);
	assert_memory_equal(node_text(nul), "a\0b", 3);
	other = node_value(&nodes, large, 1 << 20, 7);
	assert_int_equal(other->bytes, 1 << 20);
	large[(1 << 20) - 1] = 'y';
	assert_ptr_not_equal(node_value(&nodes, large, 1 << 20, 7), other);
	assert_int_equal(node_text(other)[(1 << 20) - 1], 'x');
	nodes_done(&nodes);
	free(large);
	(void)state;
}

static void test_json_is_shared_with_its_agent(void **state)
{
	struct agent *agent = agents_new("a", "online"), *same = agents_new("a", "online"),
		     *other = agents_new("a", "offline");
	struct nodes nodes;
	struct node *value;

	nodes_init(&nodes, SEED);
	value = node_json(&nodes, agent, 7);
	assert_non_null(value);
	assert_int_equal(agent->refs, 2);
	assert_ptr_equal(node_text(value), agent->json);
	assert_int_equal(value->bytes, agent->json_bytes);
	assert_ptr_equal(node_json(&nodes, agent, 7), value);
	/* read again without a change: it is the first one's still */
	assert_ptr_equal(node_json(&nodes, same, 7), value);
	assert_int_equal(same->refs, 1);
	assert_ptr_not_equal(node_json(&nodes, other, 8), value);
	/* it outlives the cache's interest in its agent */
	value->lookups = 1;
	agent_unref(agent);
	assert_value(value, "{\"agent_id\":\"a\",\"agent_status\":\"online\"}\n", 7);
	node_forget(&nodes, value, 1);
	nodes_done(&nodes);
	assert_int_equal(other->refs, 1);
	agent_unref(same);
	agent_unref(other);
	(void)state;
}

static void test_the_kernel_cannot_forget_too_much(void **state)
{
	struct nodes nodes;
	struct node *value;

	nodes_init(&nodes, SEED);
	value = value_of(&nodes, "a", 7);
	value->lookups = 2;
	node_forget(&nodes, value, 0);
	assert_int_equal(value->lookups, 2);
	node_forget(&nodes, value, UINT64_MAX);
	assert_int_equal(nodes_count(&nodes), 0);
	value = value_of(&nodes, "a", 7);
	node_forget(&nodes, value, 0); /* made, but never told */
	assert_int_equal(nodes_count(&nodes), 0);
	nodes_done(&nodes);
	(void)state;
}

/* Values looked up and forgotten at random, beside an array that remembers. */
static void test_against_an_array(void **state)
{
	struct {
		uint64_t id;
		uint64_t lookups;
	} known[500] = {0};
	struct nodes nodes;
	uint64_t random = 7, highest = 0;
	size_t count = 0;

	nodes_init(&nodes, SEED);
	for (int step = 0; step < 100000; step++) {
		size_t which;
		char text[16];

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		which = random % 500;
		snprintf(text, sizeof(text), "%zu\n", which / 5);
		if (random >> 32 & 1) {
			struct node *node = value_of(&nodes, text, (int64_t)(which % 5));

			if (known[which].lookups == 0) {
				assert_true(node_id(node) > highest);
				highest = known[which].id = node_id(node);
				count++;
			}
			assert_int_equal(node_id(node), known[which].id);
			assert_value(node, text, (int64_t)(which % 5));
			known[which].lookups = ++node->lookups;
		} else if (known[which].lookups > 0) {
			uint64_t forgotten = 1 + (random >> 40) % known[which].lookups;

			node_forget(&nodes, nodes_find(&nodes, known[which].id), forgotten);
			known[which].lookups -= forgotten;
			count -= known[which].lookups == 0;
			assert_int_equal(!nodes_find(&nodes, known[which].id),
			                 known[which].lookups == 0);
		}
		assert_int_equal(nodes_count(&nodes), count);
	}
	nodes_done(&nodes);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_root_is_1),
		cmocka_unit_test(test_a_folder_is_one_row_agent_and_number),
		cmocka_unit_test(test_a_folder_keeps_its_agent_that_left),
		cmocka_unit_test(test_the_same_text_and_time_are_the_same_value),
		cmocka_unit_test(test_an_old_value_is_readable_until_it_is_forgotten),
		cmocka_unit_test(test_odd_texts),
		cmocka_unit_test(test_json_is_shared_with_its_agent),
		cmocka_unit_test(test_the_kernel_cannot_forget_too_much),
		cmocka_unit_test(test_against_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
