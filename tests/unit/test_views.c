/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/reports/views.h"
#include "fs/tree/tree.h"
#include "tests/unit/report_world.h"

static struct jobs jobs;
static struct views *views;
static char got[100];

static void begin(size_t count)
{
	world_begin(count);
	jobs_init(&jobs);
	views = views_new(&world.status, &jobs, WORLD_TTL_MS, WORLD_SEED);
	assert_non_null(views);
}

static void end(void)
{
	views_free(views);
	world_end();
}

/* Reports */

static size_t count_borrowed(const struct report *report)
{
	size_t count = 0;

	for (size_t i = 0; i < report->section_count; i++)
		for (size_t at = 0; at < report->sections[i].count; at++)
			count += report->sections[i].chunks[at].row.agent != NULL;
	return count;
}

static const struct tree_row *row_of(enum tree_report kind)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].report == kind)
			return &tree_rows[i];
	fail_msg("no row is this report");
	return NULL;
}

/* Runs the queries and jobs until the report is there. Returns how many slices that took. */
static unsigned int query_report(enum tree_report kind, struct report **ret)
{
	struct query query = fleet_query(world.fleet);
	unsigned int slices = 0;
	int err;

	for (;;) {
		err = views_report(views, row_of(kind), &query, ret);
		if (err != -EAGAIN)
			break;
		if (world.wanted > 0) {
			world_bring();
			continue;
		}
		assert_true(jobs_are_queued(&jobs));
		do
			assert_true(++slices < 200);
		while (!jobs_run_slice(&jobs));
	}
	assert_int_equal(err, 0);
	return slices;
}

static void test_report_with_the_same_text_is_kept_with_its_time(void **state)
{
	struct report *first, *second;

	begin(10);
	query_report(TREE_TSV, &first);
	report_ref(first);
	assert_int_equal(world.arrivals, 1);
	assert_int_equal(query_report(TREE_TSV, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(world.arrivals, 1);
	world.now_ms += WORLD_TTL_MS + 1;
	query_report(TREE_TSV, &second);
	assert_int_equal(world.arrivals, 2);
	assert_ptr_equal(first, second);
	assert_int_equal(second->mtime_ns, WORLD_WALL_NS + 1000 * 1000000);
	world.now_ms += WORLD_TTL_MS + 1;
	world.first_status = "busy";
	query_report(TREE_TSV, &second);
	assert_ptr_not_equal(first, second);
	assert_int_equal(second->mtime_ns, WORLD_WALL_NS + world.now_ms * 1000000);
	/* Both have the same length. */
	assert_int_equal(first->bytes, second->bytes);
	report_unref(first);
	end();
	(void)state;
}

static void test_reports_are_built_in_slices_by_turns(void **state)
{
	struct report *tsv, *json;
	struct query first, second, third;
	bool ended = false;

	begin(WORLD_MAX_AGENTS);
	assert_true(query_report(TREE_TSV, &tsv) >= 5);
	world.now_ms += WORLD_TTL_MS + 1;
	world_list();
	first = fleet_query(world.fleet);
	second = fleet_query(world.fleet);
	third = fleet_query(world.fleet);
	assert_int_equal(views_report(views, row_of(TREE_TSV), &first, &tsv), -EAGAIN);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &second, &json), -EAGAIN);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &third, &json), -EAGAIN);
	/* Each query waits for the end of its job, and the jobs end in the same round. */
	for (int i = 0; i < 8; i++) {
		assert_false(jobs_run_slice(&jobs));
		assert_int_equal(views_report(views, row_of(TREE_TSV), &first, &tsv), -EAGAIN);
	}
	while (!ended)
		ended = jobs_run_slice(&jobs);
	ended = false;
	for (int i = 0; i < 2 && !ended; i++)
		ended = jobs_run_slice(&jobs);
	assert_true(ended);
	assert_false(jobs_are_queued(&jobs));
	assert_int_equal(views_report(views, row_of(TREE_TSV), &first, &tsv), 0);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &second, &json), 0);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &third, &json), 0);
	assert_int_equal(count_borrowed(json), WORLD_MAX_AGENTS);
	end();
	(void)state;
}

static void test_failed_build_is_an_error_for_each_query_that_waited(void **state)
{
	struct query first, second, later;
	struct report *json;

	begin(10);
	world.json_is_too_long = true;
	world_list();
	first = fleet_query(world.fleet);
	second = fleet_query(world.fleet);
	later = fleet_query(world.fleet);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &first, &json), -EAGAIN);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &second, &json), -EAGAIN);
	assert_true(jobs_run_slice(&jobs));
	assert_int_equal(views_report(views, row_of(TREE_JSON), &first, &json), -EFBIG);
	assert_int_equal(views_report(views, row_of(TREE_JSON), &second, &json), -EFBIG);
	assert_false(jobs_are_queued(&jobs));
	/* A query that did not wait for it queues another build. */
	assert_int_equal(views_report(views, row_of(TREE_JSON), &later, &json), -EAGAIN);
	assert_true(jobs_are_queued(&jobs));
	end();
	(void)state;
}

static void test_reports_are_freed_when_unused_for_two_ttls(void **state)
{
	struct report *report;

	begin(10);
	assert_int_equal(views_due_ms(views), INT64_MAX);
	assert_false(views_tidy(views));
	query_report(TREE_SUMMARY, &report);
	report_ref(report);
	assert_false(views_tidy(views));
	assert_true(views_due_ms(views) > world.now_ms + 2 * WORLD_TTL_MS);
	world.now_ms = views_due_ms(views);
	assert_true(views_tidy(views));
	assert_int_equal(views_due_ms(views), INT64_MAX);
	/* A reader that has it open keeps it. */
	assert_int_equal(report->refs, 1);
	assert_true(report_read(report, 0, sizeof(got), got) > 0);
	assert_memory_equal(got, "agents: 10\nagents_idle: 10\n", 27);
	report_unref(report);
	end();
	(void)state;
}

