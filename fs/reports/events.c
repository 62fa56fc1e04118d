/* SPDX-License-Identifier: MIT */
#include "fs/reports/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/tree.h"

/* How long a query waits for a slow list if there is a log. It is 3/4 of the timeout if that is
 * less, so that the reply precedes the timeout. pages_patience_is_over() in cache/pages.c has the
 * same limits for stale data. */
#define PATIENCE_MS 2000

#define JUST_NOW_MS 1000 /* for so long after a check of the list, reading needs no new check */
#define MAX_TEXT    (UINT64_C(1) << 30)

struct events {
	struct fleet *fleet; /* borrowed */
	int64_t patience_ms; /* PATIENCE_MS, or 3/4 of the timeout */
	uint64_t full_bytes;
	struct event_log *current;  /* NULL: not begun yet */
	struct event_log *previous; /* NULL: there was none */
	int64_t began_ms;           /* when the current log began */
	int64_t queried_ms;         /* when a query that checked the list was last answered */
	struct text lines;          /* of the change that is being appended */
};

struct event_log *event_log_ref(struct event_log *log)
{
	log->refs++;
	return log;
}

void event_log_unref(struct event_log *log)
{
	if (!log || --log->refs > 0)
		return;
	text_done(&log->text);
	free(log);
}

void events_free(struct events *events)
{
	if (!events)
		return;
	event_log_unref(events->current);
	event_log_unref(events->previous);
	text_done(&events->lines);
	free(events);
}

struct event_log *events_previous(const struct events *events)
{
	return events->previous;
}

bool events_is_current(const struct events *events, const struct event_log *log)
{
	return log == events->current;
}

/* Begins a new log; the current one, if any, becomes the previous one. Returns 0 or -ENOMEM. */
static int events_rotate(struct events *events)
{
	struct event_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->refs = 1;
	text_init(&log->text, MAX_TEXT);
	log->mtime_ns = fleet_wall_ns(events->fleet);
	event_log_unref(events->previous);
	events->previous = events->current;
	events->current = log;
	events->began_ms = fleet_now_ms(events->fleet);
	return 0;
}

struct events *events_new(struct fleet *fleet, int64_t timeout_ms, uint64_t full_bytes)
{
	struct events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	events->fleet = fleet;
	events->patience_ms = PATIENCE_MS;
	if (timeout_ms > 0 && timeout_ms * 3 / 4 < PATIENCE_MS)
		events->patience_ms = timeout_ms * 3 / 4;
	events->full_bytes = full_bytes;
	text_init(&events->lines, MAX_TEXT);
	if (fleet_refresh_ms(fleet) > 0 && events_rotate(events) < 0) {
		events_free(events);
		return NULL;
	}
	return events;
}

/* Queries */

/* Whether the log can be served: it has begun, and there is a whole list. A whole list none of
 * whose pages arrived is enough, since the log may be empty. So fleet_list_is_known() is not
 * required. */
static bool events_are_known(const struct events *events)
{
	return events->current && fleet_newest_list(events->fleet) > 0;
}

/* The result of a query whose list is missing or failed: 0 to return the log as it is, -EAGAIN to
 * wait longer for the list, or -errno if there is no log. */
static int events_without_list(const struct events *events, struct query *query, int err)
{
	int64_t until_ms = query->began_ms + events->patience_ms;

	if (!events_are_known(events))
		return err;
	if (err != -EAGAIN || fleet_now_ms(events->fleet) >= until_ms)
		return 0;
	if (query->wake_ms > until_ms)
		query->wake_ms = until_ms;
	return err;
}

int events_query(struct events *events, struct query *query, bool reading,
                 struct event_log **ret_log)
{
	int64_t now_ms = fleet_now_ms(events->fleet);
	uint64_t list;
	int err = 0;

	if (!events_are_known(events) || !reading || now_ms >= events->queried_ms + JUST_NOW_MS) {
		err = fleet_whole_list(events->fleet, query, &list);
		if (err < 0)
			err = events_without_list(events, query, err);
		if (err == 0 && !events->current)
			err = events_rotate(events);
		if (err < 0)
			return err;
		events->queried_ms = now_ms;
	}
	*ret_log = events->current;
	return 0;
}

/* Appending */

/* Appends the text of an agent's file, or `-` and a line end if it is empty. agent: NULL if it has
 * no such file. Returns the bytes of the file's text. */
static size_t event_value(struct text *text, const struct tree_row *row, const struct agent *agent,
                          size_t index)
{
	size_t begin = text->length, bytes;

	if (agent)
		tree_field_text(row, agent, index, text);
	bytes = text->length - begin;
	if (bytes == 0)
		text_bytes(text, "-\n", 2);
	return bytes;
}

/* Replaces each line end except the last by a comma. */
static void event_join_lines(char *bytes, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++)
		if (bytes[i] == '\n')
			bytes[i] = ',';
}

/* Begins a line, with the time and the agent. */
static void event_head(struct text *text, const struct record *record, int64_t at_ns)
{
	text_time(text, at_ns);
	text_bytes(text, "\t", 1);
	text_bytes(text, record->name, strlen(record->name));
	text_bytes(text, "\t", 1);
}

