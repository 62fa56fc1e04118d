/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_POOL_H
#define FLEETFS_API_JSON_JSON_POOL_H

/*
 * Parsing with cJSON: one checked value at a time, in bounded memory. The only file that includes
 * cJSON.
 *
 * Memory for one value comes from a pool that is emptied for the next value: one allocation for a
 * page, large enough from the start for the largest of its values. cJSON spends most of its time in
 * malloc() and free() and allocates as much as the text demands; with a pool it is a third faster,
 * and nothing has to be freed piece by piece.
 *
 * Callers read the members of a tree directly (child, next, string, valuestring): cJSON_IsString()
 * and the like cost a call for each value of each agent, and cJSON's look-ups ignore case. Strings
 * and keys are in the stored form (api/model/utf8.h), so none of them contains NUL.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parse_pool {
	char *memory;
	size_t bytes;
	size_t used;
};

/* A pool for one value at a time, whose text is at most so long: for its tree, and for a copy made
 * by json_clean(). False: out of memory. */
bool parse_pool_init(struct parse_pool *pool, size_t text_bytes);

/* A pool of zeroes is fine. */
void parse_pool_done(struct parse_pool *pool);

/* Takes everything back, trees included. */
void parse_pool_empty(struct parse_pool *pool);

/* Memory aligned to 16 bytes, until the pool is emptied; NULL if there is not as much left. */
void *parse_pool_take(struct parse_pool *pool, size_t bytes);

/*
 * The tree of a value that json_scan() accepted and that is neither JSON_DEEP nor JSON_MANY. odd:
 * it is JSON_ODD, or may be. NULL: the pool is too small; cJSON refuses nothing in such a value.
 * Never pass any other text: if it ends early, cJSON 1.7.15 reads beyond the given length.
 */
const cJSON *parse_value(struct parse_pool *pool, const char *text, size_t bytes, bool odd);

/* Whether there is an item, and of that type: cJSON_String, … */
static inline bool parse_is(const cJSON *item, int type)
{
	return item && (item->type & 0xff) == type;
}

/* The last member with that key, or NULL; also if object is NULL or is not an object. */
const cJSON *parse_member(const cJSON *object, const char *key);

/* An integer of at most 2^53; AGENT_ABSENT for any other number, for another type and for NULL. */
int64_t parse_number(const cJSON *item);

/* As parse_number(), and AGENT_ABSENT for a number outside of the bounds. */
int64_t parse_number_between(const cJSON *item, int64_t least, int64_t most);

#endif
