/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_UTF8_H
#define FLEETFS_API_UTF8_H

/*
 * What a string from the network is made of, one character at a time.
 *
 * Everything that shows such a string (as text, as a file name, as JSON) has to ask the same two
 * questions of every character: is it valid UTF-8, and could it forge a line or drive a terminal?
 * They are answered here, once; each reader then escapes in its own way.
 */

#include <stddef.h>
#include <stdint.h>

enum utf8_kind {
	UTF8_PLAIN,   /* safe to show as it is; this includes the space and the backslash */
	UTF8_CONTROL, /* C0 and C1 controls, DEL, bidirectional controls: valid, but not safe to
	                 show */
	UTF8_INVALID, /* a byte that begins no valid character (overlong, surrogate, cut short, …)
	               */
};

struct utf8_char {
	uint32_t code; /* code point; for UTF8_INVALID the byte itself */
	uint8_t bytes; /* 1 to 4; 1 for UTF8_INVALID */
	uint8_t kind;  /* enum utf8_kind */
};

/* The character that begins at text[0]; len is at least 1. Never looks at or beyond text[len]. */
struct utf8_char utf8_next(const char *text, size_t len);

#endif