/* A file of an agent before and after the change. */
struct file_pair {
	const struct agent *before; /* NULL: the file did not exist */
	size_t before_index;
	const struct agent *after; /* NULL: the file does not exist any more */
	size_t after_index;
};

/* Appends the line of a file, unless its text is the same. */
static void event_file(struct text *text, const struct record *record, int64_t at_ns,
                       const struct tree_row *row, const struct file_pair *pair)
{
	size_t begin = text->length, old, new, old_bytes, new_bytes;

	event_head(text, record, at_ns);
	if (pair->after)
		tree_file_path(row, pair->after, pair->after_index, text);
	else
		tree_file_path(row, pair->before, pair->before_index, text);
	text_bytes(text, "\t", 1);
	old = text->length;
	old_bytes = event_value(text, row, pair->before, pair->before_index);
	new = text->length;
	new_bytes = event_value(text, row, pair->after, pair->after_index);
	if (text_error(text) < 0)
		return;
	if (old_bytes == new_bytes &&
	    memcmp(text->bytes + old, text->bytes + new, new_bytes) == 0) {
		text->length = begin;
		return;
	}
	event_join_lines(text->bytes + old, new - old);
	text->bytes[new - 1] = '\t';
	event_join_lines(text->bytes + new, text->length - new);
}

/* Appends the lines of a row of the tree: of each of its files in the old and in the new agent. */
static void event_row(struct text *text, const struct record *record, const struct agent *before,
                      const struct agent *after, int64_t at_ns, const struct tree_row *row)
{
	struct agent_finder in_before, in_after;
	size_t before_count = tree_file_count(row, before),
	       after_count = tree_file_count(row, after);

	agent_finder_init(&in_before, before, AGENT_LABELS);
	agent_finder_init(&in_after, after, AGENT_LABELS);
	for (size_t i = 0; i < before_count; i++) {
		size_t other = tree_file_in_other(row, before, i, &in_after);
		struct file_pair pair = {before, i, other < after_count ? after : NULL, other};

		if (!pair.after || !agent_field_equal(before, after, row->field, i))
			event_file(text, record, at_ns, row, &pair);
	}
	for (size_t i = 0; i < after_count; i++)
		if (tree_file_in_other(row, after, i, &in_before) >= before_count)
			event_file(text, record, at_ns, row,
			           &(struct file_pair){NULL, 0, after, i});
}

/* Whether changes of a field are events. Measurements change with each heartbeat, and a derived
 * value repeats an event of the values that it is derived from: these lines would push all others
 * out of the log within seconds. */
static bool event_is_recorded(enum agent_field_id field)
{
	switch (field) {
	case AGENT_LAST_HEARTBEAT:
	case AGENT_SYNC_PERCENT:
	case AGENT_GPU_FREE:
	case AGENT_GPU_VRAM_FREE:
	case AGENT_GPU_VRAM_USED:
		return false;
	default:
		return true;
	}
}

/* Appends the lines of a change. before NULL: the agent joined; after NULL: it departed. */
static void event_lines(struct text *text, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	if (!before || !after) {
		event_head(text, record, at_ns);
		text_printf(text, before ? "agent\tleft\t-\n" : "agent\t-\tjoined\n");
		return;
	}
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_is_field_file(&tree_rows[i]) && event_is_recorded(tree_rows[i].field))
			event_row(text, record, before, after, at_ns, &tree_rows[i]);
}

/* Appends all lines or none. Returns 0 or the error of the text. */
static int event_log_append(struct event_log *log, const struct text *lines, int64_t at_ns)
{
	struct text *text = &log->text;
	size_t length = text->length;
	int err;

	text_bytes(text, lines->bytes, lines->length);
	err = text_error(text);
	if (err < 0) {
		text_clear(text);
		text->length = length;
		return err;
	}
	log->mtime_ns = at_ns;
	return 0;
}

/* Whether the current log is full, and old enough or large enough to be replaced. */
static bool events_must_rotate(const struct events *events)
{
	size_t bytes = events->current->text.length;

	if (bytes < events->full_bytes)
		return false;
	return fleet_now_ms(events->fleet) >= events->began_ms + EVENTS_MIN_AGE_MS ||
	       bytes >= EVENTS_MAX_FACTOR * events->full_bytes;
}

int events_changed(struct events *events, const struct record *record, const struct agent *before,
                   const struct agent *after, int64_t at_ns)
{
	struct text *lines = &events->lines;
	int err;

	if (!events->current)
		return 0;
	/* The agents of the first list have not joined. */
	if (!before && !fleet_list_is_known(events->fleet))
		return 0;
	text_clear(lines);
	event_lines(lines, record, before, after, at_ns);
	err = text_error(lines);
	if (err < 0 || lines->length == 0)
		return err;
	if (events_must_rotate(events))
		err = events_rotate(events);
	return err < 0 ? err : event_log_append(events->current, lines, at_ns);
}
