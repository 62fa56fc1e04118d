/* SPDX-License-Identifier: MIT */
#include "fs/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "api/utf8.h"

#define CUT_BYTES 200 /* of a name that is too long, at most so much is kept */

static const char hex_upper[] = "0123456789ABCDEF";
static const char hex_lower[] = "0123456789abcdef";

/* ASCII that stands for itself inside a name, which is nearly all there ever is: no need to ask
 * what kind of character it is. */
static const bool is_plain[256] = {
	[' ' ... '$'] = true,
	['&' ... '.'] = true,
	['0' ... '~'] = true,
};

/* Only at the ends are a dot, a dash and a space unsafe (hidden, taken for an option, invisible).
 */
static bool unsafe_at_end(char c, bool first)
{
	return c == ' ' || (first && (c == '.' || c == '-'));
}

/* How many bytes of the text belong together, and whether they are to be escaped. */
static size_t next_character(const char *text, size_t length, size_t at, bool *ret_escaped)
{
	if (is_plain[(unsigned char)text[at]]) {
		*ret_escaped = (at == 0 || at + 1 == length) && unsafe_at_end(text[at], at == 0);
		return 1;
	}
	struct utf8_char c = utf8_next(text + at, length - at);

	*ret_escaped = c.kind != UTF8_PLAIN || c.code == '%' || c.code == '/';
	return c.bytes;
}

/* Replaces what follows the first `kept` bytes. The canonical form is big-endian, so that a name is
 * the same on every machine. */
static void end_with_hash(const char *text, size_t length, char *name, size_t kept)
{
	XXH128_canonical_t hash;
	char *out = name + kept;

	XXH128_canonicalFromHash(&hash, XXH3_128bits(text, length));
	*out++ = '%';
	*out++ = '~';
	for (size_t i = 0; i < sizeof(hash.digest); i++) {
		*out++ = hex_lower[hash.digest[i] >> 4];
		*out++ = hex_lower[hash.digest[i] & 15];
	}
	*out = '\0';
}

void name_encode(const char *text, char ret_name[static NAME_BYTES])
{
	size_t length = strlen(text);
	size_t out = 0;
	size_t cut = 0; /* the last end of a character within CUT_BYTES */

	if (length == 0)
		ret_name[out++] = '%';
	for (size_t at = 0; at < length;) {
		/* Most of nearly every name: neither at an end nor near a limit. */
		while (at > 0 && at + 1 < length && out < CUT_BYTES &&
		       is_plain[(unsigned char)text[at]])
			ret_name[out++] = text[at++];

		bool escaped;
		size_t bytes = next_character(text, length, at, &escaped);

		if (out <= CUT_BYTES)
			cut = out;
		if (out + (escaped ? 3 * bytes : bytes) > NAME_BYTES - 1) {
			end_with_hash(text, length, ret_name, cut);
			return;
		}
		for (size_t end = at + bytes; at < end; at++) {
			unsigned char byte = (unsigned char)text[at];

			if (escaped) {
				ret_name[out++] = '%';
				ret_name[out++] = hex_upper[byte >> 4];
				ret_name[out++] = hex_upper[byte & 15];
			} else {
				ret_name[out++] = text[at];
			}
		}
	}
	ret_name[out] = '\0';
}
