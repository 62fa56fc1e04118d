/* SPDX-License-Identifier: MIT */
#include "api/json/json_token.h"

#include <ctype.h>
#include <string.h>

/* Returns the value of four hexadecimal digits, or -1. Sets *upper if one is in upper case. */
static int json_token_hex4(const char *at, const char *end, bool *upper)
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
	struct json_escape escape = {.kind = JSON_ESCAPE_OTHER, .bytes = 2};
	bool upper = false;
	int code, low;

	if (end - at < 2)
		return (struct json_escape){.kind = JSON_ESCAPE_TRUNCATED};
	if (!strchr("\"\\/bfnrtu", at[1]) || !at[1])
		return (struct json_escape){.kind = JSON_ESCAPE_INVALID};
	if (at[1] != 'u')
		return escape;
	if (end - at < 6) {
		escape.kind = JSON_ESCAPE_TRUNCATED;
		for (at += 2; at < end; at++)
			if (!isxdigit((unsigned char)*at))
				escape.kind = JSON_ESCAPE_INVALID;
		return escape;
	}
	escape.bytes = 6;
	code = json_token_hex4(at + 2, end, &escape.upper);
	escape.code = (uint16_t)code;
	if (code < 0)
		escape.kind = JSON_ESCAPE_INVALID;
	else if (code == 0)
		escape.kind = JSON_ESCAPE_NUL;
	else if (code >= 0xd800 && code <= 0xdfff)
		escape.kind = JSON_ESCAPE_UNPAIRED;
	if (code < 0xd800 || code > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u')
		return escape;
	low = json_token_hex4(at + 8, end, &upper);
	if (low < 0xdc00 || low > 0xdfff)
		return escape;
	return (struct json_escape){JSON_ESCAPE_OTHER, 12, escape.upper || upper, 0};
}

/* A number without its sign as 0.DIGITS * 10^scale. The digits, which may have a point between
 * them, neither begin nor end with a zero. */
struct decimal {
	const char *digits;
	const char *digits_end;
	int64_t count; /* of digits; 0 if the number is zero */
	int64_t scale;
};

/* Returns the exponent after an `e`. Stops reading when the exponent reaches 2^40. With such an
 * exponent, no number of at most 4 GiB of text is an integer of at most 2^53, except 0. */
static int64_t json_token_exponent(const char *at, const char *end)
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

/* Reads a number without its sign. Leading zeros are not kept; each of them lowers the scale by 1.
 */
static struct decimal json_token_decimal(const char *at, const char *end)
{
	struct decimal decimal = {0};
	int64_t seen = 0;   /* digits read, zeros included */
	int64_t point = -1; /* digits before the point; -1: there is no point */

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
		decimal.scale += json_token_exponent(at + 1, end);
	return decimal;
}

bool json_token_integer(const char *text, size_t bytes, int64_t *ret_value)
{
	const char *end = text + bytes;
	bool negative = *text == '-';
	struct decimal decimal = json_token_decimal(text + negative, end);
	int64_t value = 0;

	if (decimal.count > 0) {
		/* It is no integer if a digit is after the point; 2^53 has 16 digits. */
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
