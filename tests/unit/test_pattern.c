/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/tree/names.h"
#include "fs/tree/pattern.h"

static struct pattern *parsed(const char *text)
{
	struct pattern *pattern = NULL;

	if (pattern_parse(text, strlen(text), &pattern) < 0)
		fail_msg("%s is a pattern", text);
	return pattern;
}

static size_t last_work;

static bool matches(const char *text, const char *value)
{
	struct pattern *pattern = parsed(text);
	struct pattern_value prepared;
	bool result;

	last_work = 0;
	pattern_value_init(&prepared, value, &last_work);
	result = pattern_matches(pattern, &prepared, &last_work);
	pattern_free(pattern);
	return result;
}

static void assert_matches(const char *text, const char *value, bool wanted)
{
	if (matches(text, value) != wanted)
		fail_msg("%s %s %s", text, wanted ? "does not match" : "matches", value);
}

static void test_pattern_matches_the_whole_value(void **state)
{
	static const struct {
		const char *pattern, *matched[4], *other[5];
	} rows[] = {
		{"idle", {"idle"}, {"idl", "idle2", "Idle", ""}},
		{"*", {"", "a", "a/b", ".hidden"}, {NULL}},
		{"**", {"", "a", "abc"}, {NULL}},
		{"?", {"a", "*", "\u4e2d", "\xff"}, {"", "ab", "\u4e2d\u4e2d"}},
		{"a*", {"a", "ab", "a*"}, {"", "ba"}},
		{"*4090*", {"4090", "RTX 4090 D"}, {"409", "490"}},
		{"a*b*c", {"abc", "axbxc", "abbcc"}, {"ab", "acb", "abcd"}},
		{"*ab", {"ab", "aab", "abab"}, {"aba", "a", "b"}},
		{"*a?c", {"abc", "aabc", "abcabc"}, {"ac", "abcd"}},
		{"[ab]", {"a", "b"}, {"c", "", "ab"}},
		{"[a-cx]", {"a", "c", "x"}, {"d", "-"}},
		{"[!a-c]", {"d", "-", "\u4e2d"}, {"a", "b", "c", ""}},
		{"[^a-c]", {"d", "^"}, {"a"}},
		{"[]a]", {"]", "a"}, {"[", "b"}},
		{"[!]a]", {"b"}, {"]", "a"}},
		{"[a-]", {"a", "-"}, {"b"}},
		{"[-a]", {"a", "-"}, {"b"}},
		{"[*?]", {"*", "?"}, {"a"}},
		{"[%5D]", {"]"}, {"["}},
		{"[a%2Dc]", {"a", "-", "c"}, {"b"}},
		{"[\u4e00-\u9fff]*", {"\u4e2d", "\u4e2dx"}, {"x", "\u3042"}},
		{"v[0-9].[0-9]*", {"v1.2", "v1.23-rc"}, {"v1", "v10.2", "vx.2"}},
		{"\\*", {"\\", "\\a"}, {"*"}},
		{"a]", {"a]"}, {"a"}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t n = 0; n < 4 && rows[i].matched[n]; n++)
			assert_matches(rows[i].pattern, rows[i].matched[n], true);
		for (size_t n = 0; n < 5 && rows[i].other[n]; n++)
			assert_matches(rows[i].pattern, rows[i].other[n], false);
	}
	(void)state;
}

/* An escape is a byte that is not special; a value need not be escaped in the same places. */
static void test_escapes_are_bytes(void **state)
{
	assert_matches("a%2Cb", "a,b", true);
	assert_matches("a%2cb", "a,b", true);
	assert_matches("a%2Fb", "a/b", true);
	assert_matches("a?b", "a/b", true);
	assert_matches("%2A", "*", true);
	assert_matches("%2A", "x", false);
	assert_matches("%3F", "x", false);
	assert_matches("%5Ba%5D", "[a]", true);
	assert_matches("%5Ba%5D", "a", false);
	assert_matches("%25", "%", true);
	assert_matches("%2541", "%41", true);
	assert_matches("%2541", "A", false);
	assert_matches("%41", "A", true);
	assert_matches("%2Ehidden", ".hidden", true);
	assert_matches(".hidden", ".hidden", true);
	assert_matches("%20a%20", " a ", true);
	assert_matches("%C3%A9", "\u00e9", true);
	assert_matches("\u00e9", "\u00e9", true);
	assert_matches("%E9", "\u00e9", false);
	assert_matches("%E9", "\xe9", true);
	assert_matches("%1B[[]31m", "\x1b[31m", true);
	/* Stored NUL and C0. */
	assert_matches("%00", "\xc0\x80", true);
	assert_matches("%C0", "\xc0\x81", true);
	assert_matches("a?b",
	               "a\xc0\x80"
	               "b",
	               true);
	/* The name of the empty string, which a label may be. */
	assert_matches("%", "", true);
	assert_matches("%", "%", false);
	(void)state;
}

