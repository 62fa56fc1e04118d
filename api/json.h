/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_H
#define FLEETFS_API_JSON_H

/*
 * JSON as bytes: checked and outlined before a parser may see it, rewritten before a person may.
 *
 * A forgiving parser turns hostile text into wrong values in silence (a NUL ends a string, 0123 is
 * a number, 2^53 + 1 is 2^53), and takes forty times the text's memory before it tells. So one
 * pass over the whole text, in constant memory, holds it to RFC 8259 and to ceilings, and finds the
 * spans of the values that are worth parsing one by one. What the pass cannot settle by refusing
 * (odd numbers, half surrogate pairs, control characters) it flags on the value it is in, so that
 * json_plain() and json_clean() only ever run for the few values that need them.
 *
 * The one licence beyond RFC 8259: strings may hold bytes that are not UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_flag {
	JSON_SPACE = 1 << 0,  /* white space outside of strings */
	JSON_UNSAFE = 1 << 1, /* strings that json_clean() would write in another way */
	JSON_ODD = 1 << 2,    /* a number that is no integer of at most 2^53 written as one, or half
	                         a surrogate pair: what json_plain() replaces */
};

/* A value's place in the text, without the white space around it. */
struct json_span {
	uint32_t offset; /* bytes */
	uint32_t bytes;
	uint32_t flags; /* of enum json_flag */
};

/* What json_scan() looks for, and how much it puts up with. */
struct json_query {
	const char *list; /* the member of the top-level object whose elements to report, or NULL */
	const char *member;  /* another member to report as a whole, or NULL */
	size_t max_depth;    /* arrays and objects in each other, at most 64 */
	size_t max_tokens;   /* values and keys in all */
	size_t max_elements; /* of list */
};

/* What it found. Of members with the same key the first counts; a key with escapes in it is never
 * taken for another without. */
struct json_outline {
	struct json_span *elements; /* for json_outline_done() */
	size_t count;
	bool has_list;           /* list is there and is an array */
	struct json_span member; /* bytes is 0 if it is not there */
};

struct json_fault {
	size_t offset;
	const char *reason; /* half a sentence, static: "a bad number" */
};

/*
 * Checks the text and outlines it. 0 and an outline; or -EBADMSG (it is not JSON), -E2BIG (beyond a
 * ceiling of the query, or 4 GiB), -ENOMEM, with where and why in *ret_fault.
 */
int json_scan(const char *text, size_t bytes, const struct json_query *query,
              struct json_outline *ret_outline, struct json_fault *ret_fault);

void json_outline_done(struct json_outline *outline);

/*
 * Both work on one value that json_scan() accepted.
 *
 * Rewrites it in place, to the same length, so that any parser reads what is meant: a number that
 * is JSON_ODD becomes an empty array, as a value that is of the wrong type wherever a number or a
 * string belongs, and that no parser can round; half a surrogate pair becomes U+FFFD.
 */
void json_plain(char *text, size_t bytes);

/*
 * Writes it on one line, safe to show and to parse anywhere: no white space outside of strings;
 * unsafe characters (UTF8_CONTROL) as \uNNNN; bytes that are not UTF-8 and half surrogate pairs as
 * \ufffd; the digits of \uNNNN in lower case; all else as it was. dst has room for
 * json_clean_max(); returns the length.
 */
size_t json_clean(char *dst, const char *text, size_t bytes);

/* The most that json_clean() can write for a value; 0 if it would write just what is there. */
static inline size_t json_clean_max(const struct json_span *span)
{
	if (span->flags & JSON_UNSAFE)
		return 6 * (size_t)span->bytes;
	return span->flags & JSON_SPACE ? span->bytes : 0;
}

#endif
