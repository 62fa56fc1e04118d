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
	groups_init(groups, groups->seed);
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
		group->count++;
		return 0;
	}
	if (groups->count >= GROUPS_MOST)
		return 0;
	group = reserve(groups) == 0 ? malloc(sizeof(*group) + bytes) : NULL;
	if (!group)
		return -ENOMEM;
	group->by_name.hash = hash_name(groups, name);
	group->count = 1;
	group->first = where;
	memcpy(group->value, value, bytes);
	if (table_insert(&groups->by_name, &group->by_name) < 0) {
		free(group);
		return -ENOMEM;
	}
	groups->order[groups->count++] = group;
	return 0;
}
