/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_PARSE_H
#define FLEETFS_API_PARSE_H

/*
 * cJSON under control: one checked value at a time, parsed into memory that has an end. The only
 * file that includes cJSON.
 *
 * What decoding one value takes comes from a pool that is emptied for the next: one allocation for
 * a page, large enough from the start for the largest of its values. cJSON spends most of its time
 * in malloc() and free(), and takes as much memory as the text makes it; from a pool it is a third
 * faster, and nothing has to be given back in pieces.
 *
 * A tree is read by its own members (child, next, string, valuestring): asking cJSON_IsString() and
 * the like costs a call each, for every value of every agent; its look-ups ignore case.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARSE_MAX_EXACT (INT64_C(1) << 53) /* beyond it a double skips integers */

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
 * The tree of a value that json_scan() accepted; odd: it is JSON_ODD, or may be. NULL: the pool is
 * too small, since nothing is left in such a value that cJSON refuses. Nothing else may come here,
 * and no part of it: on a text that ends early cJSON 1.7.15 reads beyond the length given.
 */
const cJSON *parse_value(struct parse_pool *pool, const char *text, size_t bytes, bool odd);

/* Whether there is an item, and of that type: cJSON_String, … */
static inline bool parse_is(const cJSON *item, int type)
{
	return item && (item->type & 0xff) == type;
}

/* The first member with that key, or NULL; also if object is NULL or none. */
const cJSON *parse_member(const cJSON *object, const char *key);

/* An integer of at most 2^53, or AGENT_ABSENT, as for NULL and for any other type. */
int64_t parse_number(const cJSON *item);

/* The same, of one beyond the bounds too. */
int64_t parse_number_between(const cJSON *item, int64_t least, int64_t most);

#endif
