/* SPDX-License-Identifier: MIT */
#include "api/model/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool utf8_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e ||
	       code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

struct utf8_char utf8_next(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	/* By the number of bytes: the smallest code point that needs as many. A smaller one is
	 * overlong. */
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const struct utf8_char invalid = {.code = at[0], .bytes = 1, .kind = UTF8_INVALID};
	uint32_t code = at[0];
	uint8_t bytes = 1;

	if (code >= 0x80) {
		if (code >= 0xc2 && code <= 0xdf)
			bytes = 2;
		else if (code >= 0xe0 && code <= 0xef)
			bytes = 3;
		else if (code >= 0xf0 && code <= 0xf4)
			bytes = 4;
		else
			return invalid;
		if (bytes > len)
			return invalid;
		code &= 0x7fu >> bytes;
		for (uint8_t i = 1; i < bytes; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return invalid;
			code = code << 6 | (at[i] & 0x3f);
		}
		if (code < smallest[bytes] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return invalid;
	}
	return (struct utf8_char){
		.code = code,
		.bytes = bytes,
		.kind = utf8_is_control(code) ? UTF8_CONTROL : UTF8_PLAIN,
	};
}

struct utf8_char utf8_next_stored(const char *text, size_t len)
{
	if (len >= 2 && memcmp(text, UTF8_STORED_NUL, 2) == 0)
		return (struct utf8_char){0, 2, UTF8_CONTROL, true};
	if (len >= 2 && memcmp(text, UTF8_STORED_BYTE_C0, 2) == 0)
		return (struct utf8_char){0xc0, 2, UTF8_INVALID, true};
	return utf8_next(text, len);
}
