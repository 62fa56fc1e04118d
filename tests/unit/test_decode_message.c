/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void test_message_of_an_error_is_found(void **state)
{
	static const struct {
		const char *body, *text;
	} rows[] = {
		{"{\"message\":\"team missing\"}", "team missing"},
		{"{\"error\":\"bad key\",\"code\":7}", "bad key"},
		{"{\"detail\":\"d\",\"error\":{\"message\":\"e\"}}", "d"},
		{"{\"error\":{\"code\":1,\"message\":\" nested \\n one \"}}", "nested one"},
		{"{\"message\":7,\"detail\":\"d\"}", "d"},
		{"{\"code\":7}", "{\"code\":7}"},
		{"[\"x\"]", "[\"x\"]"},
		{"", ""},
		{" \n\t ", ""},
		{"<html>\n<title>502  Bad</title>", "<html> <title>502 Bad</title>"},
		{"{\"message\":\"cut", "{\"message\":\"cut"},
		{"{\"1\":1,", "{\"1\":1,"},
		{"{\"message\":\"lone \\ud800\"}", "lone \xed\xa0\x80"},
		{"{\"message\":\"a\\u0000b\"}", "a\xc0\x80"
	                                        "b"},
		{"\xef\xbb\xbf{\"message\":\"m\"}", "m"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char whole[128];
		char *body = strndup(rows[i].body, strlen(rows[i].body));

		decode_message(body, strlen(body), whole, sizeof(whole));
		assert_string_equal(whole, rows[i].text);
		free(body);
	}
}

static void test_message_is_truncated_between_characters(void **state)
{
	char text[8];

	(void)state;
	decode_message(NULL, 0, text, sizeof(text));
	assert_string_equal(text, "");
	decode_message("a\0b", 3, text, sizeof(text));
	assert_string_equal(text, "a b");
	decode_message("1234567890", 10, text, sizeof(text));
	assert_string_equal(text, "1234567");
	decode_message("12345\xc3\xa9x", 8, text, sizeof(text));
	assert_string_equal(text, "12345\xc3\xa9");
	decode_message("123456\xc3\xa9", 8, text, sizeof(text));
	assert_string_equal(text, "123456");
	decode_message("1234\xf0\x9f\x98\x80", 8, text, sizeof(text));
	assert_string_equal(text, "1234");
	decode_message("123456 8", 8, text, sizeof(text));
	assert_string_equal(text, "123456");
	decode_message("abc", 3, text, 1);
	assert_string_equal(text, "");
}

static void test_expiry_of_a_token_is_found(void **state)
{
	static const struct {
		const char *json;
		int64_t expiry;
	} rows[] = {
		{"{\"sub\":\"u\",\"exp\":1770000000}", 1770000000},
		{"{\"exp\":9223372036}", 9223372036},
		{"{\"exp\":9223372037}", 0},
		{"{\"exp\":0}", 0},
		{"{\"exp\":-5}", 0},
		{"{\"exp\":1.5}", 0},
		{"{\"exp\":\"1770000000\"}", 0},
		{"{\"exp\":1770000000", 0},
		{"{}", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		assert_true(decode_jwt_expiry(rows[i].json, strlen(rows[i].json)) ==
		            rows[i].expiry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_of_an_error_is_found),
		cmocka_unit_test(test_message_is_truncated_between_characters),
		cmocka_unit_test(test_expiry_of_a_token_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
