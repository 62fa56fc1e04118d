/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_UTF8_H
#define FLEETFS_API_MODEL_UTF8_H

/*
 * Characters of untrusted strings.
 *
 * All code that shows a string from the network (as text, as a file name, as JSON) needs the same
 * two facts about each character: whether it is valid UTF-8, and whether it could forge a line or
 * control a terminal. This module determines them; each caller escapes in its own way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum utf8_kind {
	UTF8_PLAIN,   /* safe to show as it is; this includes the space and the backslash */
	UTF8_CONTROL, /* valid, but not safe to show: C0 and C1 controls, DEL, line and paragraph
	                 separators, bidirectional controls */
	UTF8_INVALID, /* a byte that begins no valid character: overlong, surrogate, truncated */
};

struct utf8_char {
	uint32_t code; /* code point; for UTF8_INVALID the byte itself */
	uint8_t bytes; /* 1 to 4; 1 for UTF8_INVALID unless `pair` is set */
	uint8_t kind;  /* enum utf8_kind */
	bool pair;     /* the two bytes of UTF8_STORED_NUL or UTF8_STORED_BYTE_C0 */
};

/* Returns the character that begins at text[0]. len: bytes in text, at least 1. */
struct utf8_char utf8_next(const char *text, size_t len);

/*
 * The stored form of strings
 *
 * A JSON string may contain NUL (\u0000), which would end a C string. The decoder therefore stores
 * NUL as the bytes 0xC0 0x80. It stores the byte 0xC0, which valid UTF-8 never contains, as 0xC0
 * 0x81. All other bytes are stored as they are. Different strings have different stored forms, so
 * strcmp() and hashes work on the stored form, and only code that shows a string has to know about
 * it.
 */
#define UTF8_STORED_NUL     "\xc0\x80"
#define UTF8_STORED_BYTE_C0 "\xc0\x81"

/* utf8_next() for a string in the stored form: each of the two pairs above is one character. */
struct utf8_char utf8_next_stored(const char *text, size_t len);

/* Undoes the stored form of the character c, which utf8_next_stored() found at text: writes its
 * bytes in the original string to ret_bytes. Returns their number, 1 to 4. */
static inline size_t utf8_original(const struct utf8_char *c, const char *text,
                                   unsigned char ret_bytes[static 4])
{
	if (c->pair) {
		ret_bytes[0] = (unsigned char)c->code;
		return 1;
	}
	ret_bytes[0] = (unsigned char)text[0];
	if (c->bytes > 1)
		ret_bytes[1] = (unsigned char)text[1];
	if (c->bytes > 2)
		ret_bytes[2] = (unsigned char)text[2];
	if (c->bytes > 3)
		ret_bytes[3] = (unsigned char)text[3];
	return c->bytes;
}

#endif
