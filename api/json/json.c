/* SPDX-License-Identifier: MIT */
#include "api/json/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/json_text.h"
#include "api/model/utf8.h"

enum member { MEMBER_OTHER, MEMBER_LIST, MEMBER_WHOLE };

/*
 * Functions that take `at` return where they stopped, or NULL after fault(). The position is no
 * member of this struct, so the compiler can keep it in a register.
 */
struct scanner {
	const char *text;
	const char *end;
	const struct json_query *query;
	struct json_outline *outline;
	struct json_fault *fault;
	int error;
	bool done;
	size_t depth;
	uint64_t *arrays;    /* bit n: an array is open at depth n + 1, not an object */
	size_t arrays_words; /* allocated */
	enum member member;  /* whose value the scan is in */
	size_t capacity;     /* of outline->elements */

	/* Of the value that is being reported; outside of one they have no meaning. */
	const char *begin;
	size_t begin_depth;
	size_t tokens;
	uint32_t flags;
};

static const char *fault(struct scanner *s, const char *at, int error, const char *reason)
{
	s->error = error;
	s->fault->offset = (size_t)(at - s->text);
	s->fault->reason = error == -EBADMSG && at == s->end ? "it ends early" : reason;
	return NULL;
}

static const char *scan_escape(struct scanner *s, const char *at)
{
	struct json_escape escape = json_escape_read(at, s->end);

	if (escape.kind == JSON_ESCAPE_BAD)
		return fault(s, at, -EBADMSG, "a bad escape");
	if (escape.kind == JSON_ESCAPE_NUL)
		s->flags |= JSON_ODD;
	if (escape.kind == JSON_ESCAPE_HALF)
		s->flags |= JSON_ODD | JSON_UNSAFE | JSON_LOSSY;
	if (escape.upper)
		s->flags |= JSON_UNSAFE;
	return at + escape.bytes;
}

/* From behind the opening quote to behind the closing one. */
static const char *scan_string(struct scanner *s, const char *at)
{
	while (at) {
		at = json_skip_plain(at, s->end);
		if (at == s->end)
			return fault(s, at, -EBADMSG, "");
		if (*at == '"')
			return at + 1;
		if (*at == '\\') {
			at = scan_escape(s, at);
		} else if ((unsigned char)*at < 0x20) {
			return fault(s, at, -EBADMSG,
			             *at ? "a control character in a string" : "a NUL in a string");
		} else {
			struct utf8_char c = utf8_next(at, (size_t)(s->end - at));

			if (c.kind != UTF8_PLAIN)
				s->flags |= JSON_UNSAFE;
			if (c.kind == UTF8_INVALID)
				s->flags |= JSON_LOSSY | (*at == UTF8_STORED_C0[0] ? JSON_ODD : 0);
			at += c.bytes;
		}
	}
	return NULL;
}

static const char *scan_number(struct scanner *s, const char *at)
{
	const char *digits = *at == '-' ? at + 1 : at;
	bool odd;

	at = json_skip_digits(digits, s->end);
	if (at == digits)
		return fault(s, at, -EBADMSG, "a bad number");
	if (*digits == '0' && at - digits > 1)
		return fault(s, digits, -EBADMSG, "a bad number");
	odd = !json_is_exact(digits, (size_t)(at - digits));
	if (at < s->end && *at == '.') {
		digits = at + 1;
		at = json_skip_digits(digits, s->end);
		if (at == digits)
			return fault(s, at, -EBADMSG, "a bad number");
		odd = true;
	}
	if (at < s->end && (*at == 'e' || *at == 'E')) {
		digits = at + 1;
		if (digits < s->end && (*digits == '+' || *digits == '-'))
			digits++;
		at = json_skip_digits(digits, s->end);
		if (at == digits)
			return fault(s, at, -EBADMSG, "a bad number");
		odd = true;
	}
	if (odd)
		s->flags |= JSON_ODD;
	return at;
}

static const char *scan_word(struct scanner *s, const char *at, const char *word)
{
	size_t bytes = strlen(word);

	if ((size_t)(s->end - at) < bytes)
		return fault(s, s->end, -EBADMSG, "");
	if (memcmp(at, word, bytes) != 0)
		return fault(s, at, -EBADMSG, "no value");
	return at + bytes;
}

static const char *skip_space(struct scanner *s, const char *at)
{
	while (at < s->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
		s->flags |= JSON_SPACE;
		at++;
	}
	return at;
}

/* Members are at depth 1, elements of the list at depth 2. Most values are deeper, so callers check
 * the depth first. */
static bool is_reported(const struct scanner *s)
{
	if (s->depth == 0)
		return !s->query->list && !s->query->member;
	return s->depth == 1 ? s->member == MEMBER_WHOLE
	                     : s->member == MEMBER_LIST && s->outline->has_list;
}

static void begin_value(struct scanner *s, const char *at)
{
	if (s->depth == 1 && s->member == MEMBER_LIST) {
		s->outline->has_list = *at == '[';
		s->outline->count = 0;
	}
	if (is_reported(s)) {
		s->begin = at;
		s->begin_depth = s->depth;
		s->tokens = 0;
		s->flags = 0;
	}
}

