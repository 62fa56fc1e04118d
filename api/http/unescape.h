/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_UNESCAPE_H
#define FLEETFS_API_HTTP_UNESCAPE_H

/*
 * Decodes an escaped character in text of unknown format, for redact.c.
 *
 * Knows the escapes of URLs ("%2d", "%u002d"), of HTML ("&amp;", "&#45;", "&#x2d;") and of JSON, C
 * and JavaScript ("\u002d", "\u{2d}", "\x2d", "\055", "\-"), in upper and lower case. Decodes only
 * escapes of ASCII characters except NUL, since a token has no others. No state.
 */

#include <stddef.h>

/*
 * Decodes the first character of text, of which `left` bytes may be read, at least 1. Returns the
 * character, and in *ret_bytes how many bytes of text encode it: 1 if there is no escape.
 */
char unescape_one(const char *text, size_t left, size_t *ret_bytes);

#endif
