/* SPDX-License-Identifier: MIT */
#include "cache/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void changes_done(struct changes *changes)
{
	free(changes->items);
	*changes = (struct changes){0};
}

/* One look's worth of changes is built beside the list it replaces, so that a lack of memory in the
 * middle leaves the old one whole. */
struct builder {
	struct changes next;
	int error;
};

static void add(struct builder *builder, enum agent_field_id field, uint16_t index,
                int64_t since_ns)
{
	struct changes *next = &builder->next;

	if (builder->error)
		return;
	if (next->count == next->capacity) {
		uint16_t capacity = (uint16_t)(next->capacity ? next->capacity * 2 : 8);
		struct change *items = realloc(next->items, capacity * sizeof(*items));

		if (!items) {
			builder->error = -ENOMEM;
			return;
		}
		next->items = items;
		next->capacity = capacity;
	}
	next->items[next->count++] = (struct change){since_ns, (uint16_t)field, index};
}

/* A value that has been as it is since now, if it changed, or else since whenever it was. */
static void carry(struct builder *builder, const struct changes *old, enum agent_field_id field,
                  uint16_t index, bool changed, int64_t first_ns, int64_t now_ns)
{
	int64_t since_ns = changed ? now_ns : changes_since(old, field, index, first_ns);

	if (since_ns != first_ns)
		add(builder, field, index, since_ns);
}

static size_t find_label(const struct agent *agent, const char *label, size_t likely)
{
	if (likely < agent->labels.count && strcmp(agent->labels.items[likely], label) == 0)
		return likely;
	for (size_t i = 0; i < agent->labels.count; i++)
		if (strcmp(agent->labels.items[i], label) == 0)
			return i;
	return SIZE_MAX;
}

/* A label keeps its time wherever in the list it moves to. */
static void carry_labels(struct builder *builder, const struct changes *old,
                         const struct agent *before, const struct agent *after, int64_t first_ns,
                         int64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < after->labels.count; i++) {
		size_t was = find_label(before, after->labels.items[i], i);
		int64_t since_ns = now_ns;

		if (was != SIZE_MAX) {
			since_ns = changes_since(old, AGENT_LABELS, (uint16_t)was, first_ns);
			kept++;
		}
		if (since_ns != first_ns)
			add(builder, AGENT_LABELS, (uint16_t)i, since_ns);
	}
	carry(builder, old, AGENT_LABELS, CHANGES_WHOLE,
	      kept != after->labels.count || kept != before->labels.count, first_ns, now_ns);
}

static void carry_gpus(struct builder *builder, const struct changes *old,
                       const struct agent *before, const struct agent *after, int64_t first_ns,
                       int64_t now_ns)
{
	for (size_t gpu = 0; gpu < after->gpu_count; gpu++) {
		for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++) {
			if (agent_fields[field].place != AGENT_PLACE_GPU)
				continue;
			carry(builder, old, field, (uint16_t)gpu,
			      gpu >= before->gpu_count || !agent_same(before, after, field, gpu),
			      first_ns, now_ns);
		}
	}
	carry(builder, old, AGENT_GPU_NAME, CHANGES_WHOLE, before->gpu_count != after->gpu_count,
	      first_ns, now_ns);
}

int changes_note(struct changes *changes, const struct agent *before, const struct agent *after,
                 int64_t first_ns, int64_t now_ns)
{
	struct builder builder = {0};

	for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++)
		if (agent_fields[field].place != AGENT_PLACE_GPU && field != AGENT_LABELS)
			carry(&builder, changes, field, CHANGES_WHOLE,
			      !agent_same(before, after, field, 0), first_ns, now_ns);
	carry_labels(&builder, changes, before, after, first_ns, now_ns);
	carry_gpus(&builder, changes, before, after, first_ns, now_ns);
	if (builder.error) {
		changes_done(&builder.next);
		return builder.error;
	}
	changes_done(changes);
	*changes = builder.next;
	return 0;
}

int64_t changes_since(const struct changes *changes, enum agent_field_id field, uint16_t index,
                      int64_t first_ns)
{
	for (uint16_t i = 0; i < changes->count; i++)
		if (changes->items[i].field == field && changes->items[i].index == index)
			return changes->items[i].since_ns;
	return first_ns;
}
