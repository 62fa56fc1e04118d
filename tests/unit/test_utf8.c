/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/utf8.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void test_character_is_classified(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		uint32_t code;
		uint8_t bytes;
		uint8_t kind;
	} rows[] = {
		{"a", 1, 'a', 1, UTF8_PLAIN},
		{" ", 1, ' ', 1, UTF8_PLAIN},
		{"\\", 1, '\\', 1, UTF8_PLAIN},
		{"~", 1, '~', 1, UTF8_PLAIN},
		{"\0", 1, 0, 1, UTF8_CONTROL},
		{"\n", 1, '\n', 1, UTF8_CONTROL},
		{"\x1b", 1, 0x1b, 1, UTF8_CONTROL},
		{"\x1f", 1, 0x1f, 1, UTF8_CONTROL},
		{"\x7f", 1, 0x7f, 1, UTF8_CONTROL},
		{"\xc2\x80", 2, 0x80, 2, UTF8_CONTROL},
		{"\xc2\x9b", 2, 0x9b, 2, UTF8_CONTROL},
		{"\xc2\x9f", 2, 0x9f, 2, UTF8_CONTROL},
		{"\xc2\xa0", 2, 0xa0, 2, UTF8_PLAIN},
		{"\xd8\x9b", 2, 0x61b, 2, UTF8_PLAIN},
		{"\xd8\x9c", 2, 0x61c, 2, UTF8_CONTROL},
		{"\xd8\x9d", 2, 0x61d, 2, UTF8_PLAIN},
		{"\xe2\x80\x8d", 3, 0x200d, 3, UTF8_PLAIN},
		{"\xe2\x80\x8e", 3, 0x200e, 3, UTF8_CONTROL},
		{"\xe2\x80\x8f", 3, 0x200f, 3, UTF8_CONTROL},
		{"\xe2\x80\x90", 3, 0x2010, 3, UTF8_PLAIN},
		{"\xe2\x80\xa7", 3, 0x2027, 3, UTF8_PLAIN},
		{"\xe2\x80\xa8", 3, 0x2028, 3, UTF8_CONTROL},
		{"\xe2\x80\xa9", 3, 0x2029, 3, UTF8_CONTROL},
		{"\xe2\x80\xaa", 3, 0x202a, 3, UTF8_CONTROL},
		{"\xe2\x80\xae", 3, 0x202e, 3, UTF8_CONTROL},
		{"\xe2\x80\xaf", 3, 0x202f, 3, UTF8_PLAIN},
		{"\xe2\x81\xa5", 3, 0x2065, 3, UTF8_PLAIN},
		{"\xe2\x81\xa6", 3, 0x2066, 3, UTF8_CONTROL},
		{"\xe2\x81\xa9", 3, 0x2069, 3, UTF8_CONTROL},
		{"\xe2\x81\xaa", 3, 0x206a, 3, UTF8_PLAIN},
		{"\xe6\xa8\xa1", 3, 0x6a21, 3, UTF8_PLAIN},
		{"\xef\xbf\xbf", 3, 0xffff, 3, UTF8_PLAIN},
		{"\xf0\x9f\x98\x80", 4, 0x1f600, 4, UTF8_PLAIN},
		{"\xf4\x8f\xbf\xbf", 4, 0x10ffff, 4, UTF8_PLAIN},
		/* A continuation alone, overlong forms, surrogates, beyond U+10FFFF. */
		{"\x80", 1, 0x80, 1, UTF8_INVALID},
		{"\xbf", 1, 0xbf, 1, UTF8_INVALID},
		{"\xc0\x80", 2, 0xc0, 1, UTF8_INVALID},
		{"\xc1\xbf", 2, 0xc1, 1, UTF8_INVALID},
		{"\xe0\x9f\xbf", 3, 0xe0, 1, UTF8_INVALID},
		{"\xed\xa0\x80", 3, 0xed, 1, UTF8_INVALID},
		{"\xed\xbf\xbf", 3, 0xed, 1, UTF8_INVALID},
		{"\xf0\x8f\xbf\xbf", 4, 0xf0, 1, UTF8_INVALID},
		{"\xf4\x90\x80\x80", 4, 0xf4, 1, UTF8_INVALID},
		{"\xf5\x80\x80\x80", 4, 0xf5, 1, UTF8_INVALID},
		{"\xff", 1, 0xff, 1, UTF8_INVALID},
		/* Truncated, by the end or by another character. */
		{"\xc3", 1, 0xc3, 1, UTF8_INVALID},
		{"\xe2\x80", 2, 0xe2, 1, UTF8_INVALID},
		{"\xf0\x9f\x98", 3, 0xf0, 1, UTF8_INVALID},
		{"\xc3\x28", 2, 0xc3, 1, UTF8_INVALID},
		{"\xe2\x80\x41", 3, 0xe2, 1, UTF8_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		/* A copy of exactly this size, so ASan detects a read beyond it. */
		char *text = malloc(rows[i].len);
		struct utf8_char c;

		assert_non_null(text);
		memcpy(text, rows[i].text, rows[i].len);
		c = utf8_next(text, rows[i].len);
		free(text);
		if (c.code != rows[i].code || c.bytes != rows[i].bytes || c.kind != rows[i].kind)
			fail_msg("row %zu: U+%04x, %u bytes, kind %u", i, c.code, c.bytes, c.kind);
	}
}

/* Surrogates are no characters. */
static void test_every_code_point_is_read_back(void **state)
{
	(void)state;
	for (uint32_t code = 0x80; code <= 0x10ffff; code++) {
		unsigned char text[4];
		uint8_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
		uint32_t rest = code;
		struct utf8_char c;

		for (int i = bytes - 1; i > 0; i--, rest >>= 6)
			text[i] = (unsigned char)(0x80 | (rest & 0x3f));
		text[0] = (unsigned char)((0xf00u >> bytes & 0xff) | rest);
		c = utf8_next((const char *)text, bytes);
		if (code >= 0xd800 && code <= 0xdfff) {
			assert_int_equal(c.kind, UTF8_INVALID);
		} else {
			assert_int_equal(c.code, code);
			assert_int_equal(c.bytes, bytes);
			assert_int_not_equal(c.kind, UTF8_INVALID);
		}
	}
}

/* NUL and the byte 0xC0 are stored as two bytes; every other byte is stored unchanged. */
static void test_stored_form_is_decoded(void **state)
{
	static const struct {
		const char *stored, *original;
		size_t original_bytes;
		enum utf8_kind kind;
	} rows[] = {
		{"\xc0\x80", "\0", 1, UTF8_CONTROL},     {"\xc0\x81", "\xc0", 1, UTF8_INVALID},
		{"\xc0\x82", "\xc0", 1, UTF8_INVALID},   {"\xc0", "\xc0", 1, UTF8_INVALID},
		{"\xc3\x80", "\xc3\x80", 2, UTF8_PLAIN}, {"a", "a", 1, UTF8_PLAIN},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct utf8_char c = utf8_next_stored(rows[i].stored, strlen(rows[i].stored));
		unsigned char original[4];
		size_t bytes = utf8_original(&c, rows[i].stored, original);

		assert_int_equal(c.kind, rows[i].kind);
		assert_int_equal(bytes, rows[i].original_bytes);
		assert_memory_equal(original, rows[i].original, bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_character_is_classified),
		cmocka_unit_test(test_every_code_point_is_read_back),
		cmocka_unit_test(test_stored_form_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
