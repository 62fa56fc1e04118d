/* SPDX-License-Identifier: MIT */
#include "fs/tree/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/utf8.h"
#include "fs/tree/names.h"

/*
 * A pattern and a value are sequences of codes. A code is a code point, an invalid byte ORed with
 * CODE_INVALID, or CODE_CUT. Only a pattern also contains CODE_MANY (`*`), CODE_ONE (`?`), CODE_SET
 * (`[...]`) and CODE_SET_NOT (`[!...]`). The number of ranges follows the code of a set, and then
 * the first and the last code of each range.
 */
#define CODE_INVALID UINT32_C(0x80000000)
#define CODE_CUT     UINT32_C(0x40000000) /* `%~`, before the hash of a cut name */
#define CODE_MANY    UINT32_C(0x40000001)
#define CODE_ONE     UINT32_C(0x40000002)
#define CODE_SET     UINT32_C(0x40000003)
#define CODE_SET_NOT UINT32_C(0x40000004)

/* The name of a value of this many bytes is never cut: no byte takes more than three in a name. */
#define NEVER_CUT ((NAME_BYTES - 1) / 3)

#define WORK_BYTES 16 /* bytes of a string whose preparation takes as long as a comparison */

struct pattern {
	size_t count;
	uint32_t codes[];
};

/* Decoding names */

/* A character of a name, and whether it is written without escapes. Only such a character can be
 * special. */
struct pattern_char {
	uint32_t code;
	bool raw;
};

static int pattern_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes the escapes of a part of a name without `%~`. Returns the number of bytes, or -EINVAL if a
 * `%` has no two hex digits after it. */
static int pattern_unescape(const char *name, size_t length, char *ret_bytes, bool *ret_raw)
{
	int count = 0;

	for (size_t at = 0; at < length; at++, count++) {
		ret_raw[count] = name[at] != '%';
		ret_bytes[count] = name[at];
		if (name[at] != '%')
			continue;
		if (length - at < 3 || pattern_digit(name[at + 1]) < 0 ||
		    pattern_digit(name[at + 2]) < 0)
			return -EINVAL;
		ret_bytes[count] =
			(char)(pattern_digit(name[at + 1]) << 4 | pattern_digit(name[at + 2]));
		at += 2;
	}
	return count;
}

static uint32_t pattern_code(const struct utf8_char *c)
{
	return c->kind == UTF8_INVALID ? c->code | CODE_INVALID : c->code;
}

/* Decodes a part of a name without `%~`. Returns the number of characters, or -EINVAL if it
 * contains a wrong escape, or a character without an escape that must have one. */
static int pattern_decode_part(const char *name, size_t length, struct pattern_char *ret_chars)
{
	char bytes[PATTERN_MAX_BYTES];
	bool raw[PATTERN_MAX_BYTES];
	int size = pattern_unescape(name, length, bytes, raw);
	int count = 0;

	for (int at = 0; at < size; count++) {
		struct utf8_char c = utf8_next(bytes + at, (size_t)(size - at));
		bool is_raw = true;

		for (int end = at + c.bytes; at < end && at < size; at++)
			is_raw = is_raw && raw[at];
		if (is_raw && (c.kind != UTF8_PLAIN || c.code == '/'))
			return -EINVAL;
		ret_chars[count] = (struct pattern_char){pattern_code(&c), is_raw};
	}
	return size < 0 ? size : count;
}

/* Decodes a name of fewer than PATTERN_MAX_BYTES bytes. Returns the same as
 * pattern_decode_part(). */
static int pattern_decode(const char *name, size_t length, struct pattern_char *ret_chars)
{
	int count = 0, part;

	if (length == 1 && *name == '%')
		return 0;
	for (;;) {
		const char *cut = memmem(name, length, "%~", 2);
		size_t bytes = cut ? (size_t)(cut - name) : length;

		part = pattern_decode_part(name, bytes, ret_chars + count);
		if (part < 0)
			return part;
		count += part;
		if (!cut)
			return count;
		ret_chars[count++] = (struct pattern_char){CODE_CUT, false};
		name += bytes + 2;
		length -= bytes + 2;
	}
}

/* Parsing */

static bool pattern_is(const struct pattern_char *c, char special)
{
	return c->raw && c->code == (unsigned char)special;
}

/* Parses the ranges of a set, whose `[` precedes chars. Returns the number of characters up to and
 * with its `]`, or -EINVAL. */
