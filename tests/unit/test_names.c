/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/model/utf8.h"
#include "fs/tree/names.h"

static void test_unsafe_characters_are_escaped(void **state)
{
	static const struct {
		const char *text;
		const char *name;
	} rows[] = {
		{"agent-1.example", "agent-1.example"},
		{"GPU rig #7 (left)", "GPU rig #7 (left)"},
		{"", "%"},
		{"%", "%25"},
		{"%41", "%2541"},
		{"a%", "a%25"},
		{".", "%2E"},
		{"..", "%2E."},
		{"../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"},
		{"a/b", "a%2Fb"},
		{"-rf", "%2Drf"},
		{"a-b.c", "a-b.c"},
		{" ", "%20"},
		{"  ", "%20%20"},
		{"   ", "%20 %20"},
		{" a b ", "%20a b%20"},
		{"A\nB", "A%0AB"},
		{"\x1b]0;x\a", "%1B]0;x%07"},
		{"\x7f", "%7F"},
		{"a\u202eb", "a%E2%80%AEb"},
		{"\u061c\u200e\u2066", "%D8%9C%E2%80%8E%E2%81%A6"},
		{"\u200b\u2028\u2029", "\u200b%E2%80%A8%E2%80%A9"},
		/* The stored forms of NUL and of the byte C0. */
		{"\xc0\x80", "%00"},
		{"a\xc0\x80z\xc0\x81\x80", "a%00z%C0%80"},
		{"\xc2\x9b", "%C2%9B"},
		{"\x9b", "%9B"},
		{"\xff\xfe", "%FF%FE"},
		{"\xc0\xaf", "%C0%AF"},
		{"\xed\xa0\x80", "%ED%A0%80"},
		{"\xe2\x82", "%E2%82"},
		{"\u00e9\u4e2d\U0001f600", "\u00e9\u4e2d\U0001f600"},
		{"\\ * ~ '\"", "\\ * ~ '\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[NAME_BYTES];

		name_encode(rows[i].text, name);
		assert_string_equal(name, rows[i].name);
		assert_true(name_is_canonical(name));
	}
	(void)state;
}

/* `count` times `piece`, then `tail`. */
static char *repeat(const char *piece, size_t count, const char *tail)
{
	size_t length = strlen(piece);
	char *text = malloc(count * length + strlen(tail) + 1);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * length, piece, length);
	strcpy(text + count * length, tail);
	return text;
}

static void assert_cut(const char *piece, size_t count, const char *tail, size_t kept)
{
	char *text = repeat(piece, count, tail);
	char name[NAME_BYTES], inside[NAME_BYTES];

	name_encode(text, name);
	assert_int_equal(strlen(name), kept + 34);
	assert_memory_equal(name + kept, "%~", 2);
	assert_int_equal(strspn(name + kept + 2, "0123456789abcdef"), 32);
	assert_true(name_is_canonical(name));
	name[kept + 33] = 'A';
	assert_false(name_is_canonical(name));
	name[kept + 33] = '\0';
	assert_false(name_is_canonical(name));
	/* Only whole encoded characters are kept. */
	name_encode(piece, inside);
	for (size_t at = 0; at < kept; at += strlen(inside))
		assert_memory_equal(name + at, inside, strlen(inside));
	free(text);
}

static void test_long_name_is_cut(void **state)
{
	char name[NAME_BYTES];
	char *text = repeat("a", 255, "");

	name_encode(text, name);
	assert_string_equal(name, text);
	free(text);

	assert_cut("a", 256, "", 200);
	assert_cut("a", 5000, "", 200);
	assert_cut("a", 254, "/", 200); /* 257 once encoded */
	assert_cut("a", 253, " ", 200); /* 256 once encoded */
	assert_cut("/", 86, "", 198);   /* 258 once encoded */
	assert_cut("\u00e9", 128, "", 200);
	assert_cut("\u4e2d", 86, "", 198);
	assert_cut("\U0001f600", 64, "", 200);
	assert_cut("\u202e", 29, "", 198); /* 9 bytes each: 261, and 200 is within one */
	assert_cut("\xff", 86, "", 198);
	(void)state;
}

