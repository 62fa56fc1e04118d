/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_H
#define FLEETFS_API_JSON_DECODE_H

/*
 * Decodes JSON of the API: pages and lists of agents, error messages, tokens.
 *
 * A body that is not JSON (api/json/json_scan.h), has no agent_list, or exceeds DECODE_MAX_BYTES or
 * DECODE_MAX_AGENTS is rejected as a whole. An element of agent_list that is not an agent (not an
 * object, or without an agent_id of type string) or that exceeds a limit of one element (size,
 * depth, number of values) is dropped and counted, without an effect on other elements. A field of
 * the wrong type is absent. A number must be an integer from -2^53 to 2^53, in any notation. If a
 * key occurs more than once in an object, the last one counts.
 *
 * No state: any thread may call these functions.
 */

#include <stddef.h>

#include "api/json/json_scan.h"
#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"

/* Limits of a response and of one element */
#define DECODE_MAX_BYTES       (8u << 20) /* a body */
#define DECODE_MAX_AGENTS      10000      /* elements of agent_list */
#define DECODE_MAX_AGENT_MIB   1          /* one element */
#define DECODE_MAX_AGENT_BYTES (DECODE_MAX_AGENT_MIB << 20)
#define DECODE_MAX_DEPTH       32     /* nested arrays and objects in one element */
#define DECODE_MAX_TOKENS      500000 /* values and keys in one element */

/* The latest expiry that is accepted, in seconds since 1970. As nanoseconds, a later one (after
 * 2262) does not fit into 64 bits. */
#define DECODE_MAX_EXPIRY INT64_C(9223372036)

/* Limits of a saved list. The limits of one element are those above. */
#define DECODE_MAX_LIST_BYTES  (512u << 20)
#define DECODE_MAX_LIST_AGENTS 1000000

/*
 * Decodes the body of a successful response. Returns 0 and a page for page_free(); or sets cause
 * and message of the failure and returns its -errno, as failure_set() does.
 */
int decode_page(const char *body, size_t bytes, struct page **ret_page, struct failure *failure);

/* Returns whether a body breaks off: it is the beginning of a JSON text, and the rest is missing.
 * This is also true of an empty body. */
bool decode_breaks_off(const char *body, size_t bytes);

/* Returns whether a body that is cut after some bytes may be the beginning of a page of at most
 * count agents. */
bool decode_is_truncated_page(const char *body, size_t bytes, size_t count);

/* A saved response: a list of agents, which may exceed the limits of one response. It is checked as
 * a whole and decoded in parts. The members are read-only for callers. */
struct decode_list {
	size_t count;        /* elements of agent_list */
	int64_t total_count; /* of page_meta; AGENT_ABSENT if missing or not a count */
	const char *text;    /* borrowed */
	struct json_outline outline;
};

/*
 * Checks a text, which must stay valid until decode_list_done(). Returns 0 and a list; or sets the
 * failure and returns its -errno. The message has no subject, so the caller can put the name of the
 * file in front of it; it gives a position if there is one: "not JSON at line 3, column 17: no
 * comma".
 */
int decode_list_init(const char *text, size_t bytes, struct decode_list *ret_list,
                     struct failure *failure);

/* Decodes count elements, or as many as there are, from index first on. Returns 0 and a page for
 * page_free(), whose total_count and per_page are AGENT_ABSENT; or sets the failure and returns
 * -ENOMEM. */
int decode_list_page(const struct decode_list *list, size_t first, size_t count,
                     struct page **ret_page, struct failure *failure);

/* Frees what the list owns; the text is still the caller's. */
void decode_list_done(struct decode_list *list);

/*
 * Copies the message in the body of an HTTP error to ret_text: the string `message`, `error`,
 * `detail` or `error.message` of a JSON object, else the beginning of the body. White space is
 * folded. ret_text is always terminated, has untrusted bytes, and is empty if the body is.
 */
void decode_message(const char *body, size_t bytes, char *ret_text, size_t text_bytes);

/* Returns when a JWT (RFC 7519) with this payload expires, its `exp`: seconds since 1970; 0 if it
 * is missing, is not a positive integer, or is later than DECODE_MAX_EXPIRY. */
int64_t decode_jwt_expiry(const char *json, size_t bytes);

/* Returns the version of the cJSON library: "1.7.15". */
const char *decode_cjson_version(void);

#endif
