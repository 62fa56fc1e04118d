/* SPDX-License-Identifier: MIT */
#include "fs/tree/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* For the state of a hash on the stack; its functions are in the shared library. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "api/model/utf8.h"

#define CUT_BYTES   200 /* the most bytes that a cut keeps */
#define CHAR_BYTES  9   /* the longest encoded character: three escapes */
#define HASH_DIGITS 32

static const char hex_upper[] = "0123456789ABCDEF";
static const char hex_lower[] = "0123456789abcdef";

/* ASCII characters that are not escaped inside a name. Most characters of a name are of this
 * kind, and need no call of utf8_next(). */
static const bool is_plain[256] = {
	[' ' ... '$'] = true,
	['&' ... '.'] = true,
	['0' ... '~'] = true,
};

/* Whether a character must be escaped at an end of a name: a dot would hide the file, a dash would
 * look like an option, and a space would not be seen. */
static bool name_is_unsafe_at_end(char c, bool first)
{
	return c == ' ' || (first && (c == '.' || c == '-'));
}

/* Whether a character is an operator of a component below where/, or a part of one. */
static bool name_is_operator(char c)
{
	return c == '=' || c == '<' || c == '>';
}

/* Returns the character at text[at], and whether it has to be escaped. Of a character in
 * is_plain[], only `bytes` and `kind` are valid: it is not decoded. */
static struct utf8_char name_next_character(const char *text, size_t length, size_t at,
                                            bool in_where, bool *ret_escaped)
{
	struct utf8_char c = {.bytes = 1};

	if (is_plain[(unsigned char)text[at]]) {
		*ret_escaped = ((at == 0 || at + 1 == length) &&
		                name_is_unsafe_at_end(text[at], at == 0)) ||
		               (in_where && name_is_operator(text[at]));
		return c;
	}
	c = utf8_next_stored(text + at, length - at);
	*ret_escaped = c.kind != UTF8_PLAIN || c.code == '%' || c.code == '/';
	return c;
}

/* The hash of the original string. It differs from the stored string only in NUL bytes, which are
 * stored as a pair of bytes (UTF8_STORED_NUL). */
static XXH128_hash_t name_hash(const char *text, size_t length)
{
	const char *end = text + length;
	XXH3_state_t state;

	if (!memchr(text, (unsigned char)UTF8_STORED_NUL[0], length))
		return XXH3_128bits(text, length);
	XXH3_128bits_reset(&state);
	while (text < end) {
		struct utf8_char c = utf8_next_stored(text, (size_t)(end - text));
		unsigned char bytes[4];

		XXH3_128bits_update(&state, bytes, utf8_original(&c, text, bytes));
		text += c.bytes;
	}
	return XXH3_128bits_digest(&state);
}

/* Replaces the end of a name, from byte `kept` on, by the hash of the string. The canonical form is
 * big-endian, so that a name is the same on every machine. */
static void name_end_with_hash(const char *text, size_t length, char *name, size_t kept)
{
	XXH128_canonical_t hash;
	char *out = name + kept;

	XXH128_canonicalFromHash(&hash, name_hash(text, length));
	*out++ = '%';
	*out++ = '~';
	for (size_t i = 0; i < sizeof(hash.digest); i++) {
		*out++ = hex_lower[hash.digest[i] >> 4];
		*out++ = hex_lower[hash.digest[i] & 15];
	}
	*out = '\0';
}

/* Inlined, so that a name outside of where/ takes no time for operators. */
__attribute__((always_inline)) static inline void name_encode_any(const char *text, bool in_where,
                                                                  char ret_name[static NAME_BYTES])
{
	size_t length = strlen(text);
	size_t out = 0;
	size_t cut = 0; /* the last end of a character within CUT_BYTES */

	if (length == 0)
		ret_name[out++] = '%';
	for (size_t at = 0; at < length;) {
		/* The short way for most characters: not at an end and not near a limit. */
		while (at > 0 && at + 1 < length && out < CUT_BYTES &&
		       is_plain[(unsigned char)text[at]] &&
		       !(in_where && name_is_operator(text[at])))
			ret_name[out++] = text[at++];

		bool escaped;
		struct utf8_char c = name_next_character(text, length, at, in_where, &escaped);
		unsigned char bytes[4];
		size_t count = utf8_original(&c, text + at, bytes);

		if (out <= CUT_BYTES)
			cut = out;
		if (out + (escaped ? 3 * count : count) > NAME_BYTES - 1) {
			name_end_with_hash(text, length, ret_name, cut);
			return;
		}
		for (size_t i = 0; i < count; i++) {
			if (escaped) {
				ret_name[out++] = '%';
				ret_name[out++] = hex_upper[bytes[i] >> 4];
				ret_name[out++] = hex_upper[bytes[i] & 15];
			} else {
				ret_name[out++] = (char)bytes[i];
			}
		}
		at += c.bytes;
	}
	ret_name[out] = '\0';
}

