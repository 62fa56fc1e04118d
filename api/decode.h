/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_DECODE_H
#define FLEETFS_API_DECODE_H

/*
 * Bytes of an answer → a page of agents.
 *
 * Strict where it matters and forgiving where one agent could hide another: a body that is not JSON
 * (RFC 8259 to the letter, but that a string may hold bytes that are not UTF-8), that holds a NUL
 * (raw or \u0000), or that exceeds a ceiling is refused as a whole; an element of agent_list that
 * is no agent (not an object, no agent_id of type string, oversized) is dropped and counted; a
 * field of the wrong type is absent. A number is an integer of at most 2^53 written as an integer,
 * or absent.
 *
 * No state: any thread may call it.
 */

#include <stddef.h>

#include "api/agent.h"
#include "api/failure.h"

#define DECODE_MAX_BYTES       (8u << 20)          /* a body */
#define DECODE_MAX_DEPTH       32                  /* arrays and objects in each other */
#define DECODE_MAX_TOKENS      500000              /* values and keys in a body */
#define DECODE_MAX_AGENTS      10000               /* elements of agent_list */
#define DECODE_MAX_AGENT_BYTES (1u << 20)          /* one element */
#define DECODE_MAX_EXPIRY      INT64_C(9223372036) /* in 2262, the last in ns since 1970 */

/*
 * Decodes the body of a successful answer. 0 and a page for page_free(), or -errno (of
 * failure_errno) with the cause and a one-line reason for the operator in *ret_failure (cause and
 * message only; the rest is untouched).
 */
int decode_page(const char *body, size_t bytes, struct page **ret_page,
                struct failure *ret_failure);

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
