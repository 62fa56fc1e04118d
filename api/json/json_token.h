/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_TOKEN_H
#define FLEETFS_API_JSON_JSON_TOKEN_H

/*
 * The tokens of JSON: special bytes of a string, escapes, numbers. For json_scan.c, which checks
 * them, and json_rewrite.c, which rewrites them.
 */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Finds the first special byte of a string among the eight bytes of a word: a control character, a
 * quote, a backslash, or a byte of 0x7f or more. Returns 0 if no byte is special. Otherwise the
 * lowest set bit of the result is bit 7 of the first special byte. The bits above it may be wrong,
 * since the subtractions borrow.
 */
static inline uint64_t json_special_bytes(uint64_t word)
{
	const uint64_t ones = ~UINT64_C(0) / 255;
	const uint64_t below = word - ones * 0x20;
	const uint64_t quote = (word ^ (ones * '"')) - ones;
	const uint64_t escape = (word ^ (ones * '\\')) - ones;

	return (((below | quote | escape) & ~word) | word | (word + ones)) & ones * 0x80;
}

/* Returns whether one byte is special. */
static inline bool json_is_special(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7f;
}

/* Returns the position of the first special byte, or end. Reading eight bytes at a time instead of
 * looking up each byte in a table saves a fifth of json_scan()'s time, measured on a page of
 * agents, whose strings are short. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word, hits;

		memcpy(&word, at, sizeof(word));
		hits = json_special_bytes(le64toh(word));
		if (hits)
			return at + __builtin_ctzll(hits) / 8;
		at += 8;
	}
	while (at < end && !json_is_special(*at))
		at++;
	return at;
}

/* Returns the position of the first byte that is not a digit, or end. */
static inline const char *json_skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

#define JSON_MAX_EXACT (INT64_C(1) << 53) /* beyond it, a double cannot hold every integer */

/* Returns whether the value of these decimal digits, which have no leading zero, is at most
 * JSON_MAX_EXACT. */
static inline bool json_is_exact(const char *digits, size_t count)
{
	return count < 16 || (count == 16 && memcmp(digits, "9007199254740992", 16) <= 0);
}

/* Returns whether a JSON number is an integer from -JSON_MAX_EXACT to JSON_MAX_EXACT, and its
 * value: 1.5e1 is 15. The result is exact, and the time is linear in the length of the text, also
 * for a huge exponent. */
bool json_token_integer(const char *text, size_t bytes, int64_t *ret_value);

/* An escape in a string. */
struct json_escape {
	enum {
		JSON_ESCAPE_INVALID,
		JSON_ESCAPE_TRUNCATED, /* the text ends within it */
		JSON_ESCAPE_NUL,       /* \u0000 */
		JSON_ESCAPE_UNPAIRED,  /* \uNNNN of a surrogate without its other half */
		JSON_ESCAPE_OTHER,
	} kind;
	uint8_t bytes; /* 2; 6 for \uNNNN; 12 for a surrogate pair */
	bool upper;    /* has upper-case digits */
	uint16_t code; /* NNNN, if bytes is 6 */
};

/* Reads the escape whose backslash is at `at`; nothing at or beyond end. */
struct json_escape json_escape_read(const char *at, const char *end);

#endif
