/* SPDX-License-Identifier: MIT */
#include "api/json_text.h"

#include <stdio.h>

#include "api/json.h"
#include "api/utf8.h"

#define REPLACEMENT "\\ufffd"

/* The four hex digits at `at` as a number, or -1. */
static int hex4(const char *at, const char *end, bool *upper)
{
	int code = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];

		code <<= 4;
		if (c >= '0' && c <= '9') {
			code |= c - '0';
		} else if (c >= 'a' && c <= 'f') {
			code |= c - 'a' + 10;
		} else if (c >= 'A' && c <= 'F') {
			code |= c - 'A' + 10;
			*upper = true;
		} else {
			return -1;
		}
	}
	return code;
}

struct json_escape json_escape_read(const char *at, const char *end)
{
	struct json_escape escape = {.kind = JSON_ESCAPE_GOOD, .bytes = 2};
	bool upper = false;
	int code, low;

	if (end - at < 2 || !strchr("\"\\/bfnrtu", at[1]) || !at[1])
		return (struct json_escape){.kind = JSON_ESCAPE_BAD};
	if (at[1] != 'u')
		return escape;
	escape.bytes = 6;
	code = hex4(at + 2, end, &escape.upper);
	if (code < 0)
		escape.kind = JSON_ESCAPE_BAD;
	else if (code == 0)
		escape.kind = JSON_ESCAPE_NUL;
	else if (code >= 0xd800 && code <= 0xdfff)
		escape.kind = JSON_ESCAPE_HALF;
	if (code < 0xd800 || code > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u')
		return escape;
	low = hex4(at + 8, end, &upper);
	if (low < 0xdc00 || low > 0xdfff)
		return escape;
	return (struct json_escape){JSON_ESCAPE_GOOD, 12, escape.upper || upper};
}

/* The string whose opening quote is at `at`: rewrites its half surrogate pairs, returns its end. */
static char *plain_string(char *at, const char *end)
{
	at++;
	while (at < end && *at != '"') {
		if (*at == '\\') {
			struct json_escape escape = json_escape_read(at, end);

			if (escape.kind == JSON_ESCAPE_HALF)
				memcpy(at, REPLACEMENT, 6);
			at += escape.bytes;
		} else {
			at++;
		}
	}
	return at + 1;
}

void json_plain(char *text, size_t bytes)
{
	const char *end = text + bytes;
	char *at = text;

	while (at < end) {
		if (*at == '"') {
			at = plain_string(at, end);
		} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
			const char *digits = *at == '-' ? at + 1 : at;
			size_t whole = (size_t)(json_skip_digits(digits, end) - digits);
			char *begin = at;

			while (at < end && *at && strchr("+-.eE0123456789", *at))
				at++;
			/* One digit is never odd, so that the two brackets always fit. */
			if (digits + whole != at || !json_is_exact(digits, whole)) {
				memset(begin, ' ', (size_t)(at - begin));
				memcpy(begin, "[]", 2);
			}
		} else {
			at++;
		}
	}
}

static char *put(char *dst, const char *text, size_t bytes)
{
	return (char *)memcpy(dst, text, bytes) + bytes;
}

/* One that is notable but a quote: writes it, and moves *at beyond it. */
static char *clean_notable(char *dst, const char **at, const char *end)
{
	struct utf8_char c = utf8_next(*at, (size_t)(end - *at));
	const char *from = *at;

	if (*from == '\\') {
		struct json_escape escape = json_escape_read(from, end);

		*at += escape.bytes;
		if (escape.kind == JSON_ESCAPE_HALF)
			return put(dst, REPLACEMENT, 6);
		while (from < *at) {
			*dst++ = (char)(*from >= 'A' && *from <= 'F' ? *from | 0x20 : *from);
			from++;
		}
		return dst;
	}
	*at += c.bytes;
	if (c.kind == UTF8_INVALID)
		return put(dst, REPLACEMENT, 6);
	if (c.kind == UTF8_CONTROL) {
		char text[16];

		/* All of them are below U+10000. */
		snprintf(text, sizeof(text), "\\u%04x", (unsigned int)c.code);
		return put(dst, text, 6);
	}
	return put(dst, from, c.bytes);
}

/* json_skip_plain(), copying. Whole words fit, since as much room is left in dst as text. */
static char *copy_plain(char *dst, const char **at, const char *end)
{
	while (end - *at >= 8) {
		uint64_t word, hits;

		memcpy(&word, *at, sizeof(word));
		memcpy(dst, &word, sizeof(word));
		hits = json_notable_bytes(le64toh(word));
		if (hits) {
			*at += __builtin_ctzll(hits) / 8;
			return dst + __builtin_ctzll(hits) / 8;
		}
		*at += 8;
		dst += 8;
	}
	while (*at < end && !json_is_notable(**at))
		*dst++ = *(*at)++;
	return dst;
}

size_t json_clean(char *dst, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *at = text;
	char *to = dst;

	while (at < end) {
		if (*at == '"') {
			*to++ = *at++;
			to = copy_plain(to, &at, end);
			while (*at != '"') {
				to = clean_notable(to, &at, end);
				to = copy_plain(to, &at, end);
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
