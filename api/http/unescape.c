/* SPDX-License-Identifier: MIT */
#include "api/http/unescape.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The ASCII character written as `count` hex digits, or -1. */
static int hex_character(const char *text, size_t left, size_t count)
{
	int value = 0;

	if (left < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int digit = hex_value(text[i]);

		if (digit < 0 || value >= 0x80)
			return -1;
		value = value * 16 + digit;
	}
	return value > 0 && value < 0x80 ? value : -1;
}

/* The ASCII character written as three octal digits, or -1. */
static int octal_character(const char *text, size_t left)
{
	int value = 0;

	if (left < 3)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		if (text[i] < '0' || text[i] > '7')
			return -1;
		value = value * 8 + text[i] - '0';
	}
	return value > 0 && value < 0x80 ? value : -1;
}

/* "&#45;", "&#x2d;" and the named ones. Browsers also accept a number without its semicolon. */
static int unescape_html(const char *text, size_t left, size_t *ret_bytes)
{
	static const struct {
		const char *name;
		char character;
	} names[] = {
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
	};
	char number[12], *end;
	long value;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i].name) <= left &&
		    strncasecmp(text, names[i].name, strlen(names[i].name)) == 0) {
			*ret_bytes = strlen(names[i].name);
			return names[i].character;
		}
	if (left < 4 || text[1] != '#')
		return -1;
	snprintf(number, sizeof(number), "%.*s", (int)(left - 2 < 11 ? left - 2 : 11), text + 2);
	if (tolower((unsigned char)number[0]) == 'x' && hex_value(number[1]) >= 0)
		value = strtol(number + 1, &end, 16);
	else if (isdigit((unsigned char)number[0]))
		value = strtol(number, &end, 10);
	else
		return -1;
	if (value <= 0 || value >= 0x80)
		return -1;
	*ret_bytes = 2 + (size_t)(end - number) + (*end == ';');
	return (int)value;
}

/* "{2d}" */
static int unescape_braces(const char *text, size_t left, size_t *ret_bytes)
{
	const char *end = left > 0 && *text == '{' ? memchr(text, '}', left) : NULL;

	if (!end || end - text > 9)
		return -1;
	*ret_bytes = (size_t)(end - text) + 1;
	return hex_character(text + 1, left - 1, *ret_bytes - 2);
}

/* "002d", "{2d}" or "0000002d", which follow "\u". redact.c ignores case, so "\U" is the same. */
static int unescape_unicode(const char *text, size_t left, size_t *ret_bytes)
{
	int value = unescape_braces(text, left, ret_bytes);

	if (value >= 0)
		return value;
	*ret_bytes = 8;
	value = hex_character(text, left, 8);
	if (value >= 0)
		return value;
	*ret_bytes = 4;
	return hex_character(text, left, 4);
}

/* "\u002d" of JSON, "\u{2d}" of JavaScript, "\U0000002d", "\x2d" and "\055" of C, "\-". */
static int unescape_backslash(const char *text, size_t left, size_t *ret_bytes)
{
	size_t bytes = 0;
	int value;

	if (left < 2)
		return -1;
	if (tolower((unsigned char)text[1]) == 'u') {
		value = unescape_unicode(text + 2, left - 2, &bytes);
	} else if (tolower((unsigned char)text[1]) == 'x') {
		bytes = 2;
		value = hex_character(text + 2, left - 2, bytes);
	} else if (ispunct((unsigned char)text[1])) {
		value = (unsigned char)text[1];
	} else {
		bytes = 2;
		value = octal_character(text + 1, left - 1);
	}
	*ret_bytes = 2 + bytes;
	return value;
}

/* "%2d" of URLs, "%u002d" of old JavaScript. */
static int unescape_percent(const char *text, size_t left, size_t *ret_bytes)
{
	bool wide = left > 1 && tolower((unsigned char)text[1]) == 'u';
	size_t digits = wide ? 4 : 2, at = wide ? 2 : 1;

	*ret_bytes = at + digits;
	return left > at ? hex_character(text + at, left - at, digits) : -1;
}

char unescape_one(const char *text, size_t left, size_t *ret_bytes)
{
	int value = -1;

	if (*text == '%') {
		value = unescape_percent(text, left, ret_bytes);
	} else if (*text == '&') {
		value = unescape_html(text, left, ret_bytes);
	} else if (*text == '\\') {
		value = unescape_backslash(text, left, ret_bytes);
	}
	if (value >= 0)
		return (char)value;
	*ret_bytes = 1;
	return *text;
}