/* The hashes are constants, since names must not change with an update of fleetfs. */
static void test_hash_is_of_the_whole_string(void **state)
{
	char one[NAME_BYTES], other[NAME_BYTES];
	char *text = repeat("a", 300, "");

	name_encode(text, one);
	assert_string_equal(one + 200, "%~5e563f2cb28d2005c1d17581d8eb7e21");
	text[299] = 'b';
	name_encode(text, other);
	assert_memory_equal(one, other, 202);
	assert_string_not_equal(one, other);
	free(text);
	(void)state;
}

struct pair {
	char *text;
	char name[NAME_BYTES];
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

static void assert_safe(const char *name)
{
	size_t length = strlen(name);

	assert_in_range(length, 1, NAME_BYTES - 1);
	assert_null(strchr(".- ", name[0]));
	assert_int_not_equal(name[length - 1], ' ');
	for (size_t at = 0; at < length;) {
		struct utf8_char c = utf8_next(name + at, length - at);

		assert_int_equal(c.kind, UTF8_PLAIN);
		assert_int_not_equal(c.code, '/');
		at += c.bytes;
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* All strings of up to four pieces that are easily confused, and random strings around the limit of
 * length. */
static void test_different_strings_have_different_names(void **state)
{
	static const char *const pieces[] = {
		"%",    "~",    "2",    "5",    "E",    ".",    "-", " ",      "/",   "\x1b",
		"\xc2", "\x9b", "\xe2", "\x80", "\xae", "\xff", "a", "\u4e2d", "%25", "%~"};
	const size_t kinds = sizeof(pieces) / sizeof(pieces[0]);
	const size_t short_texts = 1 + kinds + kinds * kinds + kinds * kinds * kinds;
	const size_t texts = short_texts + 20000;
	struct pair *pairs = calloc(texts, sizeof(*pairs));
	uint32_t seed = 2463534242;

	assert_non_null(pairs);
	for (size_t i = 0; i < texts; i++) {
		char text[1200] = "";

		/* Short ones count in base `kinds`, without a zero. */
		for (size_t n = i; i < short_texts && n > 0; n = (n - 1) / kinds)
			strcat(text, pieces[(n - 1) % kinds]);
		for (size_t n = i < short_texts ? 0 : 40 + next_random(&seed) % 260; n > 0; n--)
			strcat(text, pieces[next_random(&seed) % kinds]);
		pairs[i].text = strdup(text);
		assert_non_null(pairs[i].text);
		name_encode(text, pairs[i].name);
		assert_safe(pairs[i].name);
		assert_true(name_is_canonical(pairs[i].name));
	}
	qsort(pairs, texts, sizeof(*pairs), by_name);
	for (size_t i = 1; i < texts; i++) {
		if (strcmp(pairs[i - 1].name, pairs[i].name) == 0)
			assert_string_equal(pairs[i - 1].text, pairs[i].text);
	}
	for (size_t i = 0; i < texts; i++)
		free(pairs[i].text);
	free(pairs);
	(void)state;
}

static void test_name_of_no_string_is_not_canonical(void **state)
{
	static const char *const others[] = {
		"",
		".",
		"..",
		".git",
		"-x",
		" ",
		" a",
		"a ",
		"a%",
		"a%2",
		"a%zz",
		"%2e",
		"%2E%2E",
		"a%2E",
		"%41",
		"a%20b",
		"%E4%B8%AD",
		"%25%",
		"a/b",
		"a\nb",
		"\x7f",
		"\xff",
		"\xe2\x82",
		"a\u202eb",
		"\u202e",
		"%E2%80\xae",
		"\xe2%80%AE",
		"%~",
		"%~5e563f2cb28d2005c1d17581d8eb7e21",
		"abc%~5e563f2cb28d2005c1d17581d8eb7e21",
	};
	char *too_long = repeat("a", 256, "");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(name_is_canonical(others[i]));
	assert_false(name_is_canonical(too_long));
	assert_true(name_is_canonical(too_long + 1));
	assert_true(name_is_canonical("%00"));
	assert_true(name_is_canonical("a%00%C0%80"));
	free(too_long);
	(void)state;
}

/* Every name of up to four pieces is canonical exactly if it is the name of the string that it
 * decodes to. */
static void test_canonical_name_is_the_name_of_its_string(void **state)
{
	static const char *const pieces[] = {"%",   "~",      "2",    "0",   "E",   "F",
	                                     "a",   ".",      "-",    " ",   "/",   "\n",
	                                     "%25", "%2E",    "%20",  "%2F", "%E2", "%80",
	                                     "%AE", "\u00e9", "\xc3", "%FF", "%41"};
	const size_t kinds = sizeof(pieces) / sizeof(pieces[0]);
	size_t canonical = 0;

	for (size_t i = 1; i < kinds * kinds * kinds * kinds; i++) {
		char name[32] = "", text[32], again[NAME_BYTES];
		size_t length = 0;

		for (size_t n = i; n > 0; n = (n - 1) / kinds)
			strcat(name, pieces[(n - 1) % kinds]);
		for (const char *at = strcmp(name, "%") == 0 ? "" : name; *at; at++) {
			unsigned int byte;

			if (*at == '%' && at[1] && at[2] && sscanf(at + 1, "%2X", &byte) == 1) {
				text[length++] = (char)byte;
				at += 2;
			} else {
				text[length++] = *at;
			}
		}
		text[length] = '\0';
		if (strlen(text) != length)
			continue;
		name_encode(text, again);
		assert_int_equal(name_is_canonical(name), strcmp(name, again) == 0);
		canonical += name_is_canonical(name);
	}
	assert_true(canonical > 1000);
	(void)state;
}

/* Below where/ */

static void test_operators_are_escaped_below_where(void **state)
{
	static const char *const rows[][2] = {
		{"gpu-01", "gpu-01"},
		{"", "%"},
		{"a=b", "a%3Db"},
		{"status!=idle", "status!%3Didle"},
		{"<=>", "%3C%3D%3E"},
		{"a%3Db", "a%253Db"},
		{" = ", "%20%3D%20"},
		{"a/b=\n", "a%2Fb%3D%0A"},
		{"\u00e9=\xff", "\u00e9%3D%FF"},
		{"%=", "%25%3D"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[NAME_BYTES], plain[NAME_BYTES], back[NAME_BYTES];

		name_encode(rows[i][0], plain);
		name_encode_in_where(rows[i][0], name);
		assert_string_equal(name, rows[i][1]);
		assert_true(name_from_where(name, back));
		assert_string_equal(back, plain);
		if (name_has_operator(plain))
			assert_false(name_from_where(plain, back));
		else
			assert_string_equal(name, plain);
	}
	(void)state;
}

static void test_long_names_with_operators_differ_below_where(void **state)
{
	static const size_t lengths[] = {84, 85, 86, 199, 200, 201, 253, 254, 255, 256, 300};
	char name[NAME_BYTES], plain[NAME_BYTES], back[NAME_BYTES];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int where = 0; where < 3; where++) {
			char *text = where < 2 ? repeat("x", lengths[i] - 1, "=")
			                       : repeat("=", lengths[i], "");

			if (where == 1)
				text[0] = '=';
			name_encode(text, plain);
			name_encode_in_where(text, name);
			assert_false(name_has_operator(name));
			assert_in_range(strlen(name), 1, NAME_BYTES - 1);
			assert_true(name_from_where(name, back));
			if (!name_has_operator(plain))
				assert_string_equal(name, plain);
			else if (!name_is_cut(name))
				assert_string_equal(back, plain);
			else
				assert_string_not_equal(name, plain);
			free(text);
		}
	}
	assert_false(name_from_where("a=b", back));
	assert_false(name_from_where("a%3d", back));
	assert_false(name_from_where(".git", back));
	assert_false(name_from_where("%41", back));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsafe_characters_are_escaped),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_hash_is_of_the_whole_string),
		cmocka_unit_test(test_different_strings_have_different_names),
		cmocka_unit_test(test_name_of_no_string_is_not_canonical),
		cmocka_unit_test(test_canonical_name_is_the_name_of_its_string),
		cmocka_unit_test(test_operators_are_escaped_below_where),
		cmocka_unit_test(test_long_names_with_operators_differ_below_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
