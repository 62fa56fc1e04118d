/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_JSON_TEXT_H
#define FLEETFS_API_JSON_JSON_TEXT_H

/*
 * The tokens of JSON, for json.c, which checks them, and json_text.c, which rewrites them: the
 * bytes of a string that need attention, the meaning of an escape, the value of a number.
 */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The bytes of a word that need a look within a string: controls, quote, backslash, DEL and all
 * above. Each such byte has its top bit set; so may have bytes after the first one (the
 * subtractions borrow), so only the first one counts.
 */
static inline uint64_t json_notable_bytes(uint64_t word)
{
	const uint64_t ones = ~UINT64_C(0) / 255;
	const uint64_t below = word - ones * 0x20;
	const uint64_t quote = (word ^ (ones * '"')) - ones;
	const uint64_t escape = (word ^ (ones * '\\')) - ones;

	return (((below | quote | escape) & ~word) | word | (word + ones)) & ones * 0x80;
}

static inline bool json_is_notable(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7f;
}

/* Eight bytes at a time. Against a table of 256 classes it saves a fifth of json_scan()'s time on a
 * page of agents, whose strings are short. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word, hits;

		memcpy(&word, at, sizeof(word));
		hits = json_notable_bytes(le64toh(word));
		if (hits)
			return at + __builtin_ctzll(hits) / 8;
		at += 8;
	}
	while (at < end && !json_is_notable(*at))
		at++;
	return at;
}

static inline const char *json_skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

#define JSON_MAX_EXACT (INT64_C(1) << 53) /* beyond it a double skips integers */

/* Whether digits without a leading zero make at most JSON_MAX_EXACT. */
static inline bool json_is_exact(const char *digits, size_t count)
{
	return count < 16 || (count == 16 && memcmp(digits, "9007199254740992", 16) <= 0);
}

/* Whether a JSON number, however it is written, is an integer of at most JSON_MAX_EXACT. Exact; the
 * time is linear in the length of the text, whatever the exponent is. */
bool json_integer(const char *text, size_t bytes, int64_t *ret_value);

/* An escape, from its backslash. */
struct json_escape {
	enum { JSON_ESCAPE_BAD, JSON_ESCAPE_NUL, JSON_ESCAPE_GOOD, JSON_ESCAPE_HALF } kind;
	uint8_t bytes; /* 2; 6 for \uNNNN; 12 for a surrogate pair */
	bool upper;    /* has upper-case digits */
	uint16_t code; /* of 6 bytes: NNNN */
};

/* Reads the escape whose backslash is at `at`, never beyond end. */
struct json_escape json_escape_read(const char *at, const char *end);

#endif
