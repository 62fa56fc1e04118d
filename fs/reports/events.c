/* SPDX-License-Identifier: MIT */
#include "fs/reports/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/tree.h"

#define PATIENCE_MS 2000 /* as long as the fleet has with stale data at hand */
#define JUST_NOW_MS 1000 /* who polls, polls no faster */

struct events {
	struct fleet *fleet;
	int64_t patience_ms;
	uint64_t full_bytes;
	struct document *now;    /* NULL: nobody has looked yet */
	struct document *before; /* NULL: there was none */
	int64_t began_ms;        /* when the log began */
	int64_t looked_ms;       /* when a look was last answered */
	struct text lines;       /* of the agent at hand */
};

struct events *events_new(struct fleet *fleet, int64_t timeout_ms, uint64_t full_bytes)
{
	struct events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	events->fleet = fleet;
	events->patience_ms = timeout_ms * 3 / 4 < PATIENCE_MS ? timeout_ms * 3 / 4 : PATIENCE_MS;
	events->full_bytes = full_bytes;
	text_init(&events->lines, DOCUMENT_MAX_TEXT);
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	document_unref(events->now);
	document_unref(events->before);
	text_done(&events->lines);
	free(events);
}

struct document *events_before(const struct events *events)
{
	return events->before;
}

/* A new log; the old one, if any, is the one before. 0 or -ENOMEM. */
static int begin(struct events *events)
{
	struct document *document = document_new();

	if (!document)
		return -ENOMEM;
	document->log = true;
	document->grows = true;
	document->mtime_ns = fleet_wall_ns(events->fleet);
	document_unref(events->before);
	events->before = events->now;
	if (events->before)
		events->before->grows = false;
	events->now = document;
	events->began_ms = fleet_now_ms(events->fleet);
	return 0;
}

/* Looking */

/* What a look is worth whose list could not be had (now): the log as it is, or more patience. */
static int settle(const struct events *events, struct query *query, int err)
{
	int64_t until_ms = query->began_ms + events->patience_ms;

	if (!events->now)
		return err;
	if (err != -EAGAIN || fleet_now_ms(events->fleet) >= until_ms)
		return 0;
	if (query->wake_ms > until_ms)
		query->wake_ms = until_ms;
	return err;
}

int events_look(struct events *events, struct query *query, bool reading, struct document **ret)
{
	int64_t now_ms = fleet_now_ms(events->fleet);
	uint64_t list;
	int err = 0;

	if (!events->now || !reading || now_ms >= events->looked_ms + JUST_NOW_MS) {
		err = fleet_whole(events->fleet, query, &list);
		if (err < 0)
			err = settle(events, query, err);
		if (err == 0 && !events->now)
			err = begin(events);
		if (err < 0)
			return err;
		events->looked_ms = now_ms;
	}
	*ret = events->now;
	return 0;
}

/* Writing */

/* What is in a file of an agent. agent: NULL if it has no such file. Returns of how many bytes; in
 * place of none there is a `-` with its end of line. */
static size_t add_value(struct text *text, const struct row *row, const struct agent *agent,
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

/* Makes one line of several, but for the end of the last. */
static void join(char *bytes, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++)
		if (bytes[i] == '\n')
			bytes[i] = ',';
}

static void add_head(struct text *text, const struct record *record, int64_t at_ns)
{
	text_time(text, at_ns);
	text_bytes(text, "\t", 1);
	text_bytes(text, record->name, strlen(record->name));
	text_bytes(text, "\t", 1);
}

/* What is to be compared: one file of an agent, in either of its states or in both. */
struct pair {
	const struct agent *before; /* NULL: the file was not there */
	size_t before_index;
	const struct agent *after; /* NULL: it is not there any more */
	size_t after_index;
};

/* The line of a file, unless its text is the same. */
static void add_file(struct text *text, const struct record *record, int64_t at_ns,
                     const struct row *row, const struct pair *pair)
{
	size_t begin = text->length, old, new, old_bytes, new_bytes;

	add_head(text, record, at_ns);
	if (pair->after)
		tree_path(row, pair->after, pair->after_index, text);
	else
		tree_path(row, pair->before, pair->before_index, text);
	text_bytes(text, "\t", 1);
	old = text->length;
	old_bytes = add_value(text, row, pair->before, pair->before_index);
	new = text->length;
	new_bytes = add_value(text, row, pair->after, pair->after_index);
	if (text_error(text) < 0)
		return;
	if (old_bytes == new_bytes &&
	    memcmp(text->bytes + old, text->bytes + new, new_bytes) == 0) {
		text->length = begin;
		return;
	}
	join(text->bytes + old, new - old);
	text->bytes[new - 1] = '\t';
	join(text->bytes + new, text->length - new);
}

static void add_row(struct text *text, const struct record *record, const struct agent *before,
                    const struct agent *after, int64_t at_ns, const struct row *row)
{
	struct agent_finder in_before, in_after;
	size_t befores = tree_occurrences(row, before), afters = tree_occurrences(row, after);

	agent_finder_init(&in_before, before, AGENT_LABELS);
	agent_finder_init(&in_after, after, AGENT_LABELS);
	for (size_t i = 0; i < befores; i++) {
		size_t is = tree_same(row, before, i, &in_after);
		struct pair pair = {before, i, is < afters ? after : NULL, is};

		if (!pair.after || !agent_same(before, after, row->field, i))
			add_file(text, record, at_ns, row, &pair);
	}
	for (size_t i = 0; i < afters; i++)
		if (tree_same(row, after, i, &in_before) >= befores)
			add_file(text, record, at_ns, row, &(struct pair){NULL, 0, after, i});
}

static void add_all(struct text *text, const struct record *record, const struct agent *before,
                    const struct agent *after, int64_t at_ns)
{
	if (!before || !after) {
		add_head(text, record, at_ns);
		text_printf(text, before ? "agent\tleft\t-\n" : "agent\t-\tjoined\n");
		return;
	}
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_is_value(&tree_rows[i]))
			add_row(text, record, before, after, at_ns, &tree_rows[i]);
}

/* All of it or nothing. */
static int append(struct document *log, const struct text *lines, int64_t at_ns)
{
	struct text *text = &log->texts[0];
	int err;

	text_bytes(text, lines->bytes, lines->length);
	err = text_error(text);
	if (err < 0) {
		text_clear(text);
		text->length = log->bytes;
		return err;
	}
	log->bytes = text->length;
	log->mtime_ns = at_ns;
	return 0;
}

static bool is_full(const struct events *events)
{
	if (events->now->bytes < events->full_bytes)
		return false;
	return fleet_now_ms(events->fleet) >= events->began_ms + EVENTS_LEAST_MS ||
	       events->now->bytes >= EVENTS_MOST * events->full_bytes;
}

int events_changed(struct events *events, const struct record *record, const struct agent *before,
                   const struct agent *after, int64_t at_ns)
{
	struct text *lines = &events->lines;
	int err;

	if (!events->now)
		return 0;
	text_clear(lines);
	add_all(lines, record, before, after, at_ns);
	err = text_error(lines);
	if (err < 0 || lines->length == 0)
		return err;
	if (is_full(events))
		err = begin(events);
	return err < 0 ? err : append(events->now, lines, at_ns);
}
