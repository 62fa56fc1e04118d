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

#include "fs/reports/report_builder.h"
#include "fs/reports/report_kinds.h"
#include "tests/unit/agents.h"
#include "tests/unit/report_world.h"

#define TEXT_BYTES (1u << 20)

/* Reading */

enum { FIFTH_SECTION = 5, LAST_SECTION = 7 };

static void begin_three(struct report_builder *builder)
{
	text_printf(report_builder_text(builder, 0), "head\n");
	text_printf(report_builder_text(builder, FIFTH_SECTION), "fifth\n");
}

static void row_three(struct text *text, size_t section, const struct report_row *row)
{
	if (section == 0) {
		text_bytes(text, ",", !row->is_first);
		text_bytes(text, row->agent->json, row->agent->json_bytes);
	} else if (section == 2) {
		text_printf(text, "%s %s\n", row->agent->id, row->agent->status);
	}
}

static void end_three(struct report_builder *builder)
{
	text_printf(report_builder_text(builder, 1), "%zu agents, %zu with a status\n",
	            builder->totals.agents, builder->totals.with_status);
	text_printf(report_builder_text(builder, LAST_SECTION), "tail\n");
}

static const struct report_kind three = {.begin = begin_three,
                                         .write_row = row_three,
                                         .end = end_three,
                                         .sections = LAST_SECTION + 1,
                                         .rows_end = 3};

/* The text of a report of this kind. */
static size_t expect_three(char ret[static TEXT_BYTES])
{
	size_t at = (size_t)sprintf(ret, "head\n");
	const char *status;

	for (size_t i = 0; i < world.count; i++) {
		status = i == 0 ? world.first_status : "idle";
		at += (size_t)sprintf(ret + at,
		                      "%s{\"agent_id\":\"m%zu\",\"agent_status\":\"%s\"}\n",
		                      i > 0 ? "," : "", i, status);
	}
	at += (size_t)sprintf(ret + at, "%zu agents, %zu with a status\n", world.count,
	                      world.count);
	for (size_t i = 0; i < world.count; i++)
		at += (size_t)sprintf(ret + at, "m%zu %s\n", i,
		                      i == 0 ? world.first_status : "idle");
	return at + (size_t)sprintf(ret + at, "fifth\ntail\n");
}

static char expected[TEXT_BYTES], got[TEXT_BYTES];

static struct report *build_three(size_t slice)
{
	struct report_builder *builder =
		report_builder_new(&three, &world.status, world_list(), WORLD_SEED);
	int err;

	assert_non_null(builder);
	while ((err = report_builder_continue(builder, slice)) == -EAGAIN)
		;
	assert_int_equal(err, 0);
	return report_builder_finish(builder);
}

static void test_report_is_read_at_every_offset_and_size(void **state)
{
	static const size_t counts[] = {0, 1, 2, 7};

	for (size_t at = 0; at < 2 * sizeof(counts) / sizeof(counts[0]); at++) {
		struct report *report;
		size_t bytes;

		world_begin(counts[at / 2]);
		world.rows_are_mixed = at % 2;
		report = build_three(3);
		bytes = expect_three(expected);
		assert_int_equal(report->bytes, bytes);
		for (size_t offset = 0; offset < bytes + 3; offset++) {
			for (size_t size = 0; size < bytes + 3; size++) {
				size_t left = offset < bytes ? bytes - offset : 0;
				size_t wanted = size < left ? size : left;

				got[wanted] = '#';
				assert_int_equal(report_read(report, offset, size, got), wanted);
				if (wanted > 0)
					assert_memory_equal(got, expected + offset, wanted);
				assert_int_equal(got[wanted], '#');
			}
		}
		assert_int_equal(report_read(report, UINT64_MAX, 100, got), 0);
		assert_int_equal(report_read(report, UINT64_C(1) << 62, 100, got), 0);
		report_unref(report);
		world_end();
	}
	(void)state;
}

static void test_slices_of_any_size_build_the_same_report(void **state)
{
	static const size_t slices[] = {1, 2, 7, 50, 100, 101, 1000};
	size_t bytes;

	world_begin(100);
	world.rows_are_mixed = true;
	bytes = expect_three(expected);
	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		struct report *report = build_three(slices[i]);

		assert_int_equal(report_read(report, 0, TEXT_BYTES, got), bytes);
		assert_memory_equal(got, expected, bytes);
		report_unref(report);
	}
	world_end();
	(void)state;
}

