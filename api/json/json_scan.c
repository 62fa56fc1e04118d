/* SPDX-License-Identifier: MIT */
#include "api/json/json_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json_token.h"
#include "api/model/utf8.h"

/* Which member of the top-level object contains the position of the scan. */
enum scan_inside {
	INSIDE_OTHER,
	INSIDE_LIST,   /* the one with the key query.list */
	INSIDE_MEMBER, /* the one with the key query.member */
};

/*
 * The state of a scan except its position. Functions take the position as `at` and return where
 * they stopped, or NULL after scan_fault(). So the compiler can keep the position in a register.
 */
struct scanner {
	const char *text;
	const char *end;
	const struct json_query *query;
	struct json_outline *outline;
	struct json_fault *fault;
	int error;           /* -errno after scan_fault() */
	bool done;           /* the top-level value is complete */
	size_t depth;        /* open arrays and objects */
	uint64_t *arrays;    /* bit n: whether depth n + 1 is an array, not an object */
	size_t arrays_words; /* allocated */
	enum scan_inside inside;
	size_t capacity; /* of outline->elements */

	/* About the value to return (struct json_query) that contains the position. Outside of such
	 * a value these members have no meaning. */
	const char *begin;
	size_t begin_depth;
	size_t tokens;
	uint32_t flags;
};

/* Records why and where the text is rejected. If the text ends at `at`, -EBADMSG has the reason "it
 * ends early" in place of the one passed. Returns NULL. */
static const char *scan_fault(struct scanner *s, const char *at, int error, const char *reason)
{
	s->error = error;
	s->fault->offset = (size_t)(at - s->text);
	s->fault->reason = error == -EBADMSG && at == s->end ? "it ends early" : reason;
	return NULL;
}

static const char *scan_escape(struct scanner *s, const char *at)
{
	struct json_escape escape = json_escape_read(at, s->end);

	if (escape.kind == JSON_ESCAPE_TRUNCATED)
		return scan_fault(s, s->end, -EBADMSG, "");
	if (escape.kind == JSON_ESCAPE_INVALID)
		return scan_fault(s, at, -EBADMSG, "a bad escape");
	if (escape.kind == JSON_ESCAPE_NUL)
		s->flags |= JSON_NEEDS_NORMALIZE;
	if (escape.kind == JSON_ESCAPE_UNPAIRED)
		s->flags |= JSON_NEEDS_NORMALIZE | JSON_NEEDS_SANITIZE | JSON_LOSSY;
	if (escape.upper)
		s->flags |= JSON_NEEDS_SANITIZE;
	return at + escape.bytes;
}

/* Scans a string. at: after the opening quote. Returns the position after the closing one. */
static const char *scan_string(struct scanner *s, const char *at)
{
	while (at) {
		at = json_skip_plain(at, s->end);
		if (at == s->end)
			return scan_fault(s, at, -EBADMSG, "");
		if (*at == '"')
			return at + 1;
		if (*at == '\\') {
			at = scan_escape(s, at);
		} else if ((unsigned char)*at < 0x20) {
			return scan_fault(s, at, -EBADMSG,
			                  *at ? "a control character in a string"
			                      : "a NUL in a string");
		} else {
			struct utf8_char c = utf8_next(at, (size_t)(s->end - at));

			if (c.kind != UTF8_PLAIN)
				s->flags |= JSON_NEEDS_SANITIZE;
			if (c.kind == UTF8_INVALID) {
				s->flags |= JSON_LOSSY;
				if (*at == UTF8_STORED_BYTE_C0[0])
					s->flags |= JSON_NEEDS_NORMALIZE;
			}
			at += c.bytes;
		}
	}
	return NULL;
}

static const char *scan_number(struct scanner *s, const char *at)
{
	const char *digits = *at == '-' ? at + 1 : at;
	bool unusual; /* not certainly an integer from -2^53 to 2^53 */

	at = json_skip_digits(digits, s->end);
	if (at == digits)
		return scan_fault(s, at, -EBADMSG, "a bad number");
	if (*digits == '0' && at - digits > 1)
		return scan_fault(s, digits, -EBADMSG, "a bad number");
	unusual = !json_is_exact(digits, (size_t)(at - digits));
	if (at < s->end && *at == '.') {
		digits = at + 1;
		at = json_skip_digits(digits, s->end);
		if (at == digits)
			return scan_fault(s, at, -EBADMSG, "a bad number");
		unusual = true;
	}
	if (at < s->end && (*at == 'e' || *at == 'E')) {
		digits = at + 1;
		if (digits < s->end && (*digits == '+' || *digits == '-'))
			digits++;
		at = json_skip_digits(digits, s->end);
		if (at == digits)
			return scan_fault(s, at, -EBADMSG, "a bad number");
		unusual = true;
	}
	if (unusual)
		s->flags |= JSON_NEEDS_NORMALIZE;
	return at;
}

