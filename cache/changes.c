/* SPDX-License-Identifier: MIT */
#include "cache/changes.h"

#include <errno.h>
#include <stdlib.h>

void changes_done(struct changes *changes)
{
	free(changes->items);
	*changes = (struct changes){0};
}

/* One look's worth of changes is built beside the list it replaces, so that a lack of memory in the
 * middle leaves the old one whole. */
struct builder {
	const struct changes *old;
	const struct agent *before;
	const struct agent *after;
	int64_t first_ns;
	int64_t now_ns;
	struct changes next;
	int error;
};

static void add(struct builder *builder, enum agent_field_id field, uint16_t index,
                int64_t since_ns)
{
	struct changes *next = &builder->next;

	if (builder->error || since_ns == builder->first_ns)
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
static void carry(struct builder *builder, enum agent_field_id field, uint16_t index, bool changed)
{
	add(builder, field, index,
	    changed ? builder->now_ns
	            : changes_since(builder->old, field, index, builder->first_ns));
}

/* A label keeps its time wherever in the list it moves to. */
static void carry_labels(struct builder *builder)
{
	const struct agent_list *before = &builder->before->labels,
				*after = &builder->after->labels;
	struct agent_label_finder finder = {.agent = builder->before};
	size_t kept = 0;

	for (size_t i = 0; i < after->count; i++) {
		size_t was = agent_find_label(&finder, after->items[i], i);
		int64_t since_ns = builder->now_ns;

		if (was != SIZE_MAX) {
			since_ns = changes_since(builder->old, AGENT_LABELS, (uint16_t)was,
			                         builder->first_ns);
			kept++;
		}
		add(builder, AGENT_LABELS, (uint16_t)i, since_ns);
	}
	carry(builder, AGENT_LABELS, CHANGES_WHOLE, kept != after->count || kept != before->count);
}

static void carry_gpus(struct builder *builder, enum agent_field_id field)
{
	const struct agent *before = builder->before, *after = builder->after;

	for (size_t gpu = 0; gpu < after->gpu_count; gpu++)
		carry(builder, field, (uint16_t)gpu,
		      gpu >= before->gpu_count || !agent_same(before, after, field, gpu));
	if (field == AGENT_GPU_NAME)
		carry(builder, field, CHANGES_WHOLE, before->gpu_count != after->gpu_count);
}

int changes_note(struct changes *changes, const struct agent *before, const struct agent *after,
                 int64_t first_ns, int64_t now_ns)
{
	struct builder builder = {
		.old = changes,
		.before = before,
		.after = after,
		.first_ns = first_ns,
		.now_ns = now_ns,
	};

	for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++) {
		if (field == AGENT_LABELS)
			carry_labels(&builder);
		else if (agent_fields[field].place == AGENT_PLACE_GPU)
			carry_gpus(&builder, field);
		else
			carry(&builder, field, CHANGES_WHOLE, !agent_same(before, after, field, 0));
	}
	if (builder.error) {
		changes_done(&builder.next);
		return builder.error;
	}
	changes_done(changes);
	*changes = builder.next;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct change *one = a, *other = b;
	int by_field = one->field - other->field;

	return by_field ? by_field : one->index - other->index;
}

int64_t changes_since(const struct changes *changes, enum agent_field_id field, uint16_t index,
                      int64_t first_ns)
{
	const struct change wanted = {.field = (uint16_t)field, .index = index};
	const struct change *found = NULL;

	if (changes->count > 0)
		found = bsearch(&wanted, changes->items, changes->count, sizeof(wanted), compare);
	return found ? found->since_ns : first_ns;
}
