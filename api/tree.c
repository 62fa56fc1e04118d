/* SPDX-License-Identifier: MIT */
#include "api/tree.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/agent.h"
#include "api/json.h"

/* Text at its worst, "0,0,0,…": a node and, since cJSON 1.7.18, a string for every two bytes; then
 * the text itself without odd values, and in its clean form. */
#define POOL_PER_BYTE ((sizeof(cJSON) + 16) / 2 + 1 + 6)

bool tree_pool_init(struct tree_pool *pool, size_t text_bytes)
{
	pool->bytes = POOL_PER_BYTE * text_bytes + 4096;
	pool->used = 0;
	pool->memory = malloc(pool->bytes);
	return pool->memory;
}

void tree_pool_done(struct tree_pool *pool)
{
	free(pool->memory);
	pool->memory = NULL;
}

void tree_pool_empty(struct tree_pool *pool)
{
	pool->used = 0;
}

void *tree_pool_take(struct tree_pool *pool, size_t bytes)
{
	size_t whole = (bytes + 15) & ~(size_t)15;
	void *part = pool->memory + pool->used;

	if (whole < bytes || whole > pool->bytes - pool->used)
		return NULL;
	pool->used += whole;
	return part;
}

/* Where cJSON takes from on this thread: its hooks have no argument that could say it. Set within
 * tree_parse() alone, so that to any other user of cJSON the hooks are malloc() and free(). */
static _Thread_local struct tree_pool *parse_pool;

static void *hook_malloc(size_t bytes)
{
	return parse_pool ? tree_pool_take(parse_pool, bytes) : malloc(bytes);
}

static void hook_free(void *memory)
{
	if (!parse_pool)
		free(memory);
}

static void set_hooks(void)
{
	cJSON_Hooks hooks = {hook_malloc, hook_free};

	cJSON_InitHooks(&hooks);
}

const cJSON *tree_parse(struct tree_pool *pool, const char *text, size_t bytes, bool odd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const cJSON *tree;

	pthread_once(&once, set_hooks);
	if (odd) {
		char *copy = tree_pool_take(pool, bytes);

		if (!copy)
			return NULL;
		memcpy(copy, text, bytes);
		json_plain(copy, bytes);
		text = copy;
	}
	parse_pool = pool;
	tree = cJSON_ParseWithLengthOpts(text, bytes, NULL, false);
	parse_pool = NULL;
	return tree;
}

const cJSON *tree_member(const cJSON *object, const char *key)
{
	if (!tree_is(object, cJSON_Object))
		return NULL;
	for (const cJSON *item = object->child; item; item = item->next)
		if (*item->string == *key && strcmp(item->string, key) == 0)
			return item;
	return NULL;
}

int64_t tree_number(const cJSON *item)
{
	double value;

	if (!tree_is(item, cJSON_Number))
		return AGENT_ABSENT;
	/* Not valueint: it saturates at 2^31 - 1. */
	value = item->valuedouble;
	if (value < (double)-TREE_MAX_EXACT || value > (double)TREE_MAX_EXACT ||
	    value != (double)(int64_t)value)
		return AGENT_ABSENT;
	return (int64_t)value;
}

int64_t tree_number_between(const cJSON *item, int64_t least, int64_t most)
{
	int64_t value = tree_number(item);

	return value >= least && value <= most ? value : AGENT_ABSENT;
}
