/* SPDX-License-Identifier: MIT */
#include "fs/reports/views.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/reports/sheets.h"
#include "fs/tree/tree.h"

#define SLICE_AGENTS 512
#define SLICE_VALUES 4096
#define IDLE_MS      1000 /* and two ttls, in which who asks for it ever again would have asked */

/* The end of a listing of groups is not reported. So groups stay until those of all views take more
 * memory than this; then those of a view that was not listed for a minute are freed. */
#define KEPT_GROUPS_BYTES (16u << 20)
#define LISTING_MS        60000

static const struct sheet *const sheets[TREE_REPORTS] = {
	[TREE_SUMMARY] = &sheet_summary, [TREE_TSV] = &sheet_tsv,   [TREE_JSON] = &sheet_json,
	[TREE_METRICS] = &sheet_metrics, [TREE_HTML] = &sheet_html,
};

/* Of one row. */
struct view {
	struct groups groups; /* groups.list: that they are being made of, or were */
	uint64_t groups_list; /* that they are all of; 0: none */
	uint64_t cursor;      /* of the making; 0: none is under way */
	uint64_t forgotten;   /* the last number of the groups that were given back */
	int64_t listed_ms;    /* when the groups were last used */
	struct document *document;
	uint64_t document_list;
	struct draft *draft;
};

struct views {
	struct fleet *fleet;
	uint64_t seed;
	int64_t idle_ms;
	int64_t used_ms; /* when somebody last asked; INT64_MIN: there is nothing to give back */
	bool worked;     /* somebody did a slice in this turn */
	bool crowded;    /* all groups together take more than KEPT_GROUPS_BYTES */
	struct view *of; /* by row */
};

struct views *views_new(struct fleet *fleet, int64_t ttl_ms, uint64_t seed)
{
	struct views *views = calloc(1, sizeof(*views));

	if (!views)
		return NULL;
	views->fleet = fleet;
	views->seed = seed;
	views->idle_ms = 2 * ttl_ms + IDLE_MS;
	views->used_ms = INT64_MIN;
	views->of = calloc(tree_row_count, sizeof(*views->of));
	if (!views->of) {
		free(views);
		return NULL;
	}
	for (size_t i = 0; i < tree_row_count; i++)
		groups_init(&views->of[i].groups, seed);
	return views;
}

static void give_back(struct views *views)
{
	for (size_t i = 0; i < tree_row_count; i++) {
		struct view *view = &views->of[i];

		document_unref(view->document);
		draft_free(view->draft);
		view->document = NULL;
		view->draft = NULL;
	}
	views->used_ms = INT64_MIN;
}

static void measure_groups(struct views *views)
{
	size_t bytes = 0;

	for (size_t i = 0; i < tree_row_count; i++)
		bytes += views->of[i].groups.bytes;
	views->crowded = bytes > KEPT_GROUPS_BYTES;
}

static void give_back_groups(struct views *views, struct view *view)
{
	groups_done(&view->groups);
	view->groups_list = 0;
	view->cursor = 0;
	view->forgotten = view->groups.number;
	measure_groups(views);
}

/* The view whose groups are to be freed first, and when; NULL if there is room for all. */
static struct view *first_to_give_back(const struct views *views, int64_t *ret_due_ms)
{
	struct view *first = NULL;

	for (size_t i = 0; views->crowded && i < tree_row_count; i++) {
		struct view *view = &views->of[i];

		if (view->groups.count > 0 && (!first || view->listed_ms < first->listed_ms))
			first = view;
	}
	if (first)
		*ret_due_ms = first->listed_ms +
		              (views->idle_ms > LISTING_MS ? views->idle_ms : LISTING_MS);
	return first;
}

void views_free(struct views *views)
{
	if (!views)
		return;
	give_back(views);
	for (size_t i = 0; i < tree_row_count; i++)
		groups_done(&views->of[i].groups);
	free(views->of);
	free(views);
}

void views_turn(struct views *views)
{
	views->worked = false;
}

bool views_may_work(struct views *views, struct query *query)
{
	if (views->worked) {
		query->wake_ms = fleet_now_ms(views->fleet);
		return false;
	}
	views->worked = true;
	return true;
}

bool views_worked(const struct views *views)
{
	return views->worked;
}

static int64_t documents_due_ms(const struct views *views)
{
	return views->used_ms == INT64_MIN ? INT64_MAX : views->used_ms + views->idle_ms;
}

bool views_tidy(struct views *views)
{
	int64_t now_ms = fleet_now_ms(views->fleet);
	bool unused = now_ms >= documents_due_ms(views);
	struct view *view;
	int64_t due_ms;

	if (unused)
		give_back(views);
	while ((view = first_to_give_back(views, &due_ms)) && now_ms >= due_ms)
		give_back_groups(views, view);
	return unused;
}

