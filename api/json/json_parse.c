/* SPDX-License-Identifier: MIT */
#include "api/json/json_parse.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json_rewrite.h"
#include "api/json/json_token.h"
#include "api/model/agent.h"

/* Bytes of memory for each byte of text. The worst text is "0,0,0,…": for every two bytes it needs
 * a node and, since cJSON 1.7.18, a string, which the pool rounds up to 16 bytes. In addition, the
 * outputs of json_normalize() and json_sanitize() are in the pool. */
#define POOL_PER_BYTE ((sizeof(cJSON) + 16) / 2 + JSON_NORMALIZE_GROWTH + JSON_SANITIZE_GROWTH)

bool json_pool_init(struct json_pool *pool, size_t text_bytes)
{
	pool->bytes = POOL_PER_BYTE * text_bytes + 4096;
	pool->used = 0;
	pool->memory = malloc(pool->bytes);
	return pool->memory;
}

void json_pool_done(struct json_pool *pool)
{
	free(pool->memory);
	pool->memory = NULL;
}

void json_pool_reset(struct json_pool *pool)
{
	pool->used = 0;
}

void *json_pool_alloc(struct json_pool *pool, size_t bytes)
{
	size_t rounded = (bytes + 15) & ~(size_t)15;
	void *memory = pool->memory + pool->used;

	if (rounded < bytes || rounded > pool->bytes - pool->used)
		return NULL;
	pool->used += rounded;
	return memory;
}

/* The pool of this thread's json_parse(), since cJSON's hooks have no argument for it. NULL outside
 * of json_parse(), so for any other user of cJSON in this process the hooks are malloc() and
 * free(). */
static _Thread_local struct json_pool *parse_pool;

static void *parse_malloc(size_t bytes)
{
	return parse_pool ? json_pool_alloc(parse_pool, bytes) : malloc(bytes);
}

static void parse_free(void *memory)
{
	if (!parse_pool)
		free(memory);
}

static void parse_set_hooks(void)
{
	cJSON_Hooks hooks = {parse_malloc, parse_free};

	cJSON_InitHooks(&hooks);
}

const cJSON *json_parse(struct json_pool *pool, const char *text, size_t bytes, bool normalize)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const cJSON *tree;

	pthread_once(&once, parse_set_hooks);
	if (normalize) {
		char *normal = json_pool_alloc(pool, JSON_NORMALIZE_GROWTH * bytes);

		if (!normal)
			return NULL;
		bytes = json_normalize(normal, text, bytes);
		text = normal;
	}
	parse_pool = pool;
	tree = cJSON_ParseWithLengthOpts(text, bytes, NULL, false);
	parse_pool = NULL;
	return tree;
}

const cJSON *json_member(const cJSON *object, const char *key)
{
	const cJSON *last = NULL;

	if (!json_is(object, cJSON_Object))
		return NULL;
	for (const cJSON *item = object->child; item; item = item->next)
		if (*item->string == *key && strcmp(item->string, key) == 0)
			last = item;
	return last;
}

int64_t json_integer(const cJSON *item)
{
	double value;

	if (!json_is(item, cJSON_Number))
		return AGENT_ABSENT;
	/* Not valueint, which saturates at 2^31 - 1. */
	value = item->valuedouble;
	if (value < (double)-JSON_MAX_EXACT || value > (double)JSON_MAX_EXACT ||
	    value != (double)(int64_t)value)
		return AGENT_ABSENT;
	return (int64_t)value;
}

int64_t json_integer_between(const cJSON *item, int64_t min, int64_t max)
{
	int64_t value = json_integer(item);

	return value >= min && value <= max ? value : AGENT_ABSENT;
}
