/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_TEXT_H
#define FLEETFS_FS_TREE_TEXT_H

/*
 * The text of a file that is being written: a growable buffer with a ceiling.
 *
 * If an append fails (out of memory, or beyond the ceiling), the text keeps the error and later
 * appends do nothing. So append everything, and then check text_error() once.
 */

#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes; /* not terminated by NUL; NULL: no buffer yet */
	size_t length;
	size_t capacity;
	size_t ceiling;
	int error;
};

/* Makes an empty text that may grow to ceiling bytes. Allocates nothing. */
void text_init(struct text *text, size_t ceiling);

/* Frees the buffer. The text is then empty and can be used again. */
void text_done(struct text *text);

/* Removes all bytes and the error, and keeps the buffer. */
void text_clear(struct text *text);

/* Frees the part of the buffer that has no bytes. */
void text_trim(struct text *text);

/* Returns 0, -ENOMEM or -EFBIG. */
int text_error(const struct text *text);

/* Appends bytes unchanged. */
void text_bytes(struct text *text, const char *bytes, size_t length);

/* Appends like printf(3). Not for a string from the network, which must be escaped. */
__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);

/* Appends a stored string (api/model/utf8.h) so that it is safe to show on one line: UTF8_CONTROL
 * and UTF8_INVALID characters become \xNN, in lower-case hex, byte by byte. NULL appends nothing. A
 * string that is not in the stored form, such as a path, is allowed: it is shown correctly unless
 * it contains the bytes C0 80 or C0 81, which are invalid UTF-8. */
void text_escaped(struct text *text, const char *string);

/* Appends text_escaped() in quotes, with a backslash before each backslash and quote: the value of
 * a label in Prometheus' text format. */
void text_quoted(struct text *text, const char *string);

/* Appends text_escaped() as a JSON string that is safe anywhere in HTML: quotes, backslashes, `<`,
 * `>` and `&` become \uNNNN. NULL is the empty string. */
void text_json(struct text *text, const char *string);

/* Appends a time in RFC 3339, in UTC, with milliseconds: 2026-01-31T12:00:00.250Z. */
void text_time(struct text *text, int64_t wall_ns);

#endif
