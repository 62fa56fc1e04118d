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

#include "fs/reports/report_builder.h"
#include "fs/reports/report_kinds.h"
#include "fs/reports/views.h"
#include "fs/tree/names.h"
#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define SEED        12345
#define TTL_MS      10000
#define WALL_NS     INT64_C(1700000000000000000)
#define MOST        3000
#define TEXT_BYTES  (1u << 20)
#define AGENT_BYTES 1000 /* many more than its rows have */

/* A fleet whose list is one page, in virtual time. */

static struct {
	struct fleet *fleet;
	struct jobs jobs;
	struct views *views;
	int64_t now_ms;
	unsigned int wanted;
	size_t count;       /* of the agents that the API has */
	const char *status; /* of the first of them; the others are idle */
	bool own_statuses;  /* or each has one of its own, … */
	int status_bytes;   /* … this long at the least */
	bool too_long;      /* the JSON of the first agent is longer than a report may be */
	bool mixed_rows;    /* some are stored and some are not; else all are stored */
	unsigned int arrivals;
} world;

static int want(void *user, unsigned int page, const struct validator *condition, bool no_cache)
{
	(void)user;
	(void)condition;
	(void)no_cache;
	assert_int_equal(page, 1);
	world.wanted++;
	return 0;
}

static int64_t now_ms(void *user)
{
	(void)user;
	return world.now_ms;
}

static int64_t wall_ns(void *user)
{
	(void)user;
	return WALL_NS + world.now_ms * 1000000;
}

static uint32_t draw(void *user)
{
	(void)user;
	return 4;
}

static void begin_world(size_t count)
{
	const struct fleet_config config = {
		.ttl_ms = TTL_MS, .stale_ms = 60000, .per_page = MOST, .max_connections = 1};
	const struct fleet_ports ports = {.want = want,
	                                  .now_ms = now_ms,
	                                  .wall_ns = wall_ns,
	                                  .random = draw,
	                                  .name = name_encode};

	memset(&world, 0, sizeof(world));
	world.now_ms = 1000;
	world.count = count;
	world.status = "idle";
	world.fleet = fleet_new(&config, &ports);
	assert_non_null(world.fleet);
	jobs_init(&world.jobs);
	world.views = views_new(world.fleet, &world.jobs, TTL_MS, SEED);
	assert_non_null(world.views);
}

static void end_world(void)
{
	views_free(world.views);
	fleet_free(world.fleet);
}

static void bring(void)
{
	struct page *page = agents_page(world.count);
	char id[24], status[10000];
	struct agent *agent;
	int err;

	while (page->agent_count < world.count) {
		snprintf(id, sizeof(id), "m%zu", page->agent_count);
		snprintf(status, sizeof(status), "%*s", world.status_bytes, id);
		agent = agents_new(id, world.own_statuses       ? status
		                       : page->agent_count == 0 ? world.status
		                                                : "idle");
		/* What it takes is what decides whether its rows are stored. */
		agent->bytes = world.mixed_rows && page->agent_count % 3 != 0 ? 0 : AGENT_BYTES;
		if (world.too_long)
			agent->json_bytes = (UINT32_C(1) << 30) + 1;
		page->agents[page->agent_count] = agent;
		page->agent_count++;
	}
	page->total_count = (int64_t)world.count;
	page->per_page = MOST;
	world.wanted = 0;
	world.arrivals++;
	err = fleet_arrived(world.fleet, 1, page);
	while (err == -EAGAIN)
		err = fleet_arrive_on(world.fleet);
	assert_int_equal(err, 0);
}

/* The cursor of the whole list, read afresh if that is due. */
static uint64_t whole_list(void)
{
	struct query query = fleet_query(world.fleet);
	uint64_t list;
	int err;

	while ((err = fleet_whole(world.fleet, &query, &list)) == -EAGAIN)
		bring();
	assert_int_equal(err, 0);
	return list;
}

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

/* What that sheet says of this fleet. */
static size_t say_three(char ret[static TEXT_BYTES])
{
	size_t at = (size_t)sprintf(ret, "head\n");
	const char *status;

	for (size_t i = 0; i < world.count; i++) {
		status = i == 0 ? world.status : "idle";
		at += (size_t)sprintf(ret + at,
		                      "%s{\"agent_id\":\"m%zu\",\"agent_status\":\"%s\"}\n",
		                      i > 0 ? "," : "", i, status);
	}
	at += (size_t)sprintf(ret + at, "%zu agents, %zu with a status\n", world.count,
	                      world.count);
	for (size_t i = 0; i < world.count; i++)
		at += (size_t)sprintf(ret + at, "m%zu %s\n", i, i == 0 ? world.status : "idle");
	return at + (size_t)sprintf(ret + at, "fifth\ntail\n");
}

