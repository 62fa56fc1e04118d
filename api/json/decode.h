/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_H
#define FLEETFS_API_JSON_DECODE_H

/*
 * Decodes the body of a response to a page of agents.
 *
 * A body that is not JSON (api/json/json.h), has no agent_list, or exceeds DECODE_MAX_BYTES or
 * DECODE_MAX_AGENTS is refused as a whole. An element of agent_list that is no agent (not an
 * object, no agent_id of type string) or that exceeds a limit of its own (size, depth, number of
 * values) is dropped and counted, and costs no other element anything. A field of the wrong type is
 * absent. A number counts if it is an integer of at most 2^53, however it is written. Of duplicate
 * keys in an object the last counts.
 *
 * No state: any thread may call it.
 */

#include <stddef.h>

#include "api/json/json.h"
#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"

#define DECODE_MAX_BYTES       (8u << 20) /* a body */
#define DECODE_MAX_AGENTS      10000      /* elements of agent_list */
#define DECODE_MAX_AGENT_MIB   1          /* one element */
#define DECODE_MAX_AGENT_BYTES (DECODE_MAX_AGENT_MIB << 20)
#define DECODE_MAX_DEPTH       32     /* arrays and objects in each other, in one element */
#define DECODE_MAX_TOKENS      500000 /* values and keys in one element */
#define DECODE_MAX_EXPIRY      INT64_C(9223372036) /* in 2262, the last in ns since 1970 */

/* Limits of a list in a file; those of one element are the same. */
#define DECODE_MAX_LIST_BYTES  (512u << 20)
#define DECODE_MAX_LIST_AGENTS 1000000

/*
 * Decodes the body of a successful answer. 0 and a page for page_free(), or -errno (of
 * failure_errno) with the cause and a one-line reason for the operator in *ret_failure (cause and
 * message only; the rest is untouched).
 */
int decode_page(const char *body, size_t bytes, struct page **ret_page,
                struct failure *ret_failure);

/* Whether a body that is not complete may be the beginning of a page of at most `count` agents. */
bool decode_is_cut_page(const char *body, size_t bytes, size_t count);

/* A list of any length in the shape of an answer, checked as a whole, to be decoded in parts. */
struct decode_list {
	size_t count;        /* elements of agent_list */
	int64_t total_count; /* as page_meta says; AGENT_ABSENT when it says nothing usable */
	const char *text;    /* borrowed */
	struct json_outline outline;
};

/*
 * The text must stay until decode_list_done(). 0, or -errno as decode_page() has it; the reason is
 * to stand behind the text's name, with line and column where there is a place to tell: "not JSON
 * at line 3, column 17: no comma".
 */
int decode_list_init(const char *text, size_t bytes, struct decode_list *ret_list,
                     struct failure *ret_failure);

/* A page of `count` elements from `first` on (from 0), or of those there are; its total_count and
 * per_page are AGENT_ABSENT. 0, or -ENOMEM with the failure. */
int decode_list_page(const struct decode_list *list, size_t first, size_t count,
                     struct page **ret_page, struct failure *ret_failure);

void decode_list_done(struct decode_list *list);

/*
 * The API's own words in the body of an error, to be shown: the string `message`, `error`, `detail`
 * or `error.message` of a JSON object, else the beginning of the body, white space folded. Always
 * terminated; untrusted bytes. Empty when there is nothing.
 */
void decode_message(const char *body, size_t bytes, char *ret_text, size_t text_bytes);

/* `exp` in the payload of a JWT (RFC 7519), seconds since 1970; 0 if there is none, or none before
 * DECODE_MAX_EXPIRY. */
int64_t decode_expiry(const char *json, size_t bytes);

/* Of the cJSON in use: "1.7.15". */
const char *decode_version(void);

#endif
