/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_PATTERN_H
#define FLEETFS_FS_TREE_PATTERN_H

/*
 * Shell patterns that conditions of where/ contain, and that match the values of agents.
 *
 * A pattern matches a whole value, character by character. `*` stands for any characters, also
 * none; `?` for one character; `[abc]` and `[a-z]` for one of a set, `[!a-z]` or `[^a-z]` for one
 * that is not in it. Any other character stands for itself, also a backslash and a leading dot. A
 * character is a UTF-8 character or, where a value is invalid UTF-8, a byte. Upper and lower case
 * differ.
 *
 * The text of a pattern is encoded like a name (fs/tree/names.h): `%XX` is a byte, and never
 * special, so `%2A` is an asterisk. Any byte may be written as `%XX`. A control character, an
 * invalid byte, `/`, `%`, and a space at the beginning or the end must be written so. The pattern
 * `%` matches the empty string.
 *
 * If the name of a value is cut, the pattern is compared with the name instead of the value. So
 * the pattern can match the beginning of the value and the hash, but not the rest. `%~` in a
 * pattern matches the `%~` that precedes the hash, and nothing else.
 *
 * The time of a match is at most proportional to the product of the lengths of pattern and value.
 * These are below PATTERN_MAX_BYTES and NAME_BYTES.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/tree/names.h"
#include "fs/tree/text.h"

#define PATTERN_MAX_BYTES 1024

struct pattern;

/* Parses length bytes of text. Returns 0; -EINVAL if they are not a pattern; or -ENOMEM. */
int pattern_parse(const char *text, size_t length, struct pattern **ret_pattern);

/* NULL is allowed. */
void pattern_free(struct pattern *pattern);

/* Appends a text that pattern_parse() turns into the same pattern. It contains no comma. Spellings
 * that differ in escapes or in repeated `*`, such as `%61*` and `a**`, have the same text, `a*`. */
void pattern_print(const struct pattern *pattern, struct text *text);

/* A value that is prepared for matching. The members are for pattern.c only. */
struct pattern_value {
	size_t count;
	uint32_t codes[NAME_BYTES];
};

/* Prepares a stored string (api/model/utf8.h) for matching. *work is increased by about the time
 * that this takes, in units of one comparison. */
void pattern_value_init(struct pattern_value *value, const char *string, size_t *work);

/* Whether the pattern matches the value. *work is increased by at least the number of comparisons,
 * so that a caller can limit the time of many matches. Each range of a set is one comparison. */
bool pattern_matches(const struct pattern *pattern, const struct pattern_value *value,
                     size_t *work);

#endif
