/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_H
#define FLEETFS_API_JSON_JSON_H

/*
 * JSON as bytes: checked and outlined before it is parsed, rewritten before it is shown.
 *
 * A lenient parser silently turns hostile text into wrong values (a NUL ends a string, 0123 is a
 * number, 2^53 + 1 is 2^53) and needs forty times the memory of the text. So one pass over the
 * whole text checks it against RFC 8259 and finds the spans of the values to parse one by one. The
 * pass needs one bit of memory for each open array or object.
 *
 * A text that is not JSON is refused as a whole. Everything else that makes a value unfit or needs
 * work (limits exceeded, unusual numbers, NUL, half surrogate pairs, control characters) is a flag
 * of the reported value that contains it. So one value never affects another, and json_plain() and
 * json_clean() only run for the few values that need them.
 *
 * Two deviations from RFC 8259: strings may contain bytes that are not UTF-8, and a byte order mark
 * in front of the text is ignored.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_flag {
	JSON_SPACE = 1 << 0,  /* white space outside of strings */
	JSON_UNSAFE = 1 << 1, /* strings that json_clean() would write in another way */
	JSON_ODD = 1 << 2,    /* something that json_plain() rewrites */
	JSON_LOSSY = 1 << 3,  /* strings of which json_clean() replaces something by U+FFFD */
	JSON_DEEP = 1 << 4,   /* nested deeper than query.max_depth */
	JSON_MANY = 1 << 5,   /* more values and keys than query.max_tokens */
};

/* A value's place in the text, without the white space around it. */
struct json_span {
	uint32_t offset; /* bytes */
	uint32_t bytes;
	uint32_t flags; /* of enum json_flag */
};

/* Which values json_scan() reports, and their limits. */
struct json_query {
	const char *list; /* the member of the top-level object whose elements to report, or NULL */
	const char *member;  /* the member to report as a whole, or NULL; if list is NULL, too, the
	                        whole text is reported */
	size_t max_depth;    /* arrays and objects in each other, in one reported value */
	size_t max_tokens;   /* values and keys in one reported value */
	size_t max_elements; /* of list */
};

/* The reported values. Of members with the same key the last counts. */
struct json_outline {
	struct json_span *elements; /* for json_outline_done() */
	size_t count;
	bool has_list;           /* the list exists and is an array */
	struct json_span member; /* bytes is 0 if there is no such member */
};

struct json_fault {
	size_t offset;
	const char *reason; /* half a sentence, static: "a bad number" */
};

/*
 * Checks the text and outlines it. 0 and an outline; or -EBADMSG (it is not JSON), -E2BIG (more
 * than max_elements, or 4 GiB) or -ENOMEM, with place and reason in *ret_fault.
 */
int json_scan(const char *text, size_t bytes, const struct json_query *query,
              struct json_outline *ret_outline, struct json_fault *ret_fault);

void json_outline_done(struct json_outline *outline);

/* json_plain() writes at most this many bytes for each byte of the text: `9e15` becomes 16 digits.
 */
#define JSON_PLAIN_GROWTH 4

/*
 * Rewrites one value that json_scan() accepted so that any parser reads it exactly. dst has room
 * for JSON_PLAIN_GROWTH times the bytes; returns the length.
 *
 * A number that is an integer of at most 2^53 is written in decimal digits. Any other becomes an
 * empty array: wherever a number or a string is expected this has the wrong type, and no parser can
 * round it. In strings, NUL and the byte C0 get their stored form (api/model/utf8.h), and half a
 * surrogate pair the three bytes that UTF-8 would have for it, which are not valid UTF-8.
 */
size_t json_plain(char *dst, const char *text, size_t bytes);

/*
 * Writes one value that json_scan() accepted on one line, safe to show and to parse anywhere: no
 * white space outside of strings; unsafe characters (UTF8_CONTROL) as \uNNNN; bytes that are not
 * UTF-8 and half surrogate pairs as \ufffd; the digits of \uNNNN in lower case; everything else
 * unchanged. dst has room for json_clean_max(); returns the length.
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