static const char *scan_literal(struct scanner *s, const char *at, const char *word)
{
	size_t bytes = strlen(word), left = (size_t)(s->end - at);

	if (memcmp(at, word, left < bytes ? left : bytes) != 0)
		return scan_fault(s, at, -EBADMSG, "no value");
	if (left < bytes)
		return scan_fault(s, s->end, -EBADMSG, "");
	return at + bytes;
}

static const char *scan_space(struct scanner *s, const char *at)
{
	while (at < s->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
		s->flags |= JSON_HAS_SPACE;
		at++;
	}
	return at;
}

/* Returns whether the value at the current depth is one to return. Members are at depth 1, elements
 * of the list at depth 2. The depth must be at most 2: deeper values are never returned. */
static bool scan_is_returned(const struct scanner *s)
{
	if (s->depth == 0)
		return !s->query->list && !s->query->member;
	return s->depth == 1 ? s->inside == INSIDE_MEMBER
	                     : s->inside == INSIDE_LIST && s->outline->has_list;
}

/* Records the start of a value at a depth of at most 2. */
static void scan_begin_value(struct scanner *s, const char *at)
{
	if (s->depth == 1 && s->inside == INSIDE_LIST) {
		/* A repeated key replaces the list. */
		s->outline->has_list = *at == '[';
		s->outline->count = 0;
	}
	if (scan_is_returned(s)) {
		s->begin = at;
		s->begin_depth = s->depth;
		s->tokens = 0;
		s->flags = 0;
	}
}

static void scan_count_token(struct scanner *s)
{
	if (++s->tokens > s->query->max_tokens)
		s->flags |= JSON_TOO_MANY_TOKENS;
}

/* Appends an element of the list. Returns false after scan_fault(). */
static bool scan_add_element(struct scanner *s, const struct json_span *span)
{
	struct json_outline *outline = s->outline;

	if (outline->count == s->query->max_elements) {
		scan_fault(s, s->begin, -E2BIG, "too many elements");
		return false;
	}
	if (outline->count == s->capacity) {
		size_t capacity = s->capacity ? 2 * s->capacity : 128;
		struct json_span *grown = reallocarray(outline->elements, capacity, sizeof(*grown));

		if (!grown) {
			scan_fault(s, s->begin, -ENOMEM, "out of memory");
			return false;
		}
		outline->elements = grown;
		s->capacity = capacity;
	}
	outline->elements[outline->count++] = *span;
	return true;
}

/* Records the end of a value at a depth of at most 2. Returns false after scan_fault(). */
static bool scan_end_value(struct scanner *s, const char *at)
{
	bool ok = true;

	if (scan_is_returned(s)) {
		struct json_span span = {
			.offset = (uint32_t)(s->begin - s->text),
			.bytes = (uint32_t)(at - s->begin),
			.flags = s->flags,
		};

		if (s->depth == 2)
			ok = scan_add_element(s, &span);
		else
			s->outline->member = span; /* at depth 0 or 1 */
	}
	if (s->depth == 1)
		s->inside = INSIDE_OTHER;
	return ok;
}

/* Returns whether a key, from begin to end without its quotes, is `name`, which consists of letters
 * and underscores or is NULL. */
static bool scan_is_key(const char *name, const char *begin, const char *end)
{
	if (!name)
		return false;
	for (; begin < end && *name; name++) {
		struct json_escape escape = {.bytes = 1, .code = (unsigned char)*begin};

		if (*begin == '\\')
			escape = json_escape_read(begin, end);
		if (escape.code != (unsigned char)*name)
			return false;
		begin += escape.bytes;
	}
	return begin == end && !*name;
}

/* Scans a key and its colon. Returns the position where a value must begin. */
static const char *scan_key(struct scanner *s, const char *at)
{
	const char *begin;

	at = scan_space(s, at);
	if (at == s->end || *at != '"')
		return scan_fault(s, at, -EBADMSG, "no key");
	scan_count_token(s);
	begin = at + 1;
	at = scan_string(s, begin);
	if (!at)
		return NULL;
	if (s->depth == 1) {
		if (scan_is_key(s->query->list, begin, at - 1))
			s->inside = INSIDE_LIST;
		else if (scan_is_key(s->query->member, begin, at - 1))
			s->inside = INSIDE_MEMBER;
	}
	at = scan_space(s, at);
	if (at == s->end || *at != ':')
		return scan_fault(s, at, -EBADMSG, "no colon");
	return at + 1;
}