int64_t views_due_ms(const struct views *views)
{
	int64_t one_ms = documents_due_ms(views), other_ms = INT64_MAX;

	first_to_give_back(views, &other_ms);
	return one_ms < other_ms ? one_ms : other_ms;
}

/* A list that was forgotten under the work is a reason to begin anew. */
static int again(struct query *query, const struct views *views, int err)
{
	if (err != -ESTALE)
		return err;
	query->list = 0;
	query->wake_ms = views->used_ms;
	return -EAGAIN;
}

/* Groups */

/* 0 at the end, -EAGAIN, or -errno. */
static int group_some(struct fleet *fleet, const struct row *row, struct view *view)
{
	struct record *record;
	size_t values = 0;

	for (size_t i = 0; i < SLICE_AGENTS && values < SLICE_VALUES; i++) {
		int err = fleet_walk(fleet, &view->cursor, NULL, &record);

		if (err < 0 || !record)
			return err;
		for (size_t at = 0; at < agent_string_count(record->agent, row->field);
		     at++, values++) {
			const char *value = agent_string(record->agent, row->field, at);

			if (value && groups_add(&view->groups, value, record) < 0)
				return -ENOMEM;
		}
	}
	return -EAGAIN;
}

static int begin_groups(struct fleet *fleet, const struct row *row, struct view *view)
{
	int err = 0;

	view->groups.list = fleet_newest(fleet);
	view->cursor = view->groups.list;
	for (const char *const *at = row->always; err == 0 && at && *at; at++)
		err = groups_expect(&view->groups, *at);
	return err;
}

int views_groups(struct views *views, const struct row *row, struct query *query,
                 const struct groups **ret)
{
	struct view *view = &views->of[row - tree_rows];
	uint64_t list;
	int err = fleet_whole(views->fleet, query, &list);

	views->used_ms = fleet_now_ms(views->fleet);
	view->listed_ms = views->used_ms;
	while (err == 0 && view->groups_list < list) {
		if (!views_may_work(views, query))
			return -EAGAIN;
		if (view->cursor == 0)
			err = begin_groups(views->fleet, row, view);
		if (err == 0)
			err = group_some(views->fleet, row, view);
		measure_groups(views);
		if (err == -EAGAIN) {
			query->wake_ms = views->used_ms;
			return err;
		}
		view->cursor = 0;
		/* Groups can be listed although a page is missing. */
		if (err < 0 && err == fleet_list_end(views->fleet, view->groups.list))
			err = 0;
		if (err < 0)
			return again(query, views, err);
		view->groups.absent = fleet_list_absent(views->fleet, view->groups.list);
		view->groups.end = fleet_list_end(views->fleet, view->groups.list);
		groups_end(&view->groups);
		view->groups_list = view->groups.list;
	}
	if (err < 0)
		return err;
	query->list = view->groups_list;
	*ret = &view->groups;
	return 0;
}

const struct groups *views_groups_after(struct views *views, const struct row *row,
                                        struct query *query, uint64_t number)
{
	struct view *view = &views->of[row - tree_rows];

	views->used_ms = fleet_now_ms(views->fleet);
	view->listed_ms = views->used_ms;
	query->list = view->groups_list;
	return number > view->forgotten ? &view->groups : NULL;
}

/* Documents */

/* A document that came out as the one before is that one. */
static void take(struct views *views, struct view *view)
{
	uint64_t list = view->draft->list;
	struct document *document = draft_take(view->draft);

	view->draft = NULL;
	view->document_list = list;
	if (view->document && view->document->hash == document->hash &&
	    view->document->bytes == document->bytes) {
		document_unref(document);
		return;
	}
	document->mtime_ns = fleet_wall_ns(views->fleet);
	document_unref(view->document);
	view->document = document;
}

int views_document(struct views *views, const struct row *row, struct query *query,
                   struct document **ret)
{
	struct view *view = &views->of[row - tree_rows];
	uint64_t list;
	int err = fleet_whole(views->fleet, query, &list);

	views->used_ms = fleet_now_ms(views->fleet);
	while (err == 0 && (!view->document || view->document_list < list)) {
		if (!views_may_work(views, query))
			return -EAGAIN;
		/* A report without these agents would be wrong. */
		if (!view->draft)
			err = fleet_list_end(views->fleet, fleet_newest(views->fleet));
		if (err < 0)
			return err;
		if (!view->draft)
			view->draft = draft_new(sheets[row->report], views->fleet,
			                        fleet_newest(views->fleet), views->seed);
		err = view->draft ? draft_go_on(view->draft, SLICE_AGENTS) : -ENOMEM;
		if (err == -EAGAIN) {
			query->wake_ms = views->used_ms;
			return err;
		}
		if (err == 0) {
			take(views, view);
			continue;
		}
		draft_free(view->draft);
		view->draft = NULL;
		return again(query, views, err);
	}
	if (err < 0)
		return err;
	query->list = view->document_list;
	*ret = view->document;
	return 0;
}
