/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_TEXT_H
#define FLEETFS_FS_TREE_TEXT_H

/*
 * The text of a file while it is being written: a growable buffer with a ceiling.
 *
 * A failed append (out of memory, beyond the ceiling) marks the text as failed, and later appends
 * do nothing: write everything, then ask text_error() once.
 */

#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes; /* not terminated by NUL; NULL while empty */
	size_t length;
	size_t capacity;
	size_t ceiling;
	int error;
};

/* An empty text that may grow to ceiling bytes. Allocates nothing. */
void text_init(struct text *text, size_t ceiling);

/* Frees the buffer; the text is empty again and may be used again. */
void text_done(struct text *text);

/* Empties it, keeps its memory, forgets an error. */
void text_clear(struct text *text);

/* 0, -ENOMEM or -EFBIG. */
int text_error(const struct text *text);

/* Bytes as they are. */
void text_bytes(struct text *text, const char *bytes, size_t length);

/* printf; for text of our own, never with a string from the network. */
__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);

/* A stored string (api/model/utf8.h), made safe to show on one line: UTF8_CONTROL and UTF8_INVALID
 * characters as \xNN, lower-case hex, byte by byte. NULL adds nothing. A string that is not in the
 * stored form, such as a path, may be given too; only a byte C0 in front of 80 or 81, which is
 * invalid UTF-8 anyway, is then shown as another byte. */
void text_escaped(struct text *text, const char *string);

/* The same between quotes, with a backslash before each backslash and quote: a label's value as
 * Prometheus' text format wants it. */
void text_quoted(struct text *text, const char *string);

/* The text of text_escaped() as a JSON string that is valid anywhere in HTML: quotes, backslashes,
 * `<`, `>` and `&` as \uNNNN. NULL is the empty string. */
void text_json(struct text *text, const char *string);

/* `name` or `name=value` (value NULL: none) at the end of a list of mount options, which are
 * separated by commas: a comma or backslash within the value is escaped, as libfuse wants it. */
void text_mount_option(struct text *text, const char *name, const char *value);

/* A moment as RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.250Z. */
void text_time(struct text *text, int64_t wall_ns);

#endif
