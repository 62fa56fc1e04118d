/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_PARSE_H
#define FLEETFS_API_JSON_JSON_PARSE_H

/*
 * Parses one checked JSON value at a time with cJSON, in bounded memory. No other header includes
 * cJSON.
 *
 * The memory for a value comes from a pool, which is reset before the next value. A page needs one
 * allocation, large enough for the largest of its values. cJSON spends most of its time in malloc()
 * and free() and allocates as much as the text demands; with a pool it is a third faster, and no
 * tree has to be freed.
 *
 * Callers read a tree's struct members directly (child, next, string, valuestring), and search with
 * json_member(). cJSON_IsString() and similar functions cost a call for each value of each agent;
 * cJSON_GetObjectItem() ignores case. cJSON_GetObjectItemCaseSensitive() returns the first of
 * several equal keys, but the last one counts. Strings and keys are in the stored form
 * (api/model/utf8.h), so they do not contain NUL.
 *
 * A pool belongs to one thread.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_pool {
	char *memory;
	size_t bytes; /* of memory */
	size_t used;  /* of bytes */
};

/* Allocates a pool for one value at a time of at most text_bytes: for its tree, its normalized text
 * and a copy by json_sanitize(). Returns false if out of memory. */
bool json_pool_init(struct json_pool *pool, size_t text_bytes);

/* Frees a pool. One of all zeroes is allowed. */
void json_pool_done(struct json_pool *pool);

/* Releases all memory that was allocated from the pool, including trees. */
void json_pool_reset(struct json_pool *pool);

/* Allocates from the pool, aligned to 16 bytes. Returns NULL if not enough memory is left. */
void *json_pool_alloc(struct json_pool *pool, size_t bytes);

/*
 * Parses a value that json_scan() accepted without JSON_TOO_DEEP and JSON_TOO_MANY_TOKENS. Other
 * text must not be passed: if it ends early, cJSON 1.7.15 reads beyond the given length.
 *
 * normalize: calls json_normalize() first, which is necessary if the value has
 * JSON_NEEDS_NORMALIZE. Returns a tree, which is valid until json_pool_reset(); or NULL if the pool
 * is too small. There is no other error: cJSON accepts every value that may be passed.
 */
const cJSON *json_parse(struct json_pool *pool, const char *text, size_t bytes, bool normalize);

/* Returns whether item is not NULL and of a type: cJSON_String, … */
static inline bool json_is(const cJSON *item, int type)
{
	return item && (item->type & 0xff) == type;
}

/* Returns the last member with a key; or NULL, also if object is NULL or not an object. */
const cJSON *json_member(const cJSON *object, const char *key);

/* Returns an integer from -2^53 to 2^53; AGENT_ABSENT for any other number, another type and NULL.
 */
int64_t json_integer(const cJSON *item);

/* Returns json_integer(), or AGENT_ABSENT if it is less than min or greater than max. */
int64_t json_integer_between(const cJSON *item, int64_t min, int64_t max);

#endif
