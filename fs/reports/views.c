/* SPDX-License-Identifier: MIT */
#include "fs/reports/views.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/reports/report_kinds.h"
#include "fs/tree/tree.h"

/* Limits of one slice, so that it takes about 0.25 ms. */
#define SLICE_AGENTS 64
#define SLICE_VALUES 512

#define IDLE_MS 1000 /* plus two ttls: reports are freed when no result was used for this time */

/* The kernel does not report the end of a listing. So groups stay until those of all rows together
 * take more memory than this. Then those that were not used for the longest time are freed, after
 * LISTING_MS or idle_ms, whichever is longer. */
#define KEPT_GROUPS_BYTES (16u << 20)
#define LISTING_MS        60000

/* The place for what is built for one row of the tree: groups or a report. The slot of any other
 * row stays empty. Rankings have no row, so they have no slot. */
struct slot {
	struct views *views;
	const struct tree_row *row;
	struct build build;
	struct groups groups;           /* groups.list: the list of the last or current build */
	uint64_t cursor;                /* of the next agent for the groups; 0: no build */
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
	int64_t used_ms; /* last use of a result; INT64_MIN: none since the reports were freed */
	struct rankings rankings;
	bool crowded;       /* the groups of all rows take more than KEPT_GROUPS_BYTES */
	struct slot *slots; /* by row of the tree */
};

static bool slot_groups_slice(struct job *job);
static bool slot_report_slice(struct job *job);

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
	views->slots = calloc(tree_row_count, sizeof(*views->slots));
	if (!views->slots) {
		free(views);
		return NULL;
	}
	for (size_t i = 0; i < tree_row_count; i++) {
		struct slot *slot = &views->slots[i];

		slot->views = views;
		slot->row = &tree_rows[i];
		slot->build = (struct build){.fleet = views->fleet, .jobs = jobs};
		slot->build.job.slice = slot->row->report ? slot_report_slice : slot_groups_slice;
		groups_init(&slot->groups, seed);
	}
	return views;
}

static void views_free_reports(struct views *views)
{
	for (size_t i = 0; i < tree_row_count; i++) {
		struct slot *slot = &views->slots[i];

		if (!slot->row->report)
			continue;
		report_unref(slot->report);
		report_builder_free(slot->builder);
		slot->report = NULL;
		slot->builder = NULL;
		slot->build.list = 0;
	}
	views->used_ms = INT64_MIN;
}

static void views_measure_groups(struct views *views)
{
	size_t bytes = 0;

	for (size_t i = 0; i < tree_row_count; i++)
		bytes += views->slots[i].groups.bytes;
	views->crowded = bytes > KEPT_GROUPS_BYTES;
}

static void slot_free_groups(struct slot *slot)
{
	groups_done(&slot->groups);
	slot->build.list = 0;
	slot->cursor = 0;
	slot->freed_number = slot->groups.number;
	views_measure_groups(slot->views);
}

/* Returns the slot whose groups are to be freed first, and when; NULL if there is room for all. */
static struct slot *views_first_to_free(const struct views *views, int64_t *ret_due_ms)
{
	struct slot *first = NULL;

	for (size_t i = 0; views->crowded && i < tree_row_count; i++) {
		struct slot *slot = &views->slots[i];

		if (slot->groups.count > 0 && (!first || slot->used_ms < first->used_ms))
			first = slot;
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
		job_remove(&views->slots[i].build.job);
		groups_done(&views->slots[i].groups);
	}
	free(views->slots);
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
	struct slot *slot;
	int64_t due_ms;

