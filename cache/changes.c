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

/* The strings of a field, each of which keeps its time wherever it moves to. as: what the field is
 * noted as. Returns how many were there before. */
static size_t carry_strings(struct builder *builder, enum agent_field_id field,
                            enum agent_field_id as)
{
	const struct agent *after = builder->after;
	struct agent_finder finder;
	size_t kept = 0;

	agent_finder_init(&finder, builder->before, field);
	for (size_t i = 0; i < agent_string_count(after, field); i++) {
		const char *string = agent_string(after, field, i);
		size_t was = string ? agent_find(&finder, string, i) : SIZE_MAX;

		if (!string)
			continue;
		kept += was != SIZE_MAX;
		add(builder, as, (uint16_t)i,
		    was == SIZE_MAX
		            ? builder->now_ns
		            : changes_since(builder->old, as, (uint16_t)was, builder->first_ns));
	}
	return kept;
}

static void carry_labels(struct builder *builder)
{
	size_t kept = carry_strings(builder, AGENT_LABELS, AGENT_LABELS);

	carry(builder, AGENT_LABELS, CHANGES_WHOLE,
	      kept != builder->after->labels.count || kept != builder->before->labels.count);
}

static void carry_tasks(struct builder *builder)
{
	carry_strings(builder, AGENT_RUNNING_TASKS, AGENT_RUNNING_TASKS);
	carry(builder, AGENT_RUNNING_TASKS, CHANGES_WHOLE,
	      !agent_same(builder->before, builder->after, AGENT_RUNNING_TASKS, 0));
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
		else if (field == AGENT_RUNNING_TASKS)
			carry_tasks(&builder);
		else
			carry(&builder, field, CHANGES_WHOLE, !agent_same(before, after, field, 0));
	}
	carry_strings(&builder, AGENT_GPU_NAME, CHANGES_GPU_MODEL); /* the last in the order */
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