/* The list that the query began with is enough, or a later one. */
static void test_query_ends_although_lists_expire_faster_than_reports_are_built(void **state)
{
	struct report *report;
	struct query query;
	int err;

	begin(WORLD_MAX_AGENTS);
	query = fleet_query(world.fleet);
	for (int slices = 0;; slices++) {
		err = views_report(views, row_of(TREE_TSV), &query, &report);
		if (err != -EAGAIN)
			break;
		if (world.wanted > 0)
			world_bring();
		jobs_run_slice(&jobs);
		assert_true(slices < 100);
		if (slices % 8 == 0) {
			world.now_ms += WORLD_TTL_MS + 1;
			world_list();
		}
	}
	assert_int_equal(err, 0);
	end();
	(void)state;
}

/* Searches all bytes of the page. */
static bool page_contains(const char *words)
{
	struct report *report;
	ssize_t bytes;
	bool found;
	char *text;

	world.now_ms += WORLD_TTL_MS + 1;
	query_report(TREE_HTML, &report);
	text = malloc(report->bytes);
	assert_non_null(text);
	bytes = report_read(report, 0, report->bytes, text);
	assert_int_equal(bytes, report->bytes);
	found = memmem(text, (size_t)bytes, words, strlen(words)) != NULL;
	free(text);
	return found;
}

static void test_page_has_the_title_of_the_fleet(void **state)
{
	begin(1);
	world.status.title = "Paris \"&\" Rome</script>";
	assert_true(page_contains(
		"\"title\":\"Paris \\u0022\\u0026\\u0022 Rome\\u003c/script\\u003e\","));
	world.status.title = NULL;
	end();
	(void)state;
}

/* Groups */

static const struct tree_row *row_by_status(void)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].view && tree_rows[i].field == AGENT_STATUS)
			return &tree_rows[i];
	fail_msg("no view is by status");
	return NULL;
}

/* Runs the query and jobs until the groups are there. */
static const struct groups *query_groups(void)
{
	struct query query = fleet_query(world.fleet);
	const struct groups *groups;
	int err;

	do {
		err = views_groups(views, row_by_status(), &query, &groups);
		if (err == -EAGAIN && world.wanted > 0)
			world_bring();
		else
			jobs_run_slice(&jobs);
	} while (err == -EAGAIN);
	assert_int_equal(err, 0);
	return groups;
}

/* So a listing of groups can continue after newer lists and after a pause. */
static void test_group_keeps_its_number_in_later_lists(void **state)
{
	const struct groups *groups;
	struct query query = {0};

	begin(10);
	world.first_status = "odd";
	groups = query_groups();
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	assert_int_equal(groups->order[0]->number, 1);
	assert_string_equal(groups->order[0]->value, "idle");
	assert_string_equal(groups->order[5]->value, "odd");
	world.first_status = "other";
	for (int i = 0; i < 10; i++) {
		world.now_ms += WORLD_TTL_MS;
		assert_ptr_equal(query_groups(), groups);
	}
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	assert_int_equal(groups->order[0]->number, 1);
	assert_int_equal(groups_after(groups, 5), 5);
	assert_int_equal(groups_after(groups, 6), 5);
	assert_int_equal(groups_after(groups, 7), 6);
	assert_string_equal(groups->order[5]->value, "other");
	assert_int_equal(groups->order[5]->number, 7);
	world.now_ms = views_due_ms(views);
	assert_true(views_tidy(views));
	world.now_ms += 100 * 60000;
	assert_int_equal(views_due_ms(views), INT64_MAX);
	assert_false(views_tidy(views));
	assert_ptr_equal(views_groups_after(views, row_by_status(), &query, 1), groups);
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	end();
	(void)state;
}

/* Then a listing cannot continue, and no number is reused. */
static void test_large_groups_are_freed_a_minute_after_their_last_listing(void **state)
{
	struct query query = {0};

	begin(2000);
	world.own_statuses = true;
	world.status_bytes = 9000; /* 18 MB */
	assert_int_equal(query_groups()->count, AGENT_STATUSES + 2000);
	world.now_ms += 59000;
	views_tidy(views);
	assert_non_null(views_groups_after(views, row_by_status(), &query, 1));
	assert_true(views_due_ms(views) <= world.now_ms + 60000);
	world.now_ms += 60000;
	views_tidy(views);
	assert_null(views_groups_after(views, row_by_status(), &query, 1));
	world.status_bytes = 0;
	world.now_ms += WORLD_TTL_MS;
	assert_int_equal(query_groups()->order[0]->number, AGENT_STATUSES + 2001);
	end();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_with_the_same_text_is_kept_with_its_time),
		cmocka_unit_test(test_reports_are_built_in_slices_by_turns),
		cmocka_unit_test(test_failed_build_is_an_error_for_each_query_that_waited),
		cmocka_unit_test(test_reports_are_freed_when_unused_for_two_ttls),
		cmocka_unit_test(
			test_query_ends_although_lists_expire_faster_than_reports_are_built),
		cmocka_unit_test(test_page_has_the_title_of_the_fleet),
		cmocka_unit_test(test_group_keeps_its_number_in_later_lists),
		cmocka_unit_test(test_large_groups_are_freed_a_minute_after_their_last_listing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