void name_encode(const char *text, char ret_name[static NAME_BYTES])
{
	name_encode_any(text, false, ret_name);
}

void name_encode_in_where(const char *text, char ret_name[static NAME_BYTES])
{
	name_encode_any(text, true, ret_name);
}

bool name_has_operator(const char *name)
{
	return strpbrk(name, "=<>") != NULL;
}

bool name_is_cut(const char *name)
{
	return strstr(name, "%~") != NULL;
}

/* Checking */

/* A decoded name: its bytes, and which of them were escaped. */
struct decoded {
	char bytes[NAME_BYTES];
	bool escaped[NAME_BYTES];
	size_t length;
};

static int name_digit(char c)
{
	const char *found = c ? strchr(hex_upper, c) : NULL;

	return found ? (int)(found - hex_upper) : -1;
}

/* Returns false if a `%` has no two upper-case hex digits after it. */
static bool name_decode(const char *name, size_t length, struct decoded *ret)
{
	ret->length = 0;
	for (size_t at = 0; at < length; at++, ret->length++) {
		bool escaped = name[at] == '%';
		int high, low;

		ret->escaped[ret->length] = escaped;
		ret->bytes[ret->length] = name[at];
		if (!escaped)
			continue;
		high = at + 2 < length ? name_digit(name[at + 1]) : -1;
		low = high >= 0 ? name_digit(name[at + 2]) : -1;
		if (low < 0)
			return false;
		ret->bytes[ret->length] = (char)(high << 4 | low);
		at += 2;
	}
	return true;
}

/* Whether exactly those bytes are escaped that name_encode(), or name_encode_in_where(), escapes.
 * Decoded bytes are the original ones, so NUL may be among them. */
static bool name_escapes_are_canonical(const struct decoded *decoded, bool in_where)
{
	for (size_t at = 0; at < decoded->length;) {
		size_t left = decoded->length - at;
		struct utf8_char c = utf8_next(decoded->bytes + at, left);
		bool wanted = c.kind != UTF8_PLAIN || c.code == '%' || c.code == '/';

		if (at == 0 || left == 1)
			wanted |= name_is_unsafe_at_end(decoded->bytes[at], at == 0);
		wanted |= in_where && name_is_operator(decoded->bytes[at]);
		for (size_t end = at + c.bytes; at < end; at++)
			if (decoded->escaped[at] != wanted)
				return false;
	}
	return true;
}

/* The number of bytes before the hash of a name that was cut; 0 if the name was not cut. A cut
 * keeps more than CUT_BYTES - CHAR_BYTES bytes. */
static size_t name_length_before_hash(const char *name, size_t length)
{
	size_t kept = length > HASH_DIGITS + 2 ? length - HASH_DIGITS - 2 : 0;

	if (kept > CUT_BYTES || kept <= CUT_BYTES - CHAR_BYTES)
		return 0;
	if (memcmp(name + kept, "%~", 2) != 0 || strspn(name + kept + 2, hex_lower) != HASH_DIGITS)
		return 0;
	return kept;
}

static bool name_is_canonical_any(const char *name, bool in_where)
{
	size_t length = strlen(name), kept;
	struct decoded decoded = {.length = 0};

	if (length == 0 || length >= NAME_BYTES)
		return false;
	if (strcmp(name, "%") == 0)
		return true;
	kept = name_length_before_hash(name, length);
	if (!name_decode(name, kept > 0 ? kept : length, &decoded))
		return false;
	/* The original string continues after the cut. So the last character of the name was not at
	 * the end of the string, and a space there is not escaped. The 'a' stands for the rest. */
	if (kept > 0) {
		decoded.bytes[decoded.length] = 'a';
		decoded.escaped[decoded.length++] = false;
	}
	return name_escapes_are_canonical(&decoded, in_where);
}

bool name_is_canonical(const char *name)
{
	return name_is_canonical_any(name, false);
}

bool name_from_where(const char *name, char ret_name[static NAME_BYTES])
{
	size_t out = 0;

	if (!name_is_canonical_any(name, true))
		return false;
	for (; *name; name++) {
		if (strncmp(name, "%3", 2) == 0 && name[2] >= 'C' && name[2] <= 'E') {
			ret_name[out++] = "<=>"[name[2] - 'C'];
			name += 2;
		} else {
			ret_name[out++] = *name;
		}
	}
	ret_name[out] = '\0';
	return true;
}