static bool scan_in_array(const struct scanner *s)
{
	return s->arrays[(s->depth - 1) / 64] >> ((s->depth - 1) % 64) & 1;
}

/* Records whether the container at the current depth is an array. Returns false if out of memory.
 */
static bool scan_set_container(struct scanner *s, bool array)
{
	size_t word = (s->depth - 1) / 64;
	uint64_t bit = UINT64_C(1) << ((s->depth - 1) % 64);

	if (word == s->arrays_words) {
		size_t words = word ? 2 * word : 1;
		uint64_t *grown = reallocarray(s->arrays, words, sizeof(*grown));

		if (!grown)
			return false;
		s->arrays = grown;
		s->arrays_words = words;
	}
	s->arrays[word] = array ? s->arrays[word] | bit : s->arrays[word] & ~bit;
	return true;
}

/* Continues after a value: closes the containers that end with it. Returns the position where the
 * next value must begin, or the end of the top-level value. */
static const char *scan_after(struct scanner *s, const char *at)
{
	for (;;) {
		if (s->depth <= 2 && !scan_end_value(s, at))
			return NULL;
		if (s->depth == 0) {
			s->done = true;
			return at;
		}
		at = scan_space(s, at);
		if (at == s->end)
			return scan_fault(s, at, -EBADMSG, "");
		if (*at == ',')
			return scan_in_array(s) ? at + 1 : scan_key(s, at + 1);
		if (*at != (scan_in_array(s) ? ']' : '}'))
			return scan_fault(s, at, -EBADMSG, "no comma");
		at++;
		s->depth--;
	}
}

/* Scans the start of an array or object. Returns the position where the next value must begin. */
static const char *scan_open(struct scanner *s, const char *at)
{
	bool array = *at == '[';

	s->depth++;
	if (!scan_set_container(s, array))
		return scan_fault(s, at, -ENOMEM, "out of memory");
	if (s->depth - s->begin_depth > s->query->max_depth)
		s->flags |= JSON_TOO_DEEP;
	at = scan_space(s, at + 1);
	if (at < s->end && *at == (array ? ']' : '}')) {
		s->depth--;
		return scan_after(s, at + 1);
	}
	return array ? at : scan_key(s, at);
}

/* Scans a scalar, or the start of an array or object. Returns the position where the next value
 * must begin, or the end of the top-level value. */
static const char *scan_value(struct scanner *s, const char *at)
{
	at = scan_space(s, at);
	if (at == s->end)
		return scan_fault(s, at, -EBADMSG, "");
	if (s->depth <= 2)
		scan_begin_value(s, at);
	scan_count_token(s);
	switch (*at) {
	case '"':
		at = scan_string(s, at + 1);
		break;
	case '{':
	case '[':
		return scan_open(s, at);
	case 't':
		at = scan_literal(s, at, "true");
		break;
	case 'f':
		at = scan_literal(s, at, "false");
		break;
	case 'n':
		at = scan_literal(s, at, "null");
		break;
	default:
		if (*at != '-' && (*at < '0' || *at > '9'))
			return scan_fault(s, at, -EBADMSG, "no value");
		at = scan_number(s, at);
	}
	return at ? scan_after(s, at) : NULL;
}

int json_scan(const char *text, size_t bytes, const struct json_query *query,
              struct json_outline *ret_outline, struct json_fault *ret_fault)
{
	const char *begin = bytes ? text : ""; /* an empty text may be NULL */
	struct json_outline outline = {0};
	struct scanner s = {
		.text = begin,
		.end = begin + bytes,
		.query = query,
		.outline = &outline,
		.fault = ret_fault,
	};
	static const char byte_order_mark[3] = "\xef\xbb\xbf";
	const char *at = begin;

	if (bytes > UINT32_MAX) {
		scan_fault(&s, begin, -E2BIG, "too long");
		return s.error;
	}
	if ((size_t)(s.end - at) >= sizeof(byte_order_mark) &&
	    memcmp(at, byte_order_mark, sizeof(byte_order_mark)) == 0)
		at += sizeof(byte_order_mark);
	while (at && !s.done)
		at = scan_value(&s, at);
	if (at) {
		at = scan_space(&s, at);
		if (at < s.end)
			scan_fault(&s, at, -EBADMSG, "more than one value");
	}
	free(s.arrays);
	if (s.error) {
		json_outline_done(&outline);
		return s.error;
	}
	*ret_outline = outline;
	return 0;
}

void json_outline_done(struct json_outline *outline)
{
	free(outline->elements);
	*outline = (struct json_outline){0};
}
