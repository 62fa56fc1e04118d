/* SPDX-License-Identifier: MIT */
#include "fs/reports/views.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/reports/report_kinds.h"
#include "fs/tree/tree.h"

/* Limits of one slice, so that it takes about 0.25 ms. */
#define SLICE_AGENTS 64
#define SLICE_VALUES 512

#define IDLE_MS 1000 /* plus two ttls: reports are freed when no view was used for this time */

/* The kernel does not report the end of a listing. So groups stay until those of all rows together
 * take more memory than this. Then those that were not used for the longest time are freed, after
 * LISTING_MS or idle_ms, whichever is longer. */
#define KEPT_GROUPS_BYTES (16u << 20)
#define LISTING_MS        60000

/* What is built for one row of the tree: groups or a report. Rankings have no row. */
struct view {
	struct views *views;
	const struct tree_row *row;
	struct build build;
	struct groups groups;           /* groups.list: the list of the last or current build */
	uint64_t cursor;                /* of the current build of groups; 0: none */
	uint64_t freed_number;          /* highest number of a group when they were freed */
	int64_t used_ms;                /* when the groups or the report were last used */
	struct report *report;          /* NULL: none */
	struct report_builder *builder; /* of the current build; NULL: none */
};

struct views {
	const struct status *status; /* borrowed */
	struct fleet *fleet;         /* borrowed */
	struct jobs *jobs;           /* borrowed */
	uint64_t seed;
	int64_t idle_ms;
	int64_t used_ms; /* last use of a view; INT64_MIN: none since the reports were freed */
	struct rankings rankings;
	bool crowded;      /* the groups of all rows take more than KEPT_GROUPS_BYTES */
	struct view *rows; /* by row of the tree */
};

static bool view_groups_slice(struct job *job);
static bool view_report_slice(struct job *job);

struct views *views_new(const struct status *status, struct jobs *jobs, int64_t ttl_ms,
                        uint64_t seed)
{
	struct views *views = calloc(1, sizeof(*views));

	if (!views)
		return NULL;
	views->status = status;
	views->fleet = status->fleet;
	views->jobs = jobs;
	views->seed = seed;
	views->idle_ms = 2 * ttl_ms + IDLE_MS;
	views->used_ms = INT64_MIN;
	rankings_init(&views->rankings, views->fleet, jobs, views->idle_ms, seed);
	views->rows = calloc(tree_row_count, sizeof(*views->rows));
	if (!views->rows) {
		free(views);
		return NULL;
	}
	for (size_t i = 0; i < tree_row_count; i++) {
		struct view *view = &views->rows[i];

		view->views = views;
		view->row = &tree_rows[i];
		view->build = (struct build){.fleet = views->fleet, .jobs = jobs};
		view->build.job.slice = view->row->report ? view_report_slice : view_groups_slice;
		groups_init(&view->groups, seed);
	}
	return views;
}

static void views_free_reports(struct views *views)
{
	for (size_t i = 0; i < tree_row_count; i++) {
		struct view *view = &views->rows[i];

		if (!view->row->report)
			continue;
		report_unref(view->report);
		report_builder_free(view->builder);
		view->report = NULL;
		view->builder = NULL;
		view->build.list = 0;
	}
	views->used_ms = INT64_MIN;
}

static void views_measure_groups(struct views *views)
{
	size_t bytes = 0;

	for (size_t i = 0; i < tree_row_count; i++)
		bytes += views->rows[i].groups.bytes;
	views->crowded = bytes > KEPT_GROUPS_BYTES;
}

static void view_free_groups(struct view *view)
{
	groups_done(&view->groups);
	view->build.list = 0;
	view->cursor = 0;
	view->freed_number = view->groups.number;
	views_measure_groups(view->views);
}

/* Returns the view whose groups are to be freed first, and when; NULL if there is room for all. */
static struct view *views_first_to_free(const struct views *views, int64_t *ret_due_ms)
{
	struct view *first = NULL;

	for (size_t i = 0; views->crowded && i < tree_row_count; i++) {
		struct view *view = &views->rows[i];

		if (view->groups.count > 0 && (!first || view->used_ms < first->used_ms))
			first = view;
	}
	if (first)
		*ret_due_ms = first->used_ms +
		              (views->idle_ms > LISTING_MS ? views->idle_ms : LISTING_MS);
	return first;
}

void views_free(struct views *views)
{
	if (!views)
		return;
	views_free_reports(views);
	rankings_done(&views->rankings);
	for (size_t i = 0; i < tree_row_count; i++) {
		job_remove(&views->rows[i].build.job);
		groups_done(&views->rows[i].groups);
	}
	free(views->rows);
	free(views);
}

static int64_t views_reports_due_ms(const struct views *views)
{
	return views->used_ms == INT64_MIN ? INT64_MAX : views->used_ms + views->idle_ms;
}

bool views_tidy(struct views *views)
{
	int64_t now_ms = fleet_now_ms(views->fleet);
	bool unused = now_ms >= views_reports_due_ms(views);
	struct view *view;
	int64_t due_ms;

	if (unused)
		views_free_reports(views);
	rankings_tidy(&views->rankings);
	while ((view = views_first_to_free(views, &due_ms)) && now_ms >= due_ms)
		view_free_groups(view);
	return unused;
}