static char said[TEXT_BYTES], got[TEXT_BYTES];

static struct document *write_document(size_t at_a_time)
{
	struct report_builder *builder =
		report_builder_new(&three, world.fleet, whole_list(), SEED);
	int err;

	assert_non_null(builder);
	while ((err = report_builder_continue(builder, at_a_time)) == -EAGAIN)
		;
	assert_int_equal(err, 0);
	return report_builder_finish(builder);
}

static void test_reads_at_every_offset_and_size(void **state)
{
	static const size_t counts[] = {0, 1, 2, 7};

	for (size_t at = 0; at < 2 * sizeof(counts) / sizeof(counts[0]); at++) {
		struct document *document;
		size_t bytes;

		begin_world(counts[at / 2]);
		world.mixed_rows = at % 2;
		document = write_document(3);
		bytes = say_three(said);
		assert_int_equal(document->bytes, bytes);
		for (size_t offset = 0; offset < bytes + 3; offset++) {
			for (size_t size = 0; size < bytes + 3; size++) {
				size_t left = offset < bytes ? bytes - offset : 0;
				size_t wanted = size < left ? size : left;

				got[wanted] = '#';
				assert_int_equal(document_read(document, offset, size, got),
				                 wanted);
				if (wanted > 0)
					assert_memory_equal(got, said + offset, wanted);
				assert_int_equal(got[wanted], '#');
			}
		}
		assert_int_equal(document_read(document, UINT64_MAX, 100, got), 0);
		assert_int_equal(document_read(document, UINT64_C(1) << 62, 100, got), 0);
		document_unref(document);
		end_world();
	}
	(void)state;
}

static void test_says_the_same_however_it_is_sliced(void **state)
{
	static const size_t slices[] = {1, 2, 7, 50, 100, 101, 1000};
	size_t bytes;

	begin_world(100);
	world.mixed_rows = true;
	bytes = say_three(said);
	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		struct document *document = write_document(slices[i]);

		assert_int_equal(document_read(document, 0, TEXT_BYTES, got), bytes);
		assert_memory_equal(got, said, bytes);
		document_unref(document);
	}
	end_world();
	(void)state;
}

/* Its agents stay, whatever becomes of them in the fleet. */
static void test_outlives_the_list(void **state)
{
	struct document *document, *again;
	size_t bytes;

	begin_world(20);
	world.mixed_rows = true;
	document = document_ref(write_document(8));
	bytes = say_three(said);
	document_unref(document);
	world.count = 3;
	world.status = "busy";
	world.now_ms += TTL_MS + 1;
	again = write_document(8);
	assert_int_not_equal(again->hash, document->hash);
	end_world();
	assert_int_equal(document_read(document, 0, TEXT_BYTES, got), bytes);
	assert_memory_equal(got, said, bytes);
	document_unref(document);
	document_unref(again);
	document_unref(NULL);
	(void)state;
}

static void row_long(struct text *text, size_t section, const struct report_row *row)
{
	(void)section;
	text_printf(text, "%100000s\n", row->agent->id);
}

static const struct report_kind long_winded = {.write_row = row_long, .sections = 1, .rows_end = 1};