/* The report holds the agents of its borrowed rows. */
static void test_report_outlives_its_list_and_fleet(void **state)
{
	struct report *report, *again;
	size_t bytes;

	world_begin(20);
	world.rows_are_mixed = true;
	report = report_ref(build_three(8));
	bytes = expect_three(expected);
	report_unref(report);
	world.count = 3;
	world.first_status = "busy";
	world.now_ms += WORLD_TTL_MS + 1;
	again = build_three(8);
	assert_int_not_equal(again->hash, report->hash);
	world_end();
	assert_int_equal(report_read(report, 0, TEXT_BYTES, got), bytes);
	assert_memory_equal(got, expected, bytes);
	report_unref(report);
	report_unref(again);
	report_unref(NULL);
	(void)state;
}

static void row_long(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	text_printf(text, "%100000s\n", row->agent->id);
}

static const struct report_kind long_rows = {.write_row = row_long, .sections = 1, .rows_end = 1};

static void test_row_is_owned_unless_it_takes_more_bytes_than_its_agent(void **state)
{
	struct report_builder *builder;
	uint64_t stored = 0;

	world_begin(300);
	builder = report_builder_new(&long_rows, &world.status, world_list(), WORLD_SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		assert_true(report_builder_text(builder, 0)->capacity < 300000);
	assert_int_equal(report_builder_text(builder, 0)->length, 0);
	assert_int_equal(builder->report->bytes, 300 * 100001);
	assert_int_equal(report_read(builder->report, 299 * 100001 + 99990, 100, got), 11);
	assert_memory_equal(got, "      m299\n", 11);
	report_builder_free(builder);
	builder = report_builder_new(&three, &world.status, world_list(), WORLD_SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		;
	for (size_t i = 0; i <= LAST_SECTION; i++) {
		const struct report_section *section = &builder->report->sections[i];

		stored += section->text.length;
		/* Nothing is borrowed: all bytes are one owned chunk. */
		assert_int_equal(section->count, section->text.length > 0);
	}
	assert_int_equal(stored, builder->report->bytes);
	report_builder_free(builder);
	world_end();
	(void)state;
}

static void row_id(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	text_printf(text, "%s\n", row->agent->id);
}

/* The hash of a report of one slice: an empty line, a stored row and a referenced one. */
static uint64_t hash_of_two_rows(const struct agent *agent, bool stored_first)
{
	struct report *report = report_new(row_id, 1, WORLD_SEED);
	struct text *text = &report->sections[0].text;
	const struct report_row row = {.agent = agent};
	uint64_t hash;
	size_t begin;

	text_printf(text, stored_first ? "\nstored\n" : "\n");
	begin = text->length;
	row_id(text, 0, &row);
	assert_int_equal(report_reference_row(report, 0, begin, &row), 0);
	text_printf(text, stored_first ? "" : "stored\n");
	assert_int_equal(report_hash(report), 0);
	assert_int_equal(report_finish(report), 0);
	hash = report->hash;
	report_unref(report);
	return hash;
}

static void test_hash_depends_on_the_order_of_rows(void **state)
{
	const struct agent *agent = agents_new("a", "idle");
	uint64_t hash;

	hash = hash_of_two_rows(agent, true);
	assert_int_not_equal(hash, hash_of_two_rows(agent, false));
	agent_unref(agent);
	(void)state;
}

/* Slices */

static void test_slice_is_short_although_rows_are_long(void **state)
{
	struct report_builder *builder;
	size_t slices = 1;

	world_begin(50);
	builder = report_builder_new(&long_rows, &world.status, world_list(), WORLD_SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		slices++;
	assert_true(slices >= 50 * 100001 / 300000);
	assert_int_equal(builder->report->bytes, 50 * 100001);
	report_builder_free(builder);
	world_end();
	(void)state;
}

static void test_statuses_are_written_in_slices(void **state)
{
	const struct report_kind *const kinds[] = {&report_summary, &report_metrics};

	world_begin(WORLD_MAX_AGENTS);
	world.own_statuses = true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct report_builder *builder =
			report_builder_new(kinds[i], &world.status, world_list(), WORLD_SEED);
		const struct report *report = builder->report;
		uint64_t before, after = 0;
		int err;

		assert_non_null(builder);
		do {
			before = after;
			err = report_builder_continue(builder, 100);
			after = 0;
			for (size_t at = 0; at < report->section_count; at++)
				after += report->sections[at].text.length;
		} while (err == -EAGAIN);
		assert_int_equal(err, 0);
		assert_true(after - before < 20000); /* by the last slice; all statuses: 100000 */
		report_unref(report_builder_finish(builder));
	}
	world_end();
	(void)state;
}

/* Writes one byte. Expects the documented statuses, and then the others by value. */
static void write_sorted_status(struct report_builder *builder, const struct group *group)
{
	struct text *text = report_builder_text(builder, 0);
	static const struct group *previous;

	if (builder->statuses_written - 1 < AGENT_STATUSES)
		assert_string_equal(group->value, agent_statuses[builder->statuses_written - 1]);
	else if (previous && builder->statuses_written - 1 > AGENT_STATUSES)
		assert_true(strcmp(previous->value, group->value) < 0);
	previous = group;
	text_bytes(text, "#", 1);
}

static void test_undocumented_statuses_are_written_in_their_order(void **state)
{
	static const struct report_kind kind = {.write_status = write_sorted_status, .sections = 1};

	for (size_t count = 0; count < 400; count = count < 12 ? count + 1 : 3 * count) {
		struct report_builder *builder;
		struct report *report;

		world_begin(count);
		world.own_statuses = true;
		builder = report_builder_new(&kind, &world.status, world_list(), WORLD_SEED);
		assert_non_null(builder);
		while (report_builder_continue(builder, 7) == -EAGAIN)
			;
		report = report_builder_finish(builder);
		assert_int_equal(report->bytes, AGENT_STATUSES + count); /* each once */
		report_unref(report);
		world_end();
	}
	(void)state;
}

/* Errors */

static void begin_small(struct report_builder *builder)
{
	report_builder_text(builder, 2)->ceiling = 40;
}

static const struct report_kind small = {
	.begin = begin_small, .write_row = row_three, .sections = 3, .rows_end = 3};

static void test_text_beyond_the_ceiling_is_an_error(void **state)
{
	struct report_builder *builder;

	world_begin(20);
	builder = report_builder_new(&small, &world.status, world_list(), WORLD_SEED);
	assert_non_null(builder);
	assert_int_equal(report_builder_continue(builder, 2), -EAGAIN);
	assert_int_equal(report_builder_continue(builder, 10), -EFBIG);
	report_builder_free(builder);
	report_builder_free(NULL);
	world_end();
	(void)state;
}

static void test_forgotten_list_is_an_error(void **state)
{
	struct report_builder *builder;

	world_begin(5);
	builder = report_builder_new(&three, &world.status, world_list() + (UINT64_C(1000) << 32),
	                             WORLD_SEED);
	assert_non_null(builder);
	assert_int_equal(report_builder_continue(builder, 10), -ESTALE);
	report_builder_free(builder);
	world_end();
	(void)state;
}

/* Totals */

static void test_values_of_an_agent_are_summed_up_to_the_maximum(void **state)
{
	static const struct agent_gpu gpus[] = {
		{"a", NULL, 100, 40, 60},
		{"b", NULL, AGENT_ABSENT, 7, AGENT_ABSENT},
		{"c", NULL, INT64_MAX - 50, AGENT_ABSENT, AGENT_ABSENT},
	};
	struct agent agent = agents_blank("a");

	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_TOTAL), AGENT_ABSENT);
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_CAPACITY), AGENT_ABSENT);
	agent.gpu_capacity = 0;
	agent.gpus = gpus;
	agent.gpu_count = 2;
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_CAPACITY), 0);
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_TOTAL), 100);
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_FREE), 47);
	agent.gpu_count = 3;
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_TOTAL), INT64_MAX);
	assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_USED), 60);
	(void)state;
}