static void count_token(struct scanner *s)
{
	if (++s->tokens > s->query->max_tokens)
		s->flags |= JSON_MANY;
}

static bool add_element(struct scanner *s, const struct json_span *span)
{
	struct json_outline *outline = s->outline;

	if (outline->count == s->query->max_elements) {
		fault(s, s->begin, -E2BIG, "too many elements");
		return false;
	}
	if (outline->count == s->capacity) {
		size_t capacity = s->capacity ? 2 * s->capacity : 128;
		struct json_span *grown = reallocarray(outline->elements, capacity, sizeof(*grown));

		if (!grown) {
			fault(s, s->begin, -ENOMEM, "out of memory");
			return false;
		}
		outline->elements = grown;
		s->capacity = capacity;
	}
	outline->elements[outline->count++] = *span;
	return true;
}

static bool end_value(struct scanner *s, const char *at)
{
	bool fine = true;

	if (is_reported(s)) {
		struct json_span span = {
			.offset = (uint32_t)(s->begin - s->text),
			.bytes = (uint32_t)(at - s->begin),
			.flags = s->flags,
		};

		if (s->depth == 2)
			fine = add_element(s, &span);
		else
			s->outline->member = span; /* at depth 0 or 1 */
	}
	if (s->depth == 1)
		s->member = MEMBER_OTHER;
	return fine;
}

/* Whether a key, between its quotes, is that name of letters and underscores. */
static bool is_key(const char *name, const char *begin, const char *end)
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

/* A key and its colon: to where a value must begin. */
static const char *scan_key(struct scanner *s, const char *at)
{
	const char *begin;

	at = skip_space(s, at);
	if (at == s->end || *at != '"')
		return fault(s, at, -EBADMSG, "no key");
	count_token(s);
	begin = at + 1;
	at = scan_string(s, begin);
	if (!at)
		return NULL;
	if (s->depth == 1) {
		if (is_key(s->query->list, begin, at - 1))
			s->member = MEMBER_LIST;
		else if (is_key(s->query->member, begin, at - 1))
			s->member = MEMBER_WHOLE;
	}
	at = skip_space(s, at);
	if (at == s->end || *at != ':')
		return fault(s, at, -EBADMSG, "no colon");
	return at + 1;
}

static bool in_array(const struct scanner *s)
{
	return s->arrays[(s->depth - 1) / 64] >> ((s->depth - 1) % 64) & 1;
}

/* Remembers whether an array is open at the current depth. False: out of memory. */
static bool open_at_depth(struct scanner *s, bool array)
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

/* From the end of a value, past all that ends with it: to where the next value must begin. */
static const char *scan_after(struct scanner *s, const char *at)
{
	for (;;) {
		if (s->depth <= 2 && !end_value(s, at))
			return NULL;
		if (s->depth == 0) {
			s->done = true;
			return at;
		}
		at = skip_space(s, at);
		if (at == s->end)
			return fault(s, at, -EBADMSG, "");
		if (*at == ',')
			return in_array(s) ? at + 1 : scan_key(s, at + 1);
		if (*at != (in_array(s) ? ']' : '}'))
			return fault(s, at, -EBADMSG, "no comma");
		at++;
		s->depth--;
	}
}

static const char *scan_open(struct scanner *s, const char *at)
{
	bool array = *at == '[';

	s->depth++;
	if (!open_at_depth(s, array))
		return fault(s, at, -ENOMEM, "out of memory");
	if (s->depth - s->begin_depth > s->query->max_depth)
		s->flags |= JSON_DEEP;
	at = skip_space(s, at + 1);
	if (at < s->end && *at == (array ? ']' : '}')) {
		s->depth--;
		return scan_after(s, at + 1);
	}
	return array ? at : scan_key(s, at);
}

/* A value, or the beginning of one that holds others: to where the next value must begin. */
static const char *scan_value(struct scanner *s, const char *at)
{
	at = skip_space(s, at);
	if (at == s->end)
		return fault(s, at, -EBADMSG, "");
	if (s->depth <= 2)
		begin_value(s, at);
	count_token(s);
	switch (*at) {
	case '"':
		at = scan_string(s, at + 1);
		break;
	case '{':
	case '[':
		return scan_open(s, at);
	case 't':
		at = scan_word(s, at, "true");
		break;
	case 'f':
		at = scan_word(s, at, "false");
		break;
	case 'n':
		at = scan_word(s, at, "null");
		break;
	default:
		if (*at != '-' && (*at < '0' || *at > '9'))
			return fault(s, at, -EBADMSG, "no value");
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
		fault(&s, begin, -E2BIG, "too long");
		return s.error;
	}
	if ((size_t)(s.end - at) >= sizeof(byte_order_mark) &&
	    memcmp(at, byte_order_mark, sizeof(byte_order_mark)) == 0)
		at += sizeof(byte_order_mark);
	while (at && !s.done)
		at = scan_value(&s, at);
	if (at) {
		at = skip_space(&s, at);
		if (at < s.end)
			fault(&s, at, -EBADMSG, "more than one value");
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