	if (unused)
		views_free_reports(views);
	rankings_tidy(&views->rankings);
	while ((slot = views_first_to_free(views, &due_ms)) && now_ms >= due_ms)
		slot_free_groups(slot);
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

static void slot_touch(struct slot *slot)
{
	views_touch(slot->views);
	slot->used_ms = slot->views->used_ms;
}

/* Groups */

static int slot_begin_groups(struct slot *slot)
{
	int err = 0;

	slot->groups.list = fleet_newest_list(slot->views->fleet);
	slot->cursor = slot->groups.list; /* a list's number is the cursor of its first agent */
	for (const char *const *at = slot->row->always; err == 0 && at && *at; at++)
		err = groups_expect(&slot->groups, *at);
	return err;
}

/* Adds the values of the next agents to the groups. Returns 0 at the end of the list, -EAGAIN, or
 * -errno. */
static int slot_add_agents(struct slot *slot)
{
	enum agent_field_id field = slot->row->field;
	struct record *record;
	size_t values = 0;

	for (size_t i = 0; i < SLICE_AGENTS && values < SLICE_VALUES; i++) {
		int err = fleet_walk(slot->views->fleet, &slot->cursor, NULL, &record);

		if (err < 0 || !record)
			return err;
		for (size_t at = 0; at < agent_string_count(record->agent, field); at++, values++) {
			const char *value = agent_string(record->agent, field, at);

			if (value && groups_add(&slot->groups, value, record) < 0)
				return -ENOMEM;
		}
	}
	return -EAGAIN;
}

static bool slot_groups_slice(struct job *job)
{
	struct slot *slot = JOB_OWNER(job, struct slot, build.job);
	struct fleet *fleet = slot->views->fleet;
	int err = 0;

	slot_touch(slot);
	if (slot->cursor == 0)
		err = slot_begin_groups(slot);
	if (err == 0)
		err = slot_add_agents(slot);
	views_measure_groups(slot->views);
	if (err == -EAGAIN)
		return build_end_slice(&slot->build, err);
	slot->cursor = 0;
	/* Groups can be listed although a page is missing. */
	if (err < 0 && err == fleet_list_end(fleet, slot->groups.list))
		err = 0;
	if (err == 0) {
		slot->groups.absent = fleet_list_absent(fleet, slot->groups.list);
		slot->groups.end = fleet_list_end(fleet, slot->groups.list);
		groups_finish(&slot->groups);
		slot->build.list = slot->groups.list;
	}
	return build_end_slice(&slot->build, err);
}

int views_groups(struct views *views, const struct tree_row *row, struct query *query,
                 const struct groups **ret_groups)
{
	struct slot *slot = &views->slots[row - tree_rows];
	int err;

	slot_touch(slot);
	err = build_wait(&slot->build, query);
	if (err == 0)
		*ret_groups = &slot->groups;
	return err;
}

const struct groups *views_groups_after(struct views *views, const struct tree_row *row,
                                        struct query *query, uint64_t number)
{
	struct slot *slot = &views->slots[row - tree_rows];

	slot_touch(slot);
	query->list = slot->build.list;
	return number > slot->freed_number ? &slot->groups : NULL;
}

/* Reports */

/* Stores the finished report. If the previous one has the same hash and length, keeps that instead,
 * so that its mtime stays. */
static void slot_store_report(struct slot *slot)
{
	uint64_t list = slot->builder->list;
	struct report *report = report_builder_finish(slot->builder);

	slot->builder = NULL;
	slot->build.list = list;
	if (slot->report && slot->report->hash == report->hash &&
	    slot->report->bytes == report->bytes) {
		report_unref(report);
		return;
	}
	report->mtime_ns = fleet_wall_ns(slot->views->fleet);
	report_unref(slot->report);
	slot->report = report;
}

static int slot_begin_report(struct slot *slot)
{
	struct views *views = slot->views;
	uint64_t list = fleet_newest_list(views->fleet);
	/* A report without the agents of a page that is missing would be wrong. */
	int err = fleet_list_end(views->fleet, list);

	if (err < 0)
		return err;
	slot->builder = report_builder_new(report_kinds[slot->row->report], views->status, list,
	                                   views->seed);
	return slot->builder ? 0 : -ENOMEM;
}

static bool slot_report_slice(struct job *job)
{
	struct slot *slot = JOB_OWNER(job, struct slot, build.job);
	int err = 0;

	slot_touch(slot);
	if (!slot->builder)
		err = slot_begin_report(slot);
	if (err == 0)
		err = report_builder_continue(slot->builder, SLICE_AGENTS);
	if (err == 0) {
		slot_store_report(slot);
	} else if (err != -EAGAIN) {
		report_builder_free(slot->builder);
		slot->builder = NULL;
	}
	return build_end_slice(&slot->build, err);
}

int views_report(struct views *views, const struct tree_row *row, struct query *query,
                 struct report **ret_report)
{
	struct slot *slot = &views->slots[row - tree_rows];
	int err;

	slot_touch(slot);
	err = build_wait(&slot->build, query);
	if (err == 0)
		*ret_report = slot->report;
	return err;
}

/* Rankings */

int views_ranking(struct views *views, struct question *question, struct query *query,
                  bool continues, const struct ranking **ret_ranking)
{
	views_touch(views);
	return rankings_find(&views->rankings, question, query, continues, ret_ranking);
}