int64_t views_due_ms(const struct views *views)
{
	int64_t rankings_ms = rankings_due_ms(&views->rankings), groups_ms = INT64_MAX;
	int64_t due_ms = views_reports_due_ms(views);

	views_first_to_free(views, &groups_ms);
	due_ms = groups_ms < due_ms ? groups_ms : due_ms;
	return rankings_ms < due_ms ? rankings_ms : due_ms;
}

/* Builds */

void views_touch(struct views *views)
{
	views->used_ms = fleet_now_ms(views->fleet);
}

static void view_touch(struct view *view)
{
	views_touch(view->views);
	view->used_ms = view->views->used_ms;
}

/* Groups */

static int view_begin_groups(struct view *view)
{
	int err = 0;

	view->groups.list = fleet_newest_list(view->views->fleet);
	view->cursor = view->groups.list;
	for (const char *const *at = view->row->always; err == 0 && at && *at; at++)
		err = groups_expect(&view->groups, *at);
	return err;
}

/* Adds the values of the next agents to the groups. Returns 0 at the end of the list, -EAGAIN, or
 * -errno. */
static int view_add_agents(struct view *view)
{
	enum agent_field_id field = view->row->field;
	struct record *record;
	size_t values = 0;

	for (size_t i = 0; i < SLICE_AGENTS && values < SLICE_VALUES; i++) {
		int err = fleet_walk(view->views->fleet, &view->cursor, NULL, &record);

		if (err < 0 || !record)
			return err;
		for (size_t at = 0; at < agent_string_count(record->agent, field); at++, values++) {
			const char *value = agent_string(record->agent, field, at);

			if (value && groups_add(&view->groups, value, record) < 0)
				return -ENOMEM;
		}
	}
	return -EAGAIN;
}

static bool view_groups_slice(struct job *job)
{
	struct view *view = JOB_OWNER(job, struct view, build.job);
	struct fleet *fleet = view->views->fleet;
	int err = 0;

	view_touch(view);
	if (view->cursor == 0)
		err = view_begin_groups(view);
	if (err == 0)
		err = view_add_agents(view);
	views_measure_groups(view->views);
	if (err == -EAGAIN)
		return build_end_slice(&view->build, err);
	view->cursor = 0;
	/* Groups can be listed although a page is missing. */
	if (err < 0 && err == fleet_list_end(fleet, view->groups.list))
		err = 0;
	if (err == 0) {
		view->groups.absent = fleet_list_absent(fleet, view->groups.list);
		view->groups.end = fleet_list_end(fleet, view->groups.list);
		groups_finish(&view->groups);
		view->build.list = view->groups.list;
	}
	return build_end_slice(&view->build, err);
}

int views_groups(struct views *views, const struct tree_row *row, struct query *query,
                 const struct groups **ret_groups)
{
	struct view *view = &views->rows[row - tree_rows];
	int err;

	view_touch(view);
	err = build_wait(&view->build, query);
	if (err == 0)
		*ret_groups = &view->groups;
	return err;
}

const struct groups *views_groups_after(struct views *views, const struct tree_row *row,
                                        struct query *query, uint64_t number)
{
	struct view *view = &views->rows[row - tree_rows];

	view_touch(view);
	query->list = view->build.list;
	return number > view->freed_number ? &view->groups : NULL;
}

/* Reports */

/* Stores the finished report, unless it equals the previous one. */
static void view_store_report(struct view *view)
{
	uint64_t list = view->builder->list;
	struct report *report = report_builder_finish(view->builder);

	view->builder = NULL;
	view->build.list = list;
	if (view->report && view->report->hash == report->hash &&
	    view->report->bytes == report->bytes) {
		report_unref(report);
		return;
	}
	report->mtime_ns = fleet_wall_ns(view->views->fleet);
	report_unref(view->report);
	view->report = report;
}

static int view_begin_report(struct view *view)
{
	struct views *views = view->views;
	uint64_t list = fleet_newest_list(views->fleet);
	/* A report without the agents of a page that is missing would be wrong. */
	int err = fleet_list_end(views->fleet, list);

	if (err < 0)
		return err;
	view->builder = report_builder_new(report_kinds[view->row->report], views->status, list,
	                                   views->seed);
	return view->builder ? 0 : -ENOMEM;
}

static bool view_report_slice(struct job *job)
{
	struct view *view = JOB_OWNER(job, struct view, build.job);
	int err = 0;

	view_touch(view);
	if (!view->builder)
		err = view_begin_report(view);
	if (err == 0)
		err = report_builder_continue(view->builder, SLICE_AGENTS);
	if (err == 0) {
		view_store_report(view);
	} else if (err != -EAGAIN) {
		report_builder_free(view->builder);
		view->builder = NULL;
	}
	return build_end_slice(&view->build, err);
}

int views_report(struct views *views, const struct tree_row *row, struct query *query,
                 struct report **ret_report)
{
	struct view *view = &views->rows[row - tree_rows];
	int err;

	view_touch(view);
	err = build_wait(&view->build, query);
	if (err == 0)
		*ret_report = view->report;
	return err;
}

/* Rankings */

int views_ranking(struct views *views, struct question *question, struct query *query,
                  bool continues, const struct ranking **ret_ranking)
{
	views_touch(views);
	return rankings_find(&views->rankings, question, query, continues, ret_ranking);
}
