/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/reports/rankings.h"
#include "tests/unit/report_world.h"

#define IDLE_MS (2 * WORLD_TTL_MS)

static struct jobs jobs;
static struct rankings rankings;

static void begin(size_t count)
{
	world_begin(count);
	jobs_init(&jobs);
	rankings_init(&rankings, world.fleet, &jobs, IDLE_MS, WORLD_SEED);
}

static void end(void)
{
	rankings_done(&rankings);
	assert_false(jobs_are_queued(&jobs));
	world_end();
}

/* Runs the query and jobs until the ranking of this path is there. Returns how many slices that
 * took. */
static unsigned int rank(const char *path, const struct ranking **ret)
{
	struct query query = fleet_query(world.fleet);
	struct question *question = NULL;
	char copy[200], *rest = copy, *name;
	unsigned int slices = 0;
	int err;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/"))) {
		struct question *next;

		assert_int_equal(question_parse(question, name, &next), 0);
		question_unref(question);
		question = next;
	}
	while ((err = rankings_find(&rankings, question, &query, false, ret)) == -EAGAIN) {
		if (world.wanted > 0)
			world_bring();
		else
			jobs_run_slice(&jobs);
		assert_true(++slices < 1000);
	}
	assert_int_equal(err, 0);
	question_unref(question);
	return slices;
}

static const char *id_at(const struct ranking *ranking, size_t index)
{
	return ranking_agent(ranking, index)->agent->id;
}

static void test_all_matching_agents_are_ranked_once_in_order(void **state)
{
	const struct ranking *ranking;

	begin(WORLD_MAX_AGENTS);
	world.first_status = "busy";
	rank("status=idle/sort=-id", &ranking);
	assert_int_equal(ranking_count(ranking), WORLD_MAX_AGENTS - 1);
	assert_string_equal(id_at(ranking, 0), "m999");
	for (size_t i = 1; i < ranking_count(ranking); i++)
		assert_true(strcmp(id_at(ranking, i - 1), id_at(ranking, i)) > 0);
	rank("status=busy/sort=id", &ranking);
	assert_int_equal(ranking_count(ranking), 1);
	rank("status=odd/sort=id", &ranking);
	assert_int_equal(ranking_count(ranking), 0);
	assert_int_equal(ranking_absent(ranking), -ENOENT);
	assert_int_equal(ranking_end(ranking), 0);
	end();
	(void)state;
}

static void test_equal_agents_keep_the_order_of_the_list(void **state)
{
	static const char *const paths[] = {"sort=status", "sort=-status", "sort=tool"};
	const struct ranking *ranking;
	char id[24];

	begin(WORLD_MAX_AGENTS);
	for (size_t n = 0; n < 3; n++) {
		rank(paths[n], &ranking);
		for (size_t i = 0; i < WORLD_MAX_AGENTS; i++) {
			snprintf(id, sizeof(id), "m%zu", i);
			assert_string_equal(id_at(ranking, i), id);
		}
	}
	end();
	(void)state;
}

