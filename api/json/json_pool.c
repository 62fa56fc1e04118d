/* SPDX-License-Identifier: MIT */
#include "api/json/json_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json.h"
#include "api/json/json_text.h"
#include "api/model/agent.h"

/* The worst text is "0,0,0,…": a node and, since cJSON 1.7.18, a string for every two bytes. Then
 * the output of json_plain() and of json_clean(). */
#define POOL_PER_BYTE ((sizeof(cJSON) + 16) / 2 + JSON_PLAIN_GROWTH + 6)

bool parse_pool_init(struct parse_pool *pool, size_t text_bytes)
{
	pool->bytes = POOL_PER_BYTE * text_bytes + 4096;
	pool->used = 0;
	pool->memory = malloc(pool->bytes);
	return pool->memory;
}

void parse_pool_done(struct parse_pool *pool)
{
	free(pool->memory);
	pool->memory = NULL;
}

void parse_pool_empty(struct parse_pool *pool)
{
	pool->used = 0;
}

void *parse_pool_take(struct parse_pool *pool, size_t bytes)
{
	size_t whole = (bytes + 15) & ~(size_t)15;
	void *part = pool->memory + pool->used;

	if (whole < bytes || whole > pool->bytes - pool->used)
		return NULL;
	pool->used += whole;
	return part;
}

/* Where cJSON takes from on this thread: its hooks have no argument that could say it. Set within
 * parse_value() alone, so that to any other user of cJSON the hooks are malloc() and free(). */
static _Thread_local struct parse_pool *pool_in_use;

static void *hook_malloc(size_t bytes)
{
	return pool_in_use ? parse_pool_take(pool_in_use, bytes) : malloc(bytes);
}

static void hook_free(void *memory)
{
	if (!pool_in_use)
		free(memory);
}

static void set_hooks(void)
{
	cJSON_Hooks hooks = {hook_malloc, hook_free};

	cJSON_InitHooks(&hooks);
}

const cJSON *parse_value(struct parse_pool *pool, const char *text, size_t bytes, bool odd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const cJSON *tree;

	pthread_once(&once, set_hooks);
	if (odd) {
		char *plain = parse_pool_take(pool, JSON_PLAIN_GROWTH * bytes);

		if (!plain)
			return NULL;
		bytes = json_plain(plain, text, bytes);
		text = plain;
	}
	pool_in_use = pool;
	tree = cJSON_ParseWithLengthOpts(text, bytes, NULL, false);
	pool_in_use = NULL;
	return tree;
}

const cJSON *parse_member(const cJSON *object, const char *key)
{
	const cJSON *last = NULL;

	if (!parse_is(object, cJSON_Object))
		return NULL;
	for (const cJSON *item = object->child; item; item = item->next)
		if (*item->string == *key && strcmp(item->string, key) == 0)
			last = item;
	return last;
}

int64_t parse_number(const cJSON *item)
{
	double value;

	if (!parse_is(item, cJSON_Number))
		return AGENT_ABSENT;
	/* Not valueint: it saturates at 2^31 - 1. */
	value = item->valuedouble;
	if (value < (double)-JSON_MAX_EXACT || value > (double)JSON_MAX_EXACT ||
	    value != (double)(int64_t)value)
		return AGENT_ABSENT;
	return (int64_t)value;
}

int64_t parse_number_between(const cJSON *item, int64_t least, int64_t most)
{
	int64_t value = parse_number(item);

	return value >= least && value <= most ? value : AGENT_ABSENT;
}
