/* SPDX-License-Identifier: MIT */
#include "tests/sim/scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at;
	const char *end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_space(*cursor->at))
		cursor->at++;
}

/* Passes one character if it is this one. */
static bool skip_char(struct cursor *cursor, char c)
{
	skip_space(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* Passes a string, the cursor standing on its opening quote. */
static bool skip_string(struct cursor *cursor)
{
	for (cursor->at++; cursor->at < cursor->end; cursor->at++) {
		if (*cursor->at == '"') {
			cursor->at++;
			return true;
		}
		if (*cursor->at == '\\')
			cursor->at++;
	}
	cursor->at = cursor->end;
	return false;
}

/* Passes an array or object, the cursor standing on its opening bracket. */
static bool skip_nested(struct cursor *cursor)
{
	size_t depth = 0;

	while (cursor->at < cursor->end) {
		const char c = *cursor->at;

		if (c == '"') {
			if (!skip_string(cursor))
				return false;
			continue;
		}
		cursor->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return true;
	}
	return false;
}

static bool skip_scalar(struct cursor *cursor)
{
	const char *begin = cursor->at;

	while (cursor->at < cursor->end && !is_space(*cursor->at) && *cursor->at != ',' &&
	       *cursor->at != ']' && *cursor->at != '}')
		cursor->at++;
	return cursor->at > begin;
}

static bool next_value(struct cursor *cursor, struct scan_piece *ret_value)
{
	const char *begin;
	bool whole;

	skip_space(cursor);
	if (cursor->at == cursor->end)
		return false;
	begin = cursor->at;
	if (*begin == '"')
		whole = skip_string(cursor);
	else if (*begin == '{' || *begin == '[')
		whole = skip_nested(cursor);
	else
		whole = skip_scalar(cursor);
	if (!whole)
		return false;
	*ret_value = (struct scan_piece){.text = begin, .bytes = (size_t)(cursor->at - begin)};
	return true;
}

int scan_value(const char *text, size_t bytes, struct scan_piece *ret_value)
{
	struct cursor cursor = {.at = text, .end = text + bytes};
	struct scan_piece value;

	if (!next_value(&cursor, &value))
		return -EINVAL;
	skip_space(&cursor);
	if (cursor.at != cursor.end)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int scan_elements(const char *text, size_t bytes, struct scan_piece **ret_elements,
                  size_t *ret_count)
{
	struct cursor cursor = {.at = text, .end = text + bytes};
	struct scan_piece *elements = NULL;
	size_t count = 0, room = 0;

	if (!skip_char(&cursor, '['))
		return -EINVAL;
	if (skip_char(&cursor, ']'))
		goto done;
	do {
		if (count == room) {
			struct scan_piece *more;

			room = room ? 2 * room : 64;
			more = reallocarray(elements, room, sizeof(*elements));
			if (!more) {
				free(elements);
				return -ENOMEM;
			}
			elements = more;
		}
		if (!next_value(&cursor, &elements[count]))
			goto malformed;
		count++;
	} while (skip_char(&cursor, ','));
	if (!skip_char(&cursor, ']'))
		goto malformed;
done:
	skip_space(&cursor);
	if (cursor.at != cursor.end)
		goto malformed;
	*ret_elements = elements;
	*ret_count = count;
	return 0;
malformed:
	free(elements);
	return -EINVAL;
}

int scan_member(const char *text, size_t bytes, const char *key, struct scan_piece *ret_value)
{
	struct cursor cursor = {.at = text, .end = text + bytes};
	const size_t key_bytes = strlen(key);

	if (!skip_char(&cursor, '{'))
		return -EINVAL;
	if (skip_char(&cursor, '}'))
		return -ENOENT;
	do {
		struct scan_piece name, value;

		if (!next_value(&cursor, &name) || name.text[0] != '"' ||
		    !skip_char(&cursor, ':') || !next_value(&cursor, &value))
			return -EINVAL;
		if (name.bytes == key_bytes + 2 && !memcmp(name.text + 1, key, key_bytes)) {
			*ret_value = value;
			return 0;
		}
	} while (skip_char(&cursor, ','));
	return -ENOENT;
}