static void test_sum_that_reached_a_limit_stays_there(void **state)
{
	static const struct agent_gpu gpus[] = {
		{"a", NULL, INT64_MAX - 1, -INT64_MAX + 1, -1},
		{"b", NULL, 2, -3, -INT64_MAX},
		{"c", NULL, -5, 5, 5},
	};
	struct agent agent = agents_blank("a");

	agent.gpus = gpus;
	for (agent.gpu_count = 2; agent.gpu_count <= 3; agent.gpu_count++) {
		assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_TOTAL), INT64_MAX);
		assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_FREE), -INT64_MAX);
		assert_int_equal(totals_agent_sum(&agent, AGENT_GPU_VRAM_USED), -INT64_MAX);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_is_read_at_every_offset_and_size),
		cmocka_unit_test(test_slices_of_any_size_build_the_same_report),
		cmocka_unit_test(test_report_outlives_its_list_and_fleet),
		cmocka_unit_test(test_row_is_owned_unless_it_takes_more_bytes_than_its_agent),
		cmocka_unit_test(test_hash_depends_on_the_order_of_rows),
		cmocka_unit_test(test_slice_is_short_although_rows_are_long),
		cmocka_unit_test(test_statuses_are_written_in_slices),
		cmocka_unit_test(test_undocumented_statuses_are_written_in_their_order),
		cmocka_unit_test(test_text_beyond_the_ceiling_is_an_error),
		cmocka_unit_test(test_forgotten_list_is_an_error),
		cmocka_unit_test(test_values_of_an_agent_are_summed_up_to_the_maximum),
		cmocka_unit_test(test_sum_that_reached_a_limit_stays_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
