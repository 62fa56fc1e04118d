/* SPDX-License-Identifier: MIT */
#include "api/json/json_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/json/json.h"
#include "api/model/utf8.h"

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
	escape.code = (uint16_t)code;
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
	return (struct json_escape){JSON_ESCAPE_GOOD, 12, escape.upper || upper, 0};
}

static char *put(char *dst, const char *text, size_t bytes)
{
	return (char *)memcpy(dst, text, bytes) + bytes;
}

/* Numbers */

/* A number without its sign as 0.DIGITS * 10^scale. The digits, which a point may interrupt, have
 * no zeroes at the ends. */
struct decimal {
	const char *digits;
	const char *digits_end;
	int64_t count; /* of digits; 0: the number is zero */
	int64_t scale;
};

/* Reads the exponent after an `e`. Stops at 2^40, which moves any number of at most 4 GiB of text
 * out of range. */
static int64_t read_exponent(const char *at, const char *end)
{
	const int64_t most = INT64_C(1) << 40;
	bool negative = *at == '-';
	int64_t value = 0;

	if (*at == '-' || *at == '+')
		at++;
	for (; at < end && value < most; at++)
		value = value * 10 + (*at - '0');
	return negative ? -value : value;
}

static struct decimal read_decimal(const char *at, const char *end)
{
	struct decimal decimal = {0};
	int64_t seen = 0, point = -1;

	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			point = seen;
			continue;
		}
		if (*at != '0') {
			if (decimal.count == 0) {
				decimal.digits = at;
				decimal.scale = -seen;
			}
			decimal.digits_end = at + 1;
			decimal.count = seen + 1 + decimal.scale;
		}
		seen++;
	}
	decimal.scale += point >= 0 ? point : seen;
	if (at < end)
		decimal.scale += read_exponent(at + 1, end);
	return decimal;
}

bool json_integer(const char *text, size_t bytes, int64_t *ret_value)
{
	const char *end = text + bytes;
	bool negative = *text == '-';
	struct decimal decimal = read_decimal(text + negative, end);
	int64_t value = 0;

	if (decimal.count > 0) {
		/* A digit behind the point makes a fraction, and 2^53 has 16 digits. */
		if (decimal.scale < decimal.count || decimal.scale > 16)
			return false;
		for (const char *at = decimal.digits; at < decimal.digits_end; at++)
			if (*at != '.')
				value = value * 10 + (*at - '0');
		for (int64_t i = decimal.count; i < decimal.scale; i++)
			value *= 10;
		if (value > JSON_MAX_EXACT)
			return false;
	}
	*ret_value = negative ? -value : value;
	return true;
}

/* Rewriting for a parser */

/* Writes half a surrogate pair as the three bytes that UTF-8 would have for its code. */
static char *put_half(char *dst, unsigned int code)
{
	*dst++ = (char)(0xe0 | code >> 12);
	*dst++ = (char)(0x80 | (code >> 6 & 0x3f));
	*dst++ = (char)(0x80 | (code & 0x3f));
	return dst;
}

/* Writes the string whose opening quote is at *at, and moves *at behind it. */
static char *plain_string(char *dst, const char **at, const char *end)
{
	*dst++ = *(*at)++;
	while (**at != '"') {
		if (**at == '\\') {
			struct json_escape escape = json_escape_read(*at, end);

			if (escape.kind == JSON_ESCAPE_NUL)
				dst = put(dst, UTF8_STORED_NUL, 2);
			else if (escape.kind == JSON_ESCAPE_HALF)
				dst = put_half(dst, escape.code);
			else
				dst = put(dst, *at, escape.bytes);
			*at += escape.bytes;
		} else if (**at == UTF8_STORED_C0[0]) {
			dst = put(dst, UTF8_STORED_C0, 2);
			++*at;
		} else {
			*dst++ = *(*at)++;
		}
	}
	*dst++ = *(*at)++;
	return dst;
}

/* Writes the number that begins at *at, and moves *at behind it. */
static char *plain_number(char *dst, const char **at, const char *end)
{
	const char *begin = *at;
	char digits[24];
	int64_t value;
	int length;

	while (*at < end && **at && strchr("+-.eE0123456789", **at))
		++*at;
	if (!json_integer(begin, (size_t)(*at - begin), &value))
		return put(dst, "[]", 2);
	length = snprintf(digits, sizeof(digits), "%" PRId64, value);
	return put(dst, digits, (size_t)length);
}

size_t json_plain(char *dst, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *at = text;
	char *to = dst;

	while (at < end) {
		if (*at == '"')
			to = plain_string(to, &at, end);
		else if (*at == '-' || (*at >= '0' && *at <= '9'))
			to = plain_number(to, &at, end);
		else
			*to++ = *at++;
	}
	return (size_t)(to - dst);
}

/* Rewriting for people */

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
