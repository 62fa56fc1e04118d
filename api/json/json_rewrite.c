/* SPDX-License-Identifier: MIT */
#include "api/json/json_rewrite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/json/json_token.h"
#include "api/model/utf8.h"

#define REPLACEMENT "\\ufffd"

/* Copies bytes to dst. Returns the position after them. */
static char *rewrite_append(char *dst, const char *text, size_t bytes)
{
	return (char *)memcpy(dst, text, bytes) + bytes;
}

/* For the parser */

/* Writes an unpaired surrogate as the three bytes that UTF-8 would have for its code. */
static char *rewrite_append_surrogate(char *dst, unsigned int code)
{
	*dst++ = (char)(0xe0 | code >> 12);
	*dst++ = (char)(0x80 | (code >> 6 & 0x3f));
	*dst++ = (char)(0x80 | (code & 0x3f));
	return dst;
}

/* Writes the string whose opening quote is at *at, and advances *at past it. */
static char *normalize_string(char *dst, const char **at, const char *end)
{
	*dst++ = *(*at)++;
	while (**at != '"') {
		if (**at == '\\') {
			struct json_escape escape = json_escape_read(*at, end);

			if (escape.kind == JSON_ESCAPE_NUL)
				dst = rewrite_append(dst, UTF8_STORED_NUL, 2);
			else if (escape.kind == JSON_ESCAPE_UNPAIRED)
				dst = rewrite_append_surrogate(dst, escape.code);
			else
				dst = rewrite_append(dst, *at, escape.bytes);
			*at += escape.bytes;
		} else if (**at == UTF8_STORED_BYTE_C0[0]) {
			dst = rewrite_append(dst, UTF8_STORED_BYTE_C0, 2);
			++*at;
		} else {
			*dst++ = *(*at)++;
		}
	}
	*dst++ = *(*at)++;
	return dst;
}

/* Writes the number that begins at *at, and advances *at past it. */
static char *normalize_number(char *dst, const char **at, const char *end)
{
	const char *begin = *at;
	char digits[24];
	int64_t value;
	int length;

	while (*at < end && **at && strchr("+-.eE0123456789", **at))
		++*at;
	if (!json_token_integer(begin, (size_t)(*at - begin), &value))
		return rewrite_append(dst, "[]", 2);
	length = snprintf(digits, sizeof(digits), "%" PRId64, value);
	return rewrite_append(dst, digits, (size_t)length);
}

size_t json_normalize(char *dst, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *at = text;
	char *to = dst;

	while (at < end) {
		if (*at == '"')
			to = normalize_string(to, &at, end);
		else if (*at == '-' || (*at >= '0' && *at <= '9'))
			to = normalize_number(to, &at, end);
		else
			*to++ = *at++;
	}
	return (size_t)(to - dst);
}

/* For users */

/* Writes the character or escape at *at, which begins with a special byte other than a quote, and
 * advances *at past it. */
static char *sanitize_special(char *dst, const char **at, const char *end)
{
	struct utf8_char c = utf8_next(*at, (size_t)(end - *at));
	const char *from = *at;

	if (*from == '\\') {
		struct json_escape escape = json_escape_read(from, end);

		*at += escape.bytes;
		if (escape.kind == JSON_ESCAPE_UNPAIRED)
			return rewrite_append(dst, REPLACEMENT, 6);
		while (from < *at) {
			*dst++ = (char)(*from >= 'A' && *from <= 'F' ? *from | 0x20 : *from);
			from++;
		}
		return dst;
	}
	*at += c.bytes;
	if (c.kind == UTF8_INVALID)
		return rewrite_append(dst, REPLACEMENT, 6);
	if (c.kind == UTF8_CONTROL) {
		char text[16];

		/* All control characters are below U+10000. */
		snprintf(text, sizeof(text), "\\u%04x", (unsigned int)c.code);
		return rewrite_append(dst, text, 6);
	}
	return rewrite_append(dst, from, c.bytes);
}

/* Copies bytes up to the first special one, and advances *at past them. Writing whole words is
 * safe: dst has at least as much room left as there is text. */
static char *sanitize_copy(char *dst, const char **at, const char *end)
{
	while (end - *at >= 8) {
		uint64_t word, hits;

		memcpy(&word, *at, sizeof(word));
		memcpy(dst, &word, sizeof(word));
		hits = json_special_bytes(le64toh(word));
		if (hits) {
			*at += __builtin_ctzll(hits) / 8;
			return dst + __builtin_ctzll(hits) / 8;
		}
		*at += 8;
		dst += 8;
	}
	while (*at < end && !json_is_special(**at))
		*dst++ = *(*at)++;
	return dst;
}

size_t json_sanitize(char *dst, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *at = text;
	char *to = dst;

	while (at < end) {
		if (*at == '"') {
			*to++ = *at++;
			to = sanitize_copy(to, &at, end);
			while (*at != '"') {
				to = sanitize_special(to, &at, end);
				to = sanitize_copy(to, &at, end);
			}
			*to++ = *at++;
		} else if ((unsigned char)*at > ' ') {
			*to++ = *at++;
		} else {
			at++;
		}
	}
	return (size_t)(to - dst);
}
