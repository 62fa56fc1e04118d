/* SPDX-License-Identifier: MIT */
#include "fs/tree/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/model/utf8.h"

#define FIRST_BYTES 64
#define NS_PER_S    INT64_C(1000000000)

void text_init(struct text *text, size_t ceiling)
{
	/* text_reserve() allocates one byte more. */
	if (ceiling == SIZE_MAX)
		ceiling--;
	*text = (struct text){.ceiling = ceiling};
}

void text_done(struct text *text)
{
	free(text->bytes);
	*text = (struct text){.ceiling = text->ceiling};
}

void text_clear(struct text *text)
{
	text->length = 0;
	text->error = 0;
}

void text_trim(struct text *text)
{
	size_t needed = text->length + 1; /* as text_reserve() */
	char *bytes;

	if (needed >= text->capacity)
		return;
	bytes = realloc(text->bytes, needed);
	if (!bytes)
		return;
	text->bytes = bytes;
	text->capacity = needed;
}

int text_error(const struct text *text)
{
	return text->error;
}

/* Makes room for so many more bytes, and for the NUL that vsnprintf() writes, which is not part of
 * the text. Returns false and sets the error if that fails. */
static bool text_reserve(struct text *text, size_t more)
{
	if (text->error)
		return false;
	if (more > text->ceiling - text->length) {
		text->error = -EFBIG;
		return false;
	}
	size_t needed = text->length + more + 1;

	if (needed <= text->capacity)
		return true;
	size_t most = text->ceiling + 1;
	size_t capacity = text->capacity > most / 2 ? most : 2 * text->capacity;

	if (capacity < FIRST_BYTES)
		capacity = most < FIRST_BYTES ? most : FIRST_BYTES;
	if (capacity < needed)
		capacity = needed;
	char *bytes = realloc(text->bytes, capacity);

	if (!bytes) {
		text->error = -ENOMEM;
		return false;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

void text_bytes(struct text *text, const char *bytes, size_t length)
{
	if (length == 0 || !text_reserve(text, length))
		return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void text_printf(struct text *text, const char *format, ...)
{
	size_t room = text->capacity - text->length;
	va_list arguments;

	if (text->error)
		return;
	/* Most of the time it fits at the first try. */
	va_start(arguments, format);
	int length = vsnprintf(room ? text->bytes + text->length : NULL, room, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text->error = -EFBIG; /* longer than INT_MAX: vsnprintf() has no other reason */
		return;
	}
	if ((size_t)length >= room) {
		if (!text_reserve(text, (size_t)length))
			return;
		va_start(arguments, format);
		vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
		va_end(arguments);
	}
	text->length += (size_t)length;
}

/* Returns the offset of the first character, from at on, that needs an escape; length if none does.
 * Plain ASCII, which is nearly all text, is tested without utf8_next(). */
static size_t text_plain_end(const char *string, size_t length, size_t at)
{
	while (at < length) {
		unsigned char byte = (unsigned char)string[at];

		if (byte >= ' ' && byte <= '~') {
			at++;
			continue;
		}
		struct utf8_char c = utf8_next(string + at, length - at);

		if (c.kind != UTF8_PLAIN)
			break;
		at += c.bytes;
	}
	return at;
}

/* Escapes a string and calls put for each part of the result. */
static void text_escape(struct text *text, const char *string,
                        void (*put)(struct text *text, const char *bytes, size_t length))
{
	static const char hex[] = "0123456789abcdef";
	size_t length = string ? strlen(string) : 0;

	for (size_t at = 0; at < length;) {
		size_t end = text_plain_end(string, length, at);

		put(text, string + at, end - at);
		at = end;
		if (at == length)
			break;

		struct utf8_char c = utf8_next_stored(string + at, length - at);
		unsigned char bytes[4];
		size_t count = utf8_original(&c, string + at, bytes);

		for (size_t i = 0; i < count; i++)
			put(text, (char[]){'\\', 'x', hex[bytes[i] >> 4], hex[bytes[i] & 15]}, 4);
		at += c.bytes;
	}
}

void text_escaped(struct text *text, const char *string)
{
	text_escape(text, string, text_bytes);
}

/* Whether a byte needs a backslash inside quotes. */
static bool text_needs_backslash(char byte)
{
	return byte == '\\' || byte == '"';
}

void text_quoted(struct text *text, const char *string)
{
	size_t begin, more = 0;

	text_bytes(text, "\"", 1);
	begin = text->length;
	text_escaped(text, string);
	for (size_t i = begin; i < text->length; i++)
		more += text_needs_backslash(text->bytes[i]);
	if (more > 0 && text_reserve(text, more)) {
		/* From the end, so that no byte is overwritten before it has moved. */
		size_t from = text->length, to = from + more;

		text->length = to;
		while (to > from) {
			text->bytes[--to] = text->bytes[--from];
			if (text_needs_backslash(text->bytes[from]))
				text->bytes[--to] = '\\';
		}
	}
	text_bytes(text, "\"", 1);
}

/* Whether a byte must be escaped in a JSON string inside HTML. */
static bool text_is_markup(char byte)
{
	return byte == '"' || byte == '\\' || byte == '<' || byte == '>' || byte == '&';
}

static void text_put_json(struct text *text, const char *bytes, size_t length)
{
	size_t from = 0;

	for (size_t at = 0; at < length; at++) {
		if (!text_is_markup(bytes[at]))
			continue;
		text_bytes(text, bytes + from, at - from);
		text_printf(text, "\\u%04x", (unsigned int)bytes[at]);
		from = at + 1;
	}
	text_bytes(text, bytes + from, length - from);
}

void text_json(struct text *text, const char *string)
{
	text_bytes(text, "\"", 1);
	text_escape(text, string, text_put_json);
	text_bytes(text, "\"", 1);
}

void text_time(struct text *text, int64_t wall_ns)
{
	/* Rounded down, before 1970 too: the milliseconds are never negative. */
	int64_t within = wall_ns % NS_PER_S;
	time_t seconds = wall_ns / NS_PER_S - (within < 0);
	struct tm utc;

	if (within < 0)
		within += NS_PER_S;
	gmtime_r(&seconds, &utc); /* cannot fail: 2^63 ns end in 2262 */
	text_printf(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
	            utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(within / 1000000));
}
