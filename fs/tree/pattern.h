/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_PATTERN_H
#define FLEETFS_FS_TREE_PATTERN_H

/*
 * Shell patterns over the values of agents, as conditions of where/ contain them.
 *
 * A pattern matches a whole value, character by character. `*` stands for any characters, also
 * none; `?` for one; `[abc]`, `[a-z]` and `[!a-z]` (or `[^a-z]`) for one of a set. Any other
 * character stands for itself, a backslash and a leading dot, too. A character is a UTF-8 character
 * or, where a value is invalid UTF-8, a byte. Upper and lower case differ.
 *
 * The text of a pattern is name-encoded (fs/tree/names.h): `%XX` is a byte, and never special, so
 * `%2A` is an asterisk. Any byte may be written like that; a control character, invalid UTF-8, `/`,
 * `%`, and a space at an end must be. The pattern `%` matches the empty string, whose name it is.
 * A value that is too long for a name is matched as its shortened name. So a pattern can match its
 * beginning and its hash, but not the text that was cut.
 *
 * Time: the product of both lengths at most, which are below PATTERN_MAX_BYTES and NAME_BYTES.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/tree/names.h"
#include "fs/tree/text.h"

#define PATTERN_MAX_BYTES 1024

struct pattern;

/* Parses length bytes of text. Returns 0; -EINVAL if it is no pattern; or -ENOMEM. */
int pattern_parse(const char *text, size_t length, struct pattern **ret_pattern);

/* NULL is allowed. */
void pattern_free(struct pattern *pattern);

/* Appends the pattern's text in its shortest form, which pattern_parse() turns into the same
 * pattern. It contains no comma. */
void pattern_print(const struct pattern *pattern, struct text *text);

/* A value that is matched with patterns: a sequence of characters, for pattern.c. */
struct pattern_value {
	size_t count;
	uint32_t codes[NAME_BYTES];
};

/* Prepares a stored string (api/model/utf8.h) for matching. *work is increased as below. */
void pattern_value_init(struct pattern_value *value, const char *string, size_t *work);

/* Whether the pattern matches the value. *work is increased by at least the number of comparisons,
 * so that a caller can limit the time of many matches. Each range of a set is one comparison. */
bool pattern_matches(const struct pattern *pattern, const struct pattern_value *value,
                     size_t *work);

#endif
