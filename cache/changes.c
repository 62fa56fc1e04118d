/* SPDX-License-Identifier: MIT */
#include "cache/changes.h"

#include <errno.h>
#include <stdlib.h>

void changes_done(struct changes *changes)
{
	free(changes->items);
	*changes = (struct changes){0};
}

struct changes_builder {
	const struct changes *old;
	const struct agent *before;
	const struct agent *after;
	int64_t first_ns;
	int64_t now_ns;
	struct changes next;
	int error;
};

/* Adds a value, unless it has the time of the record. */
static void changes_add(struct changes_builder *builder, enum agent_field_id field, uint16_t index,
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

/* Adds a value, with the time now if it changed, else with its old time. */
static void changes_carry(struct changes_builder *builder, enum agent_field_id field,
                          uint16_t index, bool changed)
{
	changes_add(builder, field, index,
	            changed ? builder->now_ns
	                    : changes_since(builder->old, field, index, builder->first_ns));
}

/* Adds the strings of a field; those that the agent had before keep their time. stored_field: the
 * field under which the times are stored; CHANGES_GPU_MODEL for the strings of AGENT_GPU_NAME, else
 * the same as field. Returns how many of the strings the agent had before. */
static size_t changes_carry_strings(struct changes_builder *builder, enum agent_field_id field,
                                    enum agent_field_id stored_field)
{
	const struct agent *after = builder->after;
	struct agent_finder finder;
	size_t kept = 0;

	agent_finder_init(&finder, builder->before, field);
	for (size_t i = 0; i < agent_string_count(after, field); i++) {
		const char *string = agent_string(after, field, i);
		size_t old = string ? agent_finder_find(&finder, string, i) : SIZE_MAX;

		if (!string)
			continue;
		kept += old != SIZE_MAX;
		changes_add(builder, stored_field, (uint16_t)i,
		            old == SIZE_MAX ? builder->now_ns
		                            : changes_since(builder->old, stored_field,
		                                            (uint16_t)old, builder->first_ns));
	}
	return kept;
}

static void changes_carry_labels(struct changes_builder *builder)
{
	size_t kept = changes_carry_strings(builder, AGENT_LABELS, AGENT_LABELS);

	changes_carry(builder, AGENT_LABELS, CHANGES_WHOLE,
	              kept != builder->after->labels.count ||
	                      kept != builder->before->labels.count);
}

static void changes_carry_tasks(struct changes_builder *builder)
{
	changes_carry_strings(builder, AGENT_RUNNING_TASKS, AGENT_RUNNING_TASKS);
	changes_carry(builder, AGENT_RUNNING_TASKS, CHANGES_WHOLE,
	              !agent_field_equal(builder->before, builder->after, AGENT_RUNNING_TASKS, 0));
}

static void changes_carry_gpus(struct changes_builder *builder, enum agent_field_id field)
{
	const struct agent *before = builder->before, *after = builder->after;

	for (size_t gpu = 0; gpu < after->gpu_count; gpu++)
		changes_carry(builder, field, (uint16_t)gpu,
		              gpu >= before->gpu_count ||
		                      !agent_field_equal(before, after, field, gpu));
	if (field == AGENT_GPU_NAME)
		changes_carry(builder, field, CHANGES_WHOLE, before->gpu_count != after->gpu_count);
}

int changes_build(const struct changes *old, const struct agent *before, const struct agent *after,
                  int64_t first_ns, int64_t now_ns, struct changes *ret_changes)
{
	struct changes_builder builder = {
		.old = old,
		.before = before,
		.after = after,
		.first_ns = first_ns,
		.now_ns = now_ns,
	};

	for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++) {
		if (field == AGENT_LABELS)
			changes_carry_labels(&builder);
		else if (agent_fields[field].place == AGENT_PLACE_GPU)
			changes_carry_gpus(&builder, field);
		else if (field == AGENT_RUNNING_TASKS)
			changes_carry_tasks(&builder);
		else
			changes_carry(&builder, field, CHANGES_WHOLE,
			              !agent_field_equal(before, after, field, 0));
	}
	/* Last, since changes_since() needs the items in the order of their fields. */
	changes_carry_strings(&builder, AGENT_GPU_NAME, CHANGES_GPU_MODEL);
	if (builder.error) {
		changes_done(&builder.next);
		return builder.error;
	}
	*ret_changes = builder.next;
	return 0;
}

static int changes_compare(const void *a, const void *b)
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
		found = bsearch(&wanted, changes->items, changes->count, sizeof(wanted),
		                changes_compare);
	return found ? found->since_ns : first_ns;
}
