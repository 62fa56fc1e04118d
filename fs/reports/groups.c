/* SPDX-License-Identifier: MIT */
#include "fs/reports/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fs/tree/names.h"

void groups_init(struct groups *groups, uint64_t seed)
{
	*groups = (struct groups){.seed = seed};
}

static size_t group_bytes(const struct group *group)
{
	return sizeof(*group) + strlen(group->value) + 1;
}

static void group_free(struct groups *groups, struct group *group)
{
	groups->bytes -= group_bytes(group);
	record_unref(group->first);
	free(group);
}

void groups_done(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		group_free(groups, groups->order[i]);
	free(groups->order);
	table_done(&groups->by_name);
	*groups = (struct groups){.seed = groups->seed, .number = groups->number};
}

void groups_finish(struct groups *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = groups->order[i];

		if (group->list == groups->list) {
			groups->order[count++] = group;
			continue;
		}
		table_remove(&groups->by_name, &group->by_name);
		group_free(groups, group);
	}
	groups->count = count;
}

void groups_heap_push(struct groups *groups, size_t first)
{
	struct group **heap = groups->order + first;
	size_t at = groups->count - first - 1;
	struct group *last = heap[at];

	for (; at > 0 && strcmp(heap[(at - 1) / 2]->value, last->value) > 0; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = last;
}

struct group *groups_heap_pop(struct groups *groups, size_t first, size_t end)
{
	struct group **heap = groups->order + first;
	size_t count = end - first - 1, at = 0;
	struct group *root = heap[0], *last = heap[count];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && strcmp(heap[child + 1]->value, heap[child]->value) < 0)
			child++;
		if (strcmp(heap[child]->value, last->value) >= 0)
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	heap[count] = root;
	return root;
}

size_t groups_after(const struct groups *groups, uint64_t number)
{
	size_t low = 0, high = groups->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (groups->order[middle]->number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t groups_hash(const struct groups *groups, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), groups->seed);
}

struct group *groups_find(const struct groups *groups, const char *name)
{
	struct table_link *at = table_first(&groups->by_name, groups_hash(groups, name));

	for (; at; at = table_next(at)) {
		struct group *group = TABLE_ENTRY(at, struct group, by_name);
		char group_name[NAME_BYTES];

		name_encode(group->value, group_name);
		if (strcmp(group_name, name) == 0)
			return group;
	}
	return NULL;
}

/* Makes room for one more group. Returns 0 or -ENOMEM. */
static int groups_reserve(struct groups *groups)
{
	size_t capacity = groups->capacity ? groups->capacity * 2 : 16;
	struct group **order;

	if (groups->count < groups->capacity)
		return 0;
	order = realloc(groups->order, capacity * sizeof(*order));
	if (!order)
		return -ENOMEM;
	groups->order = order;
	groups->capacity = capacity;
	return 0;
}

/* Makes a group of an earlier list a group of this list, without agents yet. */
static void group_move_to_list(struct group *group, uint64_t list)
{
	if (group->list == list)
		return;
	record_unref(group->first);
	group->first = NULL;
	group->list = list;
	group->count = 0;
}

static int group_new(struct groups *groups, const char *name, const char *value,
                     struct group **ret_group)
{
	size_t bytes = strlen(value) + 1;
	struct group *group =
		groups_reserve(groups) == 0 ? calloc(1, sizeof(*group) + bytes) : NULL;

	if (!group)
		return -ENOMEM;
	group->by_name.hash = groups_hash(groups, name);
	group->list = groups->list;
	memcpy(group->value, value, bytes);
	if (table_insert(&groups->by_name, &group->by_name) < 0) {
		free(group);
		return -ENOMEM;
	}
	group->number = ++groups->number;
	groups->order[groups->count++] = group;
	groups->bytes += group_bytes(group);
	*ret_group = group;
	return 0;
}

/* Finds or creates the group of a value. *ret_group is NULL if there are too many groups. Returns 0
 * or -ENOMEM. */
static int groups_find_or_create(struct groups *groups, const char *value, struct group **ret_group)
{
	char name[NAME_BYTES];

	name_encode(value, name);
	*ret_group = groups_find(groups, name);
	if (*ret_group) {
		group_move_to_list(*ret_group, groups->list);
		return 0;
	}
	return groups->count < GROUPS_MAX ? group_new(groups, name, value, ret_group) : 0;
}

int groups_add(struct groups *groups, const char *value, struct record *record)
{
	struct group *group;
	int err = groups_find_or_create(groups, value, &group);

	if (err < 0 || !group)
		return err;
	if (group->count++ == 0 && record)
		group->first = record_ref(record);
	return 0;
}

int groups_expect(struct groups *groups, const char *value)
{
	struct group *group;

	return groups_find_or_create(groups, value, &group);
}
