/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_SCAN_H
#define FLEETFS_API_JSON_JSON_SCAN_H

/*
 * Checks a JSON text and finds the values in it that are worth parsing.
 *
 * Why a scanner in front of the parser: cJSON silently turns hostile text into wrong values (a NUL
 * ends a string, 0123 is a number, 2^53 + 1 is 2^53) and needs forty times the memory of the text.
 * json_scan() checks the whole text against RFC 8259 in one pass and returns the spans of the
 * values to parse one by one. The pass needs one bit of memory for each open array or object.
 *
 * A text that is not JSON is rejected as a whole. Other properties that matter (exceeded limits,
 * unusual numbers, NUL, unpaired surrogates, control characters) become flags of the returned value
 * that has them. One value therefore never affects another, and json_normalize() and
 * json_sanitize() (api/json/json_rewrite.h) only run on the few values that need them.
 *
 * Two deviations from RFC 8259: strings may contain bytes that are not UTF-8, and a byte order mark
 * in front of the text is ignored.
 *
 * No state: any thread may call these functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_flag {
	JSON_HAS_SPACE = 1 << 0,       /* white space outside of strings */
	JSON_NEEDS_SANITIZE = 1 << 1,  /* json_sanitize() would change a string */
	JSON_NEEDS_NORMALIZE = 1 << 2, /* json_normalize() would change a string or a number */
	JSON_LOSSY = 1 << 3,           /* json_sanitize() would replace something by U+FFFD */
	JSON_TOO_DEEP = 1 << 4,        /* nested deeper than query.max_depth */
	JSON_TOO_MANY_TOKENS = 1 << 5, /* more values and keys than query.max_tokens */
};

/* The position of a value in the text, without the white space around it. */
struct json_span {
	uint32_t offset; /* bytes */
	uint32_t bytes;
	uint32_t flags; /* enum json_flag, combined */
};

/* Which values json_scan() returns, and their limits. */
struct json_query {
	const char *list;    /* key of the top-level array whose elements to return, or NULL */
	const char *member;  /* key of the top-level member to return as a whole, or NULL; if both
	                        keys are NULL, the member is the whole text */
	size_t max_depth;    /* nested arrays and objects in one returned value */
	size_t max_tokens;   /* values and keys in one returned value */
	size_t max_elements; /* elements of list */
};

/* The values found. If a key occurs more than once, its last value counts. */
struct json_outline {
	struct json_span *elements; /* of the list, in order */
	size_t count;               /* entries in elements */
	bool has_list;              /* the list exists and is an array */
	struct json_span member;    /* bytes is 0 if there is no such member */
};

/* Why a text was rejected. */
struct json_fault {
	size_t offset;      /* where the text is wrong; its length if it ends early */
	const char *reason; /* static, lower case: "a bad number" */
};

/*
 * Checks a text and finds the values of the query.
 *
 * Returns 0 and an outline, which the caller passes to json_outline_done(); or, with position and
 * reason in *ret_fault, -EBADMSG if the text is not JSON, -E2BIG if it has more than max_elements
 * or 4 GiB, or -ENOMEM. text may be NULL if bytes is 0.
 */
int json_scan(const char *text, size_t bytes, const struct json_query *query,
              struct json_outline *ret_outline, struct json_fault *ret_fault);

/* Frees the elements. */
void json_outline_done(struct json_outline *outline);

#endif