static int pattern_parse_set(const struct pattern_char *chars, int count, struct pattern *pattern)
{
	int at = 0, first;
	bool is_not = count > 0 && (pattern_is(&chars[0], '!') || pattern_is(&chars[0], '^'));
	uint32_t *ranges = &pattern->codes[pattern->count + 1];

	pattern->codes[pattern->count] = is_not ? CODE_SET_NOT : CODE_SET;
	pattern->count += 2;
	*ranges = 0;
	at += is_not;
	for (first = at; at < count && (at == first || !pattern_is(&chars[at], ']')); at++) {
		uint32_t from = chars[at].code, to = from;

		/* `[:alpha:]` and the like are not supported. */
		if (pattern_is(&chars[at], '[') && at + 1 < count &&
		    (pattern_is(&chars[at + 1], ':') || pattern_is(&chars[at + 1], '.') ||
		     pattern_is(&chars[at + 1], '=')))
			return -EINVAL;
		if (at + 2 < count && pattern_is(&chars[at + 1], '-') &&
		    !pattern_is(&chars[at + 2], ']')) {
			to = chars[at + 2].code;
			at += 2;
		}
		if (from > to)
			return -EINVAL;
		pattern->codes[pattern->count++] = from;
		pattern->codes[pattern->count++] = to;
		++*ranges;
	}
	return at < count ? at + 1 : -EINVAL;
}

/* Returns 0 or -EINVAL. */
static int pattern_parse_chars(const struct pattern_char *chars, int count, struct pattern *pattern)
{
	for (int at = 0; at < count; at++) {
		const struct pattern_char *c = &chars[at];
		uint32_t *last = pattern->count ? &pattern->codes[pattern->count - 1] : NULL;

		if (pattern_is(c, '*')) {
			/* If the last code is CODE_MANY, it is a `*`, and not the end of a range:
			 * no character has this code. */
			if (!last || *last != CODE_MANY)
				pattern->codes[pattern->count++] = CODE_MANY;
		} else if (pattern_is(c, '?')) {
			pattern->codes[pattern->count++] = CODE_ONE;
		} else if (pattern_is(c, '[')) {
			int used = pattern_parse_set(c + 1, count - at - 1, pattern);

			if (used < 0)
				return used;
			at += used;
		} else {
			pattern->codes[pattern->count++] = c->code;
		}
	}
	return 0;
}

int pattern_parse(const char *text, size_t length, struct pattern **ret_pattern)
{
	struct pattern_char chars[PATTERN_MAX_BYTES];
	struct pattern *pattern;
	int count, err;

	if (length == 0 || length >= PATTERN_MAX_BYTES || text[0] == ' ' || text[length - 1] == ' ')
		return -EINVAL;
	count = pattern_decode(text, length, chars);
	if (count < 0)
		return count;
	/* A set takes the most: 2 + 2n codes for the n + 2 characters of [abc…]. */
	pattern = malloc(sizeof(*pattern) + 2 * (size_t)count * sizeof(pattern->codes[0]));
	if (!pattern)
		return -ENOMEM;
	pattern->count = 0;
	err = pattern_parse_chars(chars, count, pattern);
	if (err < 0)
		pattern_free(pattern);
	else
		*ret_pattern = pattern;
	return err;
}

void pattern_free(struct pattern *pattern)
{
	free(pattern);
}

/* Printing */

/* The bytes of a code point. Returns their number. */
static size_t pattern_utf8(uint32_t code, unsigned char ret_bytes[static 4])
{
	static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = count; i-- > 1; code >>= 6)
		ret_bytes[i] = (unsigned char)(0x80 | (code & 0x3f));
	ret_bytes[0] = (unsigned char)(heads[count] | code);
	return count;
}

/* Appends a character. escaped: as %XX even if it needs no escape. */
static void pattern_print_code(uint32_t code, bool escaped, struct text *text)
{
	unsigned char bytes[4] = {(unsigned char)code};
	size_t count = code & CODE_INVALID ? 1 : pattern_utf8(code, bytes);

	if (code == CODE_CUT) {
		text_bytes(text, "%~", 2);
		return;
	}
	escaped |= utf8_next((const char *)bytes, count).kind != UTF8_PLAIN || code == '/' ||
	           code == '%' || code == ',';
	for (size_t i = 0; i < count; i++)
		text_printf(text, escaped ? "%%%02X" : "%c", bytes[i]);
}

/* Appends a character of a set. */
static void pattern_print_in_set(uint32_t code, struct text *text)
{
	/* These are special in some place of a set. */
	bool is_special = code > 0 && code < 0x80 && strchr("[]!^-", (int)code);

	pattern_print_code(code, is_special, text);
}