/* A row is stored unless it takes more than its agent. */
static void test_a_document_stores_no_more_than_its_agents_take(void **state)
{
	struct report_builder *builder;
	uint64_t stored = 0;

	begin_world(300);
	builder = report_builder_new(&long_winded, world.fleet, whole_list(), SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		assert_true(report_builder_text(builder, 0)->capacity < 300000);
	assert_int_equal(report_builder_text(builder, 0)->length, 0);
	assert_int_equal(builder->document->bytes, 300 * 100001);
	assert_int_equal(document_read(builder->document, 299 * 100001 + 99990, 100, got), 11);
	assert_memory_equal(got, "      m299\n", 11);
	report_builder_free(builder);
	builder = report_builder_new(&three, world.fleet, whole_list(), SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		;
	for (size_t i = 0; i <= LAST_SECTION; i++) {
		const struct report_section *section = &builder->document->sections[i];

		stored += section->text.length;
		/* Nothing is borrowed: all bytes are one owned chunk. */
		assert_int_equal(section->count, section->text.length > 0);
	}
	assert_int_equal(stored, builder->document->bytes);
	report_builder_free(builder);
	end_world();
	(void)state;
}

/* Errors */

static void begin_small(struct report_builder *builder)
{
	report_builder_text(builder, 2)->ceiling = 40;
}

static const struct report_kind small = {
	.begin = begin_small, .write_row = row_three, .sections = 3, .rows_end = 3};

static void test_a_text_that_is_too_long_is_an_error(void **state)
{
	struct report_builder *builder;

	begin_world(20);
	builder = report_builder_new(&small, world.fleet, whole_list(), SEED);
	assert_non_null(builder);
	assert_int_equal(report_builder_continue(builder, 2), -EAGAIN);
	assert_int_equal(report_builder_continue(builder, 10), -EFBIG);
	report_builder_free(builder);
	report_builder_free(NULL);
	end_world();
	(void)state;
}

static void test_a_list_that_is_forgotten_is_an_error(void **state)
{
	struct report_builder *builder;

	begin_world(5);
	builder = report_builder_new(&three, world.fleet, whole_list() + (UINT64_C(1000) << 32),
	                             SEED);
	assert_non_null(builder);
	assert_int_equal(report_builder_continue(builder, 10), -ESTALE);
	report_builder_free(builder);
	end_world();
	(void)state;
}

/* Sums */

static void test_sums(void **state)
{
	static const struct agent_gpu gpus[] = {
		{"a", NULL, 100, 40, 60},
		{"b", NULL, AGENT_ABSENT, 7, AGENT_ABSENT},
		{"c", NULL, INT64_MAX - 50, AGENT_ABSENT, AGENT_ABSENT},
	};
	struct agent agent = agents_blank("a");

	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_VRAM_TOTAL), AGENT_ABSENT);
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_CAPACITY), AGENT_ABSENT);
	agent.gpu_capacity = 0;
	agent.gpus = gpus;
	agent.gpu_count = 2;
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_CAPACITY), 0);
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_VRAM_TOTAL), 100);
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_VRAM_FREE), 47);
	agent.gpu_count = 3;
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_VRAM_TOTAL), INT64_MAX);
	assert_int_equal(totals_of_agent(&agent, AGENT_GPU_VRAM_USED), 60);
	(void)state;
}

/* Of views: written when somebody asks, in slices, once for each list. */

static size_t count_borrowed(const struct document *document)
{
	size_t count = 0;

	for (size_t i = 0; i < document->section_count; i++)
		for (size_t at = 0; at < document->sections[i].count; at++)
			count += document->sections[i].chunks[at].row.agent != NULL;
	return count;
}

static const struct row *row_of(enum tree_report report)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].report == report)
			return &tree_rows[i];
	fail_msg("no row is this report");
	return NULL;
}

/* Runs the queries and jobs until the report is there. Returns how many slices that took. */
static unsigned int ask(enum tree_report report, struct document **ret)
{
	struct query query = fleet_query(world.fleet);
	unsigned int slices = 0;
	int err;

	for (;;) {
		err = views_document(world.views, row_of(report), &query, ret);
		if (err != -EAGAIN)
			break;
		if (world.wanted > 0) {
			bring();
			continue;
		}
		assert_true(jobs_are_queued(&world.jobs));
		do
			assert_true(++slices < 100);
		while (!jobs_run_slice(&world.jobs));
	}
	assert_int_equal(err, 0);
	return slices;
}

static void test_the_same_twice_is_one(void **state)
{
	struct document *first, *second;

	begin_world(10);
	ask(TREE_TSV, &first);
	document_ref(first);
	assert_int_equal(world.arrivals, 1);
	assert_int_equal(ask(TREE_TSV, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(world.arrivals, 1);
	world.now_ms += TTL_MS + 1;
	ask(TREE_TSV, &second);
	assert_int_equal(world.arrivals, 2);
	assert_ptr_equal(first, second);
	assert_int_equal(second->mtime_ns, WALL_NS + 1000 * 1000000);
	world.now_ms += TTL_MS + 1;
	world.status = "busy";
	ask(TREE_TSV, &second);
	assert_ptr_not_equal(first, second);
	assert_int_equal(second->mtime_ns, WALL_NS + world.now_ms * 1000000);
	/* As many bytes, another text. */
	assert_int_equal(first->bytes, second->bytes);
	document_unref(first);
	end_world();
	(void)state;
}

static void test_reports_are_built_in_slices_by_turns(void **state)
{
	struct document *tsv, *json;
	struct query first, second, third;
	bool ended = false;

	begin_world(MOST);
	assert_true(ask(TREE_TSV, &tsv) >= 5);
	world.now_ms += TTL_MS + 1;
	whole_list();
	first = fleet_query(world.fleet);
	second = fleet_query(world.fleet);
	third = fleet_query(world.fleet);
	assert_int_equal(views_document(world.views, row_of(TREE_TSV), &first, &tsv), -EAGAIN);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &second, &json), -EAGAIN);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &third, &json), -EAGAIN);
	/* Each query waits for the end of its job, and the jobs end in the same round. */
	for (int i = 0; i < 8; i++) {
		assert_false(jobs_run_slice(&world.jobs));
		assert_int_equal(views_document(world.views, row_of(TREE_TSV), &first, &tsv),
		                 -EAGAIN);
	}
	while (!ended)
		ended = jobs_run_slice(&world.jobs);
	ended = false;
	for (int i = 0; i < 2 && !ended; i++)
		ended = jobs_run_slice(&world.jobs);
	assert_true(ended);
	assert_false(jobs_are_queued(&world.jobs));
	assert_int_equal(views_document(world.views, row_of(TREE_TSV), &first, &tsv), 0);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &second, &json), 0);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &third, &json), 0);
	assert_int_equal(count_borrowed(json), MOST);
	end_world();
	(void)state;
}