static void test_every_value_matches_its_name(void **state)
{
	static const char *const values[] = {
		"idle",     "",     "%",        "a,b",      "..",     "-rf",    " a ",  "a\nb",
		"\x1b[31m", "\xff", "\xc0\x80", "\xc0\x81", "\u202e", "\u00e9", "100%", "a/b/c"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char name[NAME_BYTES], escaped[3 * NAME_BYTES] = "", *out = escaped;

		name_encode(values[i], name);
		/* What names leave as it is, and patterns do not. */
		for (const char *at = name; *at; at++)
			out += strchr("*?[,", *at) ? sprintf(out, "%%%02X", *at)
			                           : sprintf(out, "%c", *at);
		assert_matches(escaped, values[i], true);
		assert_matches(escaped, "something else", false);
	}
	(void)state;
}

static void test_long_value_matches_by_its_shortened_name(void **state)
{
	char value[1001], other[1001], name[NAME_BYTES];

	memset(value, 'x', 1000);
	value[1000] = '\0';
	memcpy(other, value, 1001);
	other[999] = 'y';
	name_encode(value, name);
	assert_matches(name, value, true);
	assert_matches(name, other, false);
	assert_matches("xxx*", value, true);
	assert_matches("*%~*", value, true);
	assert_matches("*%~*", "x%~x", false);
	assert_matches("*xxx", value, false);
	/* Beyond the limit of a name only if it is escaped, and not shortened. */
	memset(value, 'z', 200);
	value[200] = '\0';
	assert_matches("z*zz", value, true);
	(void)state;
}

static void test_what_is_no_pattern(void **state)
{
	static const char *const wrong[] = {
		"",     "%4",  "%zz",         "a%",      "%G1",     "[",      "[a",   "a[b",
		"[]",   "[!]", "[z-a]",       " a",      "a ",      "a\nb",   "\x7f", "\xff",
		"\xc3", "a/b", "[[:alpha:]]", "[[.a.]]", "[[=a=]]", "\u202e", "%%",   "[%5D"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct pattern *pattern = NULL;

		if (pattern_parse(wrong[i], strlen(wrong[i]), &pattern) != -EINVAL)
			fail_msg("%s is no pattern", wrong[i]);
		assert_null(pattern);
	}
	(void)state;
}

static void test_print_is_the_same_for_all_spellings(void **state)
{
	static const char *const rows[][2] = {
		{"idle", "idle"},
		{"%69dle", "idle"},
		{"a%2cb", "a%2Cb"},
		{"***", "*"},
		{"a**b", "a*b"},
		{"*?*", "*?*"},
		{"[^a]", "[!a]"},
		{"[a-a]", "[a]"},
		{"[a-]", "[a%2D]"},
		{"[]]", "[%5D]"},
		{"%2A%3F%5B", "%2A%3F%5B"},
		{"%2e", "."},
		{"%20", "%20"},
		{"a%20b", "a b"},
		{"%", "%"},
		{"%C3%A9", "\u00e9"},
		{"%e9", "%E9"},
		{"%0a", "%0A"},
		{"x%~0", "x%~0"},
		{"]", "]"},
		{"[!%21]", "[!%21]"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = parsed(rows[i][0]);
		struct text text;

		text_init(&text, 1000);
		pattern_print(pattern, &text);
		text_bytes(&text, "", 1);
		assert_string_equal(text.bytes, rows[i][1]);
		text_done(&text);
		pattern_free(pattern);
	}
	(void)state;
}

/* A matcher that tries all ways to share a value among the stars takes years for these. */
static void test_time_of_a_match_is_bounded(void **state)
{
	static const char *const pieces[] = {"*a", "*?", "*[ab]", "*aa", "a*"};
	char value[256];

	memset(value, 'a', 255);
	value[255] = '\0';
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		char pattern[300] = "";

		while (strlen(pattern) < 240)
			strcat(pattern, pieces[i]);
		strcat(pattern, "*b");
		assert_false(matches(pattern, value));
		assert_in_range(last_work, 1, 255 * 255);
	}
	/* The worst: one long piece that nearly matches everywhere. */
	{
		char pattern[300] = "*";

		while (strlen(pattern) < 128)
			strcat(pattern, "a");
		strcat(pattern, "b");
		assert_false(matches(pattern, value));
		assert_in_range(last_work, 1, 255 * 255);
	}
	(void)state;
}

static void test_each_range_of_a_set_is_a_comparison(void **state)
{
	char value[256];

	memset(value, 'a', 255);
	value[255] = '\0';
	assert_false(matches("*[b-cdefghijklmnopqrstuvw]z", value));
	assert_in_range(last_work, 255 * 21, 255 * 27);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_matches_the_whole_value),
		cmocka_unit_test(test_escapes_are_bytes),
		cmocka_unit_test(test_every_value_matches_its_name),
		cmocka_unit_test(test_long_value_matches_by_its_shortened_name),
		cmocka_unit_test(test_what_is_no_pattern),
		cmocka_unit_test(test_print_is_the_same_for_all_spellings),
		cmocka_unit_test(test_time_of_a_match_is_bounded),
		cmocka_unit_test(test_each_range_of_a_set_is_a_comparison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