/* Appends a set. Returns its number of codes. */
static size_t pattern_print_set(const uint32_t *codes, struct text *text)
{
	const uint32_t *range = codes + 2;

	text_printf(text, codes[0] == CODE_SET ? "[" : "[!");
	for (uint32_t i = 0; i < codes[1]; i++, range += 2) {
		pattern_print_in_set(range[0], text);
		if (range[0] == range[1])
			continue;
		text_printf(text, "-");
		pattern_print_in_set(range[1], text);
	}
	text_printf(text, "]");
	return 2 + 2 * codes[1];
}

void pattern_print(const struct pattern *pattern, struct text *text)
{
	if (pattern->count == 0)
		text_printf(text, "%%");
	for (size_t at = 0; at < pattern->count; at++) {
		uint32_t code = pattern->codes[at];

		if (code == CODE_MANY)
			text_printf(text, "*");
		else if (code == CODE_ONE)
			text_printf(text, "?");
		else if (code == CODE_SET || code == CODE_SET_NOT)
			at += pattern_print_set(&pattern->codes[at], text) - 1;
		else
			pattern_print_code(
				code,
				code == '*' || code == '?' || code == '[' ||
					(code == ' ' && (at == 0 || at + 1 == pattern->count)),
				text);
	}
}

/* Matching */

/* If the name of a string is cut, takes the codes of the name and returns true. */
static bool pattern_value_of_cut_name(struct pattern_value *value, const char *string)
{
	struct pattern_char chars[NAME_BYTES];
	char name[NAME_BYTES];
	int count;

	name_encode(string, name);
	if (!name_is_cut(name))
		return false;
	count = pattern_decode(name, strlen(name), chars);
	for (int i = 0; i < count; i++)
		value->codes[value->count++] = chars[i].code;
	return true;
}

void pattern_value_init(struct pattern_value *value, const char *string, size_t *work)
{
	size_t length = strlen(string);

	value->count = 0;
	*work += 1 + length / WORK_BYTES;
	if (length > NEVER_CUT && pattern_value_of_cut_name(value, string))
		return;
	for (size_t at = 0; at < length;) {
		struct utf8_char c = {.code = (unsigned char)string[at], .bytes = 1};

		if (c.code >= 0x80)
			c = utf8_next_stored(string + at, length - at);
		value->codes[value->count++] = pattern_code(&c);
		at += c.bytes;
	}
}

/* Whether a code of a pattern, or the set that begins there, matches one code of a value. Returns
 * the number of codes that it takes, or 0. *work is increased by the number of ranges compared. */
static size_t pattern_match_one(const uint32_t *codes, uint32_t of_value, size_t *work)
{
	if (codes[0] == of_value || codes[0] == CODE_ONE)
		return 1;
	if (codes[0] != CODE_SET && codes[0] != CODE_SET_NOT)
		return 0;
	for (uint32_t i = 0; i < codes[1]; i++) {
		++*work;
		if (codes[2 + 2 * i] <= of_value && of_value <= codes[3 + 2 * i])
			return codes[0] == CODE_SET ? 2 + 2 * codes[1] : 0;
	}
	return codes[0] == CODE_SET ? 0 : 2 + 2 * codes[1];
}

/*
 * Matches from left to right. The part after a `*`, up to the next one, is tried at each position
 * of the value until it matches. The first position where it matches is final, since it leaves the
 * most of the value for the rest of the pattern. So matching never goes back beyond the last `*`.
 */
bool pattern_matches(const struct pattern *pattern, const struct pattern_value *value, size_t *work)
{
	size_t at = 0, in_value = 0;
	size_t after_many = SIZE_MAX, tried = 0; /* after the last `*`; where this is tried */

	while (in_value < value->count) {
		size_t taken = 0;

		++*work;
		if (at < pattern->count && pattern->codes[at] == CODE_MANY) {
			after_many = ++at;
			tried = in_value;
			continue;
		}
		if (at < pattern->count)
			taken = pattern_match_one(&pattern->codes[at], value->codes[in_value],
			                          work);
		if (taken == 0 && after_many == SIZE_MAX)
			return false;
		at = taken > 0 ? at + taken : after_many;
		in_value = taken > 0 ? in_value + 1 : ++tried;
	}
	while (at < pattern->count && pattern->codes[at] == CODE_MANY)
		at++;
	return at == pattern->count;
}