static void test_a_failed_build_is_an_error_for_each_query_that_waited(void **state)
{
	struct query first, second, later;
	struct document *json;

	begin_world(10);
	world.too_long = true;
	whole_list();
	first = fleet_query(world.fleet);
	second = fleet_query(world.fleet);
	later = fleet_query(world.fleet);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &first, &json), -EAGAIN);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &second, &json), -EAGAIN);
	assert_true(jobs_run_slice(&world.jobs));
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &first, &json), -EFBIG);
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &second, &json), -EFBIG);
	assert_false(jobs_are_queued(&world.jobs));
	/* A query that did not wait for it queues another build. */
	assert_int_equal(views_document(world.views, row_of(TREE_JSON), &later, &json), -EAGAIN);
	assert_true(jobs_are_queued(&world.jobs));
	end_world();
	(void)state;
}

/* However much an agent has to tell, others wait no longer for their turn. */
static void test_a_slice_is_short_whatever_is_in_it(void **state)
{
	struct report_builder *builder;
	size_t slices = 1;

	begin_world(50);
	builder = report_builder_new(&long_winded, world.fleet, whole_list(), SEED);
	assert_non_null(builder);
	while (report_builder_continue(builder, 100) == -EAGAIN)
		slices++;
	assert_true(slices >= 50 * 100001 / 300000);
	assert_int_equal(builder->document->bytes, 50 * 100001);
	report_builder_free(builder);
	end_world();
	(void)state;
}

static void test_is_given_back_when_nobody_asks(void **state)
{
	struct document *document;

	begin_world(10);
	assert_int_equal(views_due_ms(world.views), INT64_MAX);
	assert_false(views_tidy(world.views));
	ask(TREE_SUMMARY, &document);
	document_ref(document);
	assert_false(views_tidy(world.views));
	assert_true(views_due_ms(world.views) > world.now_ms + 2 * TTL_MS);
	world.now_ms = views_due_ms(world.views);
	assert_true(views_tidy(world.views));
	assert_int_equal(views_due_ms(world.views), INT64_MAX);
	/* Who has it open still has it. */
	assert_int_equal(document->refs, 1);
	assert_true(document_read(document, 0, TEXT_BYTES, got) > 0);
	assert_memory_equal(got, "agents: 10\nagents_idle: 10\n", 27);
	document_unref(document);
	end_world();
	(void)state;
}

/* However fast other readers make other lists. */
static void test_statuses_are_told_in_slices_too(void **state)
{
	const struct report_kind *const kinds[] = {&report_summary, &report_metrics};

	begin_world(MOST);
	world.own_statuses = true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct report_builder *builder =
			report_builder_new(kinds[i], world.fleet, whole_list(), SEED);
		const struct document *document = builder->document;
		uint64_t before, after = 0;
		int err;

		assert_non_null(builder);
		do {
			before = after;
			err = report_builder_continue(builder, 100);
			after = 0;
			for (size_t at = 0; at < document->section_count; at++)
				after += document->sections[at].text.length;
		} while (err == -EAGAIN);
		assert_int_equal(err, 0);
		assert_true(after - before < 20000); /* by the last slice; all statuses: 100000 */
		document_unref(report_builder_finish(builder));
	}
	end_world();
	(void)state;
}

