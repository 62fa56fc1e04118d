/* SPDX-License-Identifier: MIT */
#include "fs/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fs/names.h"

void groups_init(struct groups *groups, uint64_t seed)
{
	*groups = (struct groups){.seed = seed};
}

void groups_done(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		free(groups->order[i]);
	free(groups->order);
	table_done(&groups->by_name);
	*groups = (struct groups){.seed = groups->seed, .number = groups->number};
}

void groups_end(struct groups *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = groups->order[i];

		if (group->list == groups->list) {
			groups->order[count++] = group;
			continue;
		}
		table_remove(&groups->by_name, &group->by_name);
		free(group);
	}
	groups->count = count;
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

static uint64_t hash_name(const struct groups *groups, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), groups->seed);
}

struct group *groups_find(const struct groups *groups, const char *name)
{
	struct table_link *at = table_first(&groups->by_name, hash_name(groups, name));

	for (; at; at = table_next(at)) {
		struct group *group = TABLE_ENTRY(at, struct group, by_name);
		char its_name[NAME_BYTES];

		name_encode(group->value, its_name);
		if (strcmp(its_name, name) == 0)
			return group;
	}
	return NULL;
}

static int reserve(struct groups *groups)
{
	size_t more = groups->capacity ? groups->capacity * 2 : 16;
	struct group **order;

	if (groups->count < groups->capacity)
		return 0;
	order = realloc(groups->order, more * sizeof(*order));
	if (!order)
		return -ENOMEM;
	groups->order = order;
	groups->capacity = more;
	return 0;
}

int groups_add(struct groups *groups, const char *value, uint64_t where)
{
	size_t bytes = strlen(value) + 1;
	char name[NAME_BYTES];
	struct group *group;

	name_encode(value, name);
	group = groups_find(groups, name);
	if (group) {
		if (group->list != groups->list) {
			group->list = groups->list;
			group->first = where;
			group->count = 0;
		}
		group->count++;
		return 0;
	}
	if (groups->count >= GROUPS_MOST)
		return 0;
	group = reserve(groups) == 0 ? malloc(sizeof(*group) + bytes) : NULL;
	if (!group)
		return -ENOMEM;
	group->by_name.hash = hash_name(groups, name);
	group->list = groups->list;
	group->count = 1;
	group->first = where;
	memcpy(group->value, value, bytes);
	if (table_insert(&groups->by_name, &group->by_name) < 0) {
		free(group);
		return -ENOMEM;
	}
	group->number = ++groups->number;
	groups->order[groups->count++] = group;
	return 0;
}
