/* SPDX-License-Identifier: MIT */
#include "fs/views.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/tree.h"

#define SLICE_AGENTS 512
#define SLICE_VALUES 4096
#define IDLE_MS      1000 /* and two ttls, in which who asks for it ever again would have asked */

/* Of one row. */
struct view {
	struct groups groups; /* list 0: none */
	struct groups before; /* for listings that go on */
	struct groups making;
	uint64_t cursor; /* of the making */
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
	return views;
}

static void give_back(struct views *views)
{
	for (size_t i = 0; i < tree_row_count; i++) {
		struct view *view = &views->of[i];

		groups_done(&view->groups);
		groups_done(&view->before);
		groups_done(&view->making);
		document_unref(view->document);
		draft_free(view->draft);
		*view = (struct view){0};
	}
	views->used_ms = INT64_MIN;
}

void views_free(struct views *views)
{
	if (!views)
		return;
	give_back(views);
	free(views->of);
	free(views);
}

void views_turn(struct views *views)
{
	views->worked = false;
}

bool views_may_work(struct views *views, struct look *look)
{
	if (views->worked) {
		look->wake_ms = fleet_now_ms(views->fleet);
		return false;
	}
	views->worked = true;
	return true;
}

bool views_tidy(struct views *views)
{
	if (fleet_now_ms(views->fleet) < views_due_ms(views))
		return false;
	give_back(views);
	return true;
}

int64_t views_due_ms(const struct views *views)
{
	return views->used_ms == INT64_MIN ? INT64_MAX : views->used_ms + views->idle_ms;
}

/* A list that was forgotten under the work is a reason to begin anew. */
static int again(struct look *look, const struct views *views, int err)
{
	if (err != -ESTALE)
		return err;
	look->wake_ms = views->used_ms;
	return -EAGAIN;
}

/* Groups */

/* 0 at the end, -EAGAIN, or -errno. */
static int group_some(struct fleet *fleet, const struct row *row, struct view *view)
{
	struct record *record;
	size_t values = 0;

	for (size_t i = 0; i < SLICE_AGENTS && values < SLICE_VALUES; i++) {
		uint64_t where = view->cursor;
		int err = fleet_walk(fleet, &view->cursor, NULL, &record);

		if (err < 0 || !record)
			return err;
		for (size_t at = 0; at < tree_value_count(row, record->agent); at++, values++) {
			const char *value = tree_value(row, record->agent, at);

			if (value && groups_add(&view->making, value, where) < 0)
				return -ENOMEM;
		}
	}
	return -EAGAIN;
}

int views_groups(struct views *views, const struct row *row, struct look *look,
                 const struct groups **ret)
{
	struct view *view = &views->of[row - tree_rows];
	uint64_t list;
	int err = fleet_whole(views->fleet, look, &list);

	views->used_ms = fleet_now_ms(views->fleet);
	while (err == 0 && view->groups.list < list) {
		if (!views_may_work(views, look))
			return -EAGAIN;
		if (view->making.list == 0) {
			groups_init(&view->making, views->seed);
			view->making.list = list;
			view->cursor = list;
		}
		err = group_some(views->fleet, row, view);
		if (err == -EAGAIN) {
			look->wake_ms = views->used_ms;
			return err;
		}
		if (err < 0) {
			groups_done(&view->making);
			return again(look, views, err);
		}
		groups_done(&view->before);
		view->before = view->groups;
		view->groups = view->making;
		view->making = (struct groups){0};
	}
	*ret = &view->groups;
	return err;
}

const struct groups *views_groups_of(const struct views *views, const struct row *row,
                                     uint64_t list)
{
	const struct view *view = &views->of[row - tree_rows];

	if (view->groups.list == list)
		return &view->groups;
	return view->before.list == list ? &view->before : NULL;
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

int views_document(struct views *views, const struct row *row, struct look *look,
                   struct document **ret)
{
	struct view *view = &views->of[row - tree_rows];
	uint64_t list;
	int err = fleet_whole(views->fleet, look, &list);

	views->used_ms = fleet_now_ms(views->fleet);
	while (err == 0 && (!view->document || view->document_list < list)) {
		if (!views_may_work(views, look))
			return -EAGAIN;
		if (!view->draft)
			view->draft = draft_new(row->sheet, views->fleet, list, views->seed);
		err = view->draft ? draft_go_on(view->draft, SLICE_AGENTS) : -ENOMEM;
		if (err == -EAGAIN) {
			look->wake_ms = views->used_ms;
			return err;
		}
		if (err == 0) {
			take(views, view);
			continue;
		}
		draft_free(view->draft);
		view->draft = NULL;
		return again(look, views, err);
	}
	*ret = view->document;
	return err;
}