static void test_ranking_is_built_in_slices_once_per_list(void **state)
{
	const struct ranking *first, *second;

	begin(WORLD_MAX_AGENTS);
	assert_true(rank("status=idle/sort=id", &first) >= 20);
	assert_int_equal(rank("status=idle/sort=id", &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(world.arrivals, 1);
	world.now_ms += WORLD_TTL_MS + 1;
	world.first_status = "busy";
	assert_true(rank("status=idle/sort=id", &second) >= 20);
	assert_ptr_equal(first, second);
	assert_int_equal(ranking_count(second), WORLD_MAX_AGENTS - 1);
	assert_int_equal(world.arrivals, 2);
	end();
	(void)state;
}

static void test_equal_questions_are_answered_once(void **state)
{
	const struct ranking *first, *second;

	begin(10);
	rank("status=idle/gpu_free=/sort=id", &first);
	assert_int_equal(rank("gpu_free=/status=idle/status=%69dle/sort=id", &second), 0);
	assert_ptr_equal(first, second);
	assert_true(rank("status=idle/sort=id", &second) > 0);
	assert_ptr_not_equal(first, second);
	end();
	(void)state;
}

static void test_agent_that_no_longer_answers_is_left_out(void **state)
{
	const struct ranking *ranking;

	begin(10);
	rank("status=idle/sort=id", &ranking);
	assert_string_equal(id_at(ranking, 0), "m0");
	world.now_ms += WORLD_TTL_MS + 1;
	world.first_status = "busy";
	world.count = 9;
	world_list();
	assert_null(ranking_agent(ranking, 0));
	assert_string_equal(id_at(ranking, 1), "m1");
	rank("status=idle/sort=id", &ranking);
	assert_int_equal(ranking_count(ranking), 8);
	assert_string_equal(id_at(ranking, 7), "m8");
	end();
	(void)state;
}

static void test_ranking_is_freed_when_unused_for_a_while(void **state)
{
	const struct ranking *ranking;

	begin(10);
	assert_int_equal(rankings_due_ms(&rankings), INT64_MAX);
	rank("sort=id", &ranking);
	world.now_ms += 1000;
	rank("sort=-id", &ranking);
	assert_int_equal(rankings_due_ms(&rankings), world.now_ms - 1000 + IDLE_MS);
	world.now_ms = rankings_due_ms(&rankings);
	rankings_tidy(&rankings);
	assert_int_equal(rankings.by_key.entry_count, 1);
	world.now_ms = rankings_due_ms(&rankings);
	rankings_tidy(&rankings);
	assert_int_equal(rankings.by_key.entry_count, 0);
	assert_int_equal(rankings.bytes, 0);
	assert_int_equal(rankings_due_ms(&rankings), INT64_MAX);
	end();
	(void)state;
}

static void test_any_number_of_questions_takes_a_bounded_amount_of_memory(void **state)
{
	const struct ranking *ranking;
	char path[100];

	begin(100);
	assert_int_equal(rankings.max_bytes, 16u << 20);
	rankings.max_bytes = 20000;
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "status!=x%d/sort=id", i);
		rank(path, &ranking);
		assert_int_equal(ranking_count(ranking), 100);
		assert_in_range(rankings.bytes, 1, 20000);
	}
	assert_in_range(rankings.by_key.entry_count, 10, 25);
	/* The last was not freed, the first was. */
	assert_int_equal(rank(path, &ranking), 0);
	assert_true(rank("status!=x0/sort=id", &ranking) > 0);
	/* Also while none can be built. */
	world.now_ms += WORLD_TTL_MS + 1;
	for (int i = 0; i < 100; i++) {
		struct query query = fleet_query(world.fleet);
		struct question *condition, *question;

		snprintf(path, sizeof(path), "status!=y%d", i);
		assert_int_equal(question_parse(NULL, path, &condition), 0);
		assert_int_equal(question_parse(condition, "sort=id", &question), 0);
		question_unref(condition);
		assert_int_equal(rankings_find(&rankings, question, &query, false, &ranking),
		                 -EAGAIN);
		assert_in_range(rankings.bytes, 1, 20000);
		question_unref(question);
	}
	world_bring();
	end();
	(void)state;
}

static void test_query_ends_although_lists_expire_faster_than_rankings_are_built(void **state)
{
	const struct ranking *ranking;
	struct question *question;
	struct query query;
	int err;

	begin(WORLD_MAX_AGENTS);
	assert_int_equal(question_parse(NULL, "sort=id", &question), 0);
	query = fleet_query(world.fleet);
	for (int slices = 0;; slices++) {
		err = rankings_find(&rankings, question, &query, false, &ranking);
		if (err != -EAGAIN)
			break;
		if (world.wanted > 0)
			world_bring();
		jobs_run_slice(&jobs);
		assert_true(slices < 1000);
		if (slices % 8 == 0) {
			world.now_ms += WORLD_TTL_MS + 1;
			world_list();
		}
	}
	assert_int_equal(err, 0);
	question_unref(question);
	end();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_matching_agents_are_ranked_once_in_order),
		cmocka_unit_test(test_equal_agents_keep_the_order_of_the_list),
		cmocka_unit_test(test_ranking_is_built_in_slices_once_per_list),
		cmocka_unit_test(test_equal_questions_are_answered_once),
		cmocka_unit_test(test_agent_that_no_longer_answers_is_left_out),
		cmocka_unit_test(test_ranking_is_freed_when_unused_for_a_while),
		cmocka_unit_test(test_any_number_of_questions_takes_a_bounded_amount_of_memory),
		cmocka_unit_test(
			test_query_ends_although_lists_expire_faster_than_rankings_are_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