/* The list that the query began with is enough, or a later one. */
static void test_a_query_ends_although_lists_expire_faster_than_reports_are_built(void **state)
{
	struct document *document;
	struct query query;
	int err;

	begin_world(MOST);
	query = fleet_query(world.fleet);
	for (int slices = 0;; slices++) {
		err = views_document(world.views, row_of(TREE_TSV), &query, &document);
		if (err != -EAGAIN)
			break;
		if (world.wanted > 0)
			bring();
		jobs_run_slice(&world.jobs);
		assert_true(slices < 20);
		world.now_ms += TTL_MS + 1;
		whole_list();
	}
	assert_int_equal(err, 0);
	end_world();
	(void)state;
}

static const struct row *row_of_groups(void)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].view && tree_rows[i].field == AGENT_STATUS)
			return &tree_rows[i];
	fail_msg("no row groups by this");
	return NULL;
}

/* Asks until they are there. */
static const struct groups *ask_groups(void)
{
	struct query query = fleet_query(world.fleet);
	const struct groups *groups;
	int err;

	do {
		err = views_groups(world.views, row_of_groups(), &query, &groups);
		if (err == -EAGAIN && world.wanted > 0)
			bring();
		else
			jobs_run_slice(&world.jobs);
	} while (err == -EAGAIN);
	assert_int_equal(err, 0);
	return groups;
}

/* Other lists come, and nobody asks for a while: a listing goes on. */
static void test_a_group_keeps_its_number_for_who_lists_them(void **state)
{
	const struct groups *groups;
	struct query query = {0};

	begin_world(10);
	world.status = "odd";
	groups = ask_groups();
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	assert_int_equal(groups->order[0]->number, 1);
	assert_string_equal(groups->order[0]->value, "idle");
	assert_string_equal(groups->order[5]->value, "odd");
	world.status = "other";
	for (int i = 0; i < 10; i++) {
		world.now_ms += TTL_MS;
		assert_ptr_equal(ask_groups(), groups);
	}
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	assert_int_equal(groups->order[0]->number, 1);
	assert_int_equal(groups_after(groups, 5), 5);
	assert_int_equal(groups_after(groups, 6), 5);
	assert_int_equal(groups_after(groups, 7), 6);
	assert_string_equal(groups->order[5]->value, "other");
	assert_int_equal(groups->order[5]->number, 7);
	world.now_ms = views_due_ms(world.views);
	assert_true(views_tidy(world.views));
	world.now_ms += 100 * 60000;
	assert_int_equal(views_due_ms(world.views), INT64_MAX);
	assert_false(views_tidy(world.views));
	assert_ptr_equal(views_groups_after(world.views, row_of_groups(), &query, 1), groups);
	assert_int_equal(groups->count, AGENT_STATUSES + 1);
	end_world();
	(void)state;
}

/* Then a listing that was left alone for a minute cannot go on; and no number comes again. */
static void test_groups_that_take_much_are_given_back_after_a_minute(void **state)
{
	struct query query = {0};

	begin_world(2000);
	world.own_statuses = true;
	world.status_bytes = 9000; /* 18 MB */
	assert_int_equal(ask_groups()->count, AGENT_STATUSES + 2000);
	world.now_ms += 59000;
	views_tidy(world.views);
	assert_non_null(views_groups_after(world.views, row_of_groups(), &query, 1));
	assert_true(views_due_ms(world.views) <= world.now_ms + 60000);
	world.now_ms += 60000;
	views_tidy(world.views);
	assert_null(views_groups_after(world.views, row_of_groups(), &query, 1));
	world.status_bytes = 0;
	world.now_ms += TTL_MS;
	assert_int_equal(ask_groups()->order[0]->number, AGENT_STATUSES + 2001);
	end_world();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_at_every_offset_and_size),
		cmocka_unit_test(test_says_the_same_however_it_is_sliced),
		cmocka_unit_test(test_a_document_stores_no_more_than_its_agents_take),
		cmocka_unit_test(test_outlives_the_list),
		cmocka_unit_test(test_a_text_that_is_too_long_is_an_error),
		cmocka_unit_test(test_a_list_that_is_forgotten_is_an_error),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_the_same_twice_is_one),
		cmocka_unit_test(test_reports_are_built_in_slices_by_turns),
		cmocka_unit_test(test_a_failed_build_is_an_error_for_each_query_that_waited),
		cmocka_unit_test(test_a_slice_is_short_whatever_is_in_it),
		cmocka_unit_test(test_statuses_are_told_in_slices_too),
		cmocka_unit_test(
			test_a_query_ends_although_lists_expire_faster_than_reports_are_built),
		cmocka_unit_test(test_is_given_back_when_nobody_asks),
		cmocka_unit_test(test_a_group_keeps_its_number_for_who_lists_them),
		cmocka_unit_test(test_groups_that_take_much_are_given_back_after_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
