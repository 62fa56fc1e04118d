/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_REWRITE_H
#define FLEETFS_API_JSON_JSON_REWRITE_H

/*
 * Rewrites one JSON value: for the parser, or for users.
 *
 * Both functions take a value that json_scan() accepted, and write to a buffer of the caller. No
 * state: any thread may call them.
 */

#include <stddef.h>

#include "api/json/json_scan.h"

/* Upper limit of the bytes that json_normalize() writes for each byte of the text: `9e15` becomes
 * 16 digits. */
#define JSON_NORMALIZE_GROWTH 4

/*
 * Rewrites a value so that cJSON reads it exactly. dst has room for JSON_NORMALIZE_GROWTH times the
 * bytes of the text. Returns the number of bytes written.
 *
 * A number that is an integer from -2^53 to 2^53 is written in decimal digits. Any other number
 * becomes an empty array: wherever a number or a string is expected, an array has the wrong type,
 * and no parser can round it. In strings, NUL and the byte C0 get their stored form
 * (api/model/utf8.h), and an unpaired surrogate becomes the three bytes that UTF-8 would have for
 * it, which are not valid UTF-8.
 */
size_t json_normalize(char *dst, const char *text, size_t bytes);

/*
 * Rewrites a value on one line that is safe to show and to parse anywhere: without white space
 * outside of strings; unsafe characters (UTF8_CONTROL) as \uNNNN; bytes that are not UTF-8 and
 * unpaired surrogates as \ufffd; the digits of \uNNNN in lower case; everything else unchanged. dst
 * has room for json_sanitize_max() bytes. Returns the number of bytes written.
 */
size_t json_sanitize(char *dst, const char *text, size_t bytes);

#define JSON_SANITIZE_GROWTH 6 /* bytes written for a byte of text: a control becomes \uNNNN */

/* Returns an upper limit of the bytes that json_sanitize() writes for a value; 0 if it would not
 * change the value. */
static inline size_t json_sanitize_max(const struct json_span *span)
{
	if (span->flags & JSON_NEEDS_SANITIZE)
		return JSON_SANITIZE_GROWTH * (size_t)span->bytes;
	return span->flags & JSON_HAS_SPACE ? span->bytes : 0;
}

#endif
