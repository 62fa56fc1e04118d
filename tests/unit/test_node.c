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
#include "fs/tree/question.h"
#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define SEED 12345

static const struct tree_row rows[2];

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

static void test_first_node_gets_the_id_of_the_root(void **state)
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

static void test_directory_is_identified_by_row_agent_and_index(void **state)
{
	struct record *one = new_record("a", "online"), *other = new_record("b", "online");
	struct nodes nodes;
	struct node *directories[6];

	nodes_init(&nodes, SEED);
	directories[0] = node_directory(&nodes, &rows[0], NULL, 0);
	directories[1] = node_directory(&nodes, &rows[1], NULL, 0);
	directories[2] = node_directory(&nodes, &rows[0], one, 0);
	directories[3] = node_directory(&nodes, &rows[0], other, 0);
	directories[4] = node_directory(&nodes, &rows[0], one, 1);
	directories[5] = node_directory(&nodes, &rows[1], one, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(node_id(directories[i]), i + 1);
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(directories[i], directories[j]);
	}
	assert_ptr_equal(node_directory(&nodes, &rows[0], one, 1), directories[4]);
	assert_ptr_equal(directories[4]->row, &rows[0]);
	assert_ptr_equal(directories[4]->record, one);
	assert_int_equal(directories[4]->index, 1);
	assert_int_equal(one->refs, 4);
	node_forget(&nodes, directories[4], 0);
	assert_int_equal(one->refs, 3);
	nodes_done(&nodes);
	assert_int_equal(one->refs, 1);
	assert_int_equal(other->refs, 1);
	record_unref(one);
	record_unref(other);
	(void)state;
}

/* The kernel may refer to an agent's directory long after the agent departed and another agent
 * joined under its name. */
static void test_directory_keeps_its_departed_agent(void **state)
{
	struct record *record = new_record("a", "online"), *next = new_record("a", "online");
	struct nodes nodes;
	struct node *directory, *next_directory;

	nodes_init(&nodes, SEED);
	directory = node_directory(&nodes, &rows[0], record, 0);
	directory->lookups = 1;
	record->present = false;
	record_unref(record);
	next_directory = node_directory(&nodes, &rows[0], next, 0);
	assert_ptr_not_equal(next_directory, directory);
	assert_false(directory->record->present);
	assert_string_equal(directory->record->name, "a");
	node_forget(&nodes, directory, 1);
	assert_ptr_equal(node_directory(&nodes, &rows[0], next, 0), next_directory);
	nodes_done(&nodes);
	record_unref(next);
	(void)state;
}

static void test_values_of_equal_text_and_time_share_a_node(void **state)
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

static void test_old_value_is_readable_until_it_is_forgotten(void **state)
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
	/* the same text again is a new node: IDs are not reused */
	assert_true(node_id(value_of(&nodes, "idle\n", 7)) > node_id(value));
	nodes_done(&nodes);
	(void)state;
}

static void test_text_may_be_empty_or_large_or_contain_nul(void **state)
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

static void test_json_is_shared_with_its_agent_not_copied(void **state)
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
	/* equal JSON of another agent: still the node of the first one */
	assert_ptr_equal(node_json(&nodes, same, 7), value);
	assert_int_equal(same->refs, 1);
	assert_ptr_not_equal(node_json(&nodes, other, 8), value);
	/* the node keeps the agent after the cache released it */
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

static void test_forgetting_too_many_lookups_frees_the_node_once(void **state)
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
	node_forget(&nodes, value, 0); /* new, and not used in a reply */
	assert_int_equal(nodes_count(&nodes), 0);
	nodes_done(&nodes);
	(void)state;
}

/* The array knows the node ID and the lookups of each value. */
static void test_random_lookups_and_forgets_match_an_array(void **state)
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

static void test_question_has_a_node_for_each_path_and_keeps_its_components(void **state)
{
	const struct tree_row *row = &tree_rows[TREE_WHERE];
	struct question *first, *second;
	struct node *one, *again, *other;
	struct nodes nodes;
	size_t work = 0;

	nodes_init(&nodes, SEED);
	assert_int_equal(question_parse(NULL, "vram_free>=1K", &first), 0);
	assert_int_equal(question_parse(NULL, "vram_free>=1024", &second), 0);
	one = node_question(&nodes, row, "vram_free>=1K", first);
	one->lookups++;
	assert_int_equal(one->kind, NODE_QUESTION);
	again = node_question(&nodes, row, "vram_free>=1K", second);
	assert_ptr_equal(one, again);
	other = node_question(&nodes, row, "vram_free>=1024", second);
	assert_ptr_not_equal(one, other);
	assert_int_equal(nodes.questions_made, 2);
	/* A group of the same text is another node. */
	again = node_group(&nodes, row, "vram_free>=1K");
	assert_ptr_not_equal(one, again);
	node_forget(&nodes, again, 0);
	question_unref(first);
	question_unref(second);
	assert_false(question_matches(one->question, &(struct agent){.id = "a"}, &work));
	node_forget(&nodes, other, 0);
	node_forget(&nodes, one, 1);
	assert_int_equal(nodes_count(&nodes), 0);
	nodes_done(&nodes);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_node_gets_the_id_of_the_root),
		cmocka_unit_test(test_directory_is_identified_by_row_agent_and_index),
		cmocka_unit_test(test_directory_keeps_its_departed_agent),
		cmocka_unit_test(test_values_of_equal_text_and_time_share_a_node),
		cmocka_unit_test(test_old_value_is_readable_until_it_is_forgotten),
		cmocka_unit_test(test_text_may_be_empty_or_large_or_contain_nul),
		cmocka_unit_test(test_json_is_shared_with_its_agent_not_copied),
		cmocka_unit_test(test_forgetting_too_many_lookups_frees_the_node_once),
		cmocka_unit_test(test_random_lookups_and_forgets_match_an_array),
		cmocka_unit_test(test_question_has_a_node_for_each_path_and_keeps_its_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
