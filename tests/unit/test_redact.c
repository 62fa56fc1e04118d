/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/redact.h"

#define TOKEN "sk-4f/Q9&x+Zt71\"LmW_0aB"

static void check(const struct redact *redact, const char *before, const char *after)
{
	char text[512];

	snprintf(text, sizeof(text), "%s", before);
	redact_text(redact, text, sizeof(text));
	if (strcmp(text, after) != 0)
		fail_msg("%s became %s instead of %s", before, text, after);
}

static void test_every_encoding_of_a_token_is_replaced(void **state)
{
	static const char *const forms[] = {
		TOKEN,
		"SK-4F/q9&X+zT71\"lMw_0Ab",
		"sk-4f%2FQ9%26x%2BZt71%22LmW_0aB",
		"sk-4f%2fQ9%26x%2bZt71%22LmW_0aB",
		"%73k-4f/Q9&x+Zt7%31\"LmW_0aB",
		"sk-4f\\/Q9&x+Zt71\\\"LmW_0aB",
		"\\u0073k\\u002d4f\\u002FQ9\\u0026x+Zt71\\u0022LmW_0aB",
		"sk\\x2d4f/Q9&x+Zt71\\x22LmW_0aB",
		"sk-4f/Q9&amp;x+Zt71&quot;LmW_0aB",
		"sk&#45;4f&#x2F;Q9&#38;x&#x2b;Zt71&#34;LmW_0aB",
		"sk-4f%252FQ9%2526x%252BZt71%2522LmW_0aB",            /* twice */
		"sk-4f/Q9&amp;amp;x+Zt71&amp;quot;LmW_0aB",           /* twice */
		"sk-4f\\u00252FQ9\\u002526x+Zt71\\u0026quot;LmW_0aB", /* mixed */
		"c2stNGYvUTkmeCtadDcxIkxtV18wYUI=",                   /* base64 of it alone */
		"736b2d34662f513926782b5a743731224c6d575f306142",     /* hex */
		"736B2D34662F513926782B5A743731224C6D575F306142",
		"sk\\0554f\\057Q9\\046x\\053Zt71\\042LmW_0aB",
		"sk&#45&#52f&#x2f&#81&#x39&amp;x&#43Zt71&#34LmW_0aB", /* no semicolons */
		"sk\\u{2d}4f/Q9\\u{26}x\\u{2B}Zt71\\u{000022}LmW_0aB",
		"sk\\U0000002d4f/Q9\\U00000026x+Zt71\\U00000022LmW_0aB",
		"sk%u002d4f/Q9%u0026x+Zt71%U0022LmW_0aB",
		/* dumps, and UTF-16 whose zero bytes became spaces */
		"73 6b 2d 34 66 2f 51 39 26 78 2b 5a 74 37 31 22 4c 6d 57 5f 30 61 42",
		"73:6b:2d:34:66:2f:51:39:26:78:2b:5a:74:37:31:22:4c:6d:57:5f:30:61:42",
		"73-6B-2D-34-66-2F-51-39-26-78-2B-5A-74-37-31-22-4C-6D-57-5F-30-61-42",
		"s k - 4 f / Q 9 & x + Z t 7 1 \" L m W _ 0 a B",
	};
	struct redact redact = {0};

	(void)state;
	redact_add(&redact, "another-token-before");
	redact_add(&redact, TOKEN);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		char before[256], text[256];

		snprintf(before, sizeof(before), "no such key: %s, sorry", forms[i]);
		snprintf(text, sizeof(text), "%s", before);
		redact_text(&redact, text, sizeof(text));
		if (strncmp(text, "no such key: " REDACT_MARK, 21) != 0 ||
		    !strstr(text, ", sorry") || strlen(text) > 21 + 9)
			fail_msg("%s became %s", before, text);
	}
	check(&redact, "the token another-token-before is old", "the token " REDACT_MARK " is old");
	redact_done(&redact);
}

/* Base64 encodes three bytes at a time. The token may begin at any of them, as in "user:TOKEN". */
static void test_base64_is_found_at_each_of_three_offsets(void **state)
{
	/* printf '…sk-1234567890abcdef…' | base64 */
	static const char *const forms[] = {
		"c2stMTIzNDU2Nzg5MGFiY2RlZg==",
		"OnNrLTEyMzQ1Njc4OTBhYmNkZWY=",
		"YTpzay0xMjM0NTY3ODkwYWJjZGVm",
		"QmVhcmVyIHNrLTEyMzQ1Njc4OTBhYmNkZWYK",
	};
	struct redact redact = {0};

	(void)state;
	redact_add(&redact, "sk-1234567890abcdef");
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s", forms[i]);
		redact_text(&redact, text, sizeof(text));
		assert_non_null(strstr(text, REDACT_MARK));
		assert_null(strstr(text, "Njc4OTBh"));
		assert_null(strstr(text, "Y3ODkw"));
	}
	redact_done(&redact);
}

/* A message is cut to fit, so it may contain any part of a token, in any encoding. */
static void test_no_cut_leaves_most_of_a_token(void **state)
{
	static const char plain[] = "key sk-abcdefghijklmnop rejected";
	struct redact redact = {0};

	(void)state;
	redact_add(&redact, "sk-abcdefghijklmnop");
	for (size_t from = 0; from < sizeof(plain); from++)
		for (size_t to = from; to < sizeof(plain); to++) {
			char text[64], encoded[256] = "", *at = encoded;

			snprintf(text, sizeof(text), "%.*s", (int)(to - from), plain + from);
			for (size_t i = 0; text[i]; i++)
				at += sprintf(at, "%%%02x", (unsigned char)text[i]);
			redact_text(&redact, text, sizeof(text));
			redact_text(&redact, encoded, sizeof(encoded));
			for (const char *part = "sk-abcdefghijklmnop"; strlen(part) >= 8; part++) {
				char eight[9] = "";

				memcpy(eight, part, 8);
				assert_null(strstr(text, eight));
			}
			assert_true(strlen(encoded) <= 3 * 14 + strlen(REDACT_MARK) + 3 * 10);
		}
	redact_done(&redact);
}

static void test_short_secrets_are_replaced_and_harmless_text_is_not(void **state)
{
	struct redact redact = {0};

	(void)state;
	check(&redact, "404 Not Found", "404 Not Found");
	redact_add(&redact, "");
	redact_add(&redact, NULL);
	redact_add(&redact, "sk-sim");
	check(&redact, "key sk-sim", "key " REDACT_MARK);
	check(&redact, "k-si", REDACT_MARK);
	check(&redact, "a simple task: 100% & \\ &#; %zz \\u12",
	      "a simple task: 100% & \\ &#; %zz \\u12");
	redact_add(&redact, "ab");
	check(&redact, "crab", "cr" REDACT_MARK);
	redact_done(&redact);
	check(&redact, "sk-sim", "sk-sim");
}

/* The mark may be longer than the secret. */
static void test_the_result_fits_into_the_buffer(void **state)
{
	struct redact redact = {0};
	char text[12] = "ab ab ab ab";

	(void)state;
	redact_add(&redact, "ab");
	redact_text(&redact, text, sizeof(text));
	assert_string_equal(text, REDACT_MARK " ");
	redact_done(&redact);
}

static void test_passwords_of_proxies_are_replaced(void **state)
{
	struct redact redact = {0};

	(void)state;
	redact_add_proxy(&redact, NULL);
	redact_add_proxy(&redact, "http://proxy.example:3128");
	redact_add_proxy(&redact, "http://ann:p%40ss/w@rd!x@proxy.example:3128/");
	redact_add_proxy(&redact, "bob:tr0mbone@proxy");
	redact_add_proxy(&redact, "http://acc3ss-t0ken:@proxy");
	check(&redact, "bad proxy 'http://ann:p%40ss/w@rd!x@proxy.example:3128/'",
	      "bad proxy 'http://" REDACT_MARK "@proxy.example:3128/'");
	check(&redact, "password p@ss/w@rd!x", "password " REDACT_MARK);
	check(&redact, "Basic Ym9iOnRyMG1ib25l", "Basic " REDACT_MARK);
	check(&redact, "tr0mbone", REDACT_MARK);
	check(&redact, "user acc3ss-t0ken is unknown", "user " REDACT_MARK " is unknown");
	check(&redact, "Basic YWNjM3NzLXQwa2VuOg==", "Basic " REDACT_MARK "Og==");
	redact_done(&redact);
}

/* Most messages contain an "a". Replacing it would make them unreadable and reveal it. */
static void test_a_short_password_of_a_proxy_is_only_replaced_with_its_user(void **state)
{
	static const char *const harmless[] = {
		"cannot connect (proxy http://proxy:3128)",
		"user:password can be added",
		"bad proxy 'http://can@a.example:3128'",
		"bad proxy 'http://a:@a.example:3128'",
	};
	struct redact redact = {0};

	(void)state;
	redact_add_proxy(&redact, "http://a:an@a.example:3128");
	redact_add_proxy(&redact, "http://a:@a.example:3128");
	redact_add_proxy(&redact, "http://can@a.example:3128");
	redact_add_proxy(&redact, "http://proxy:1@a.example:3128");
	redact_add_proxy(&redact, "http://user:pw@a.example:3128");
	redact_add_proxy(&redact, "http://bob:a%6e@a.example:3128");
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		check(&redact, harmless[i], harmless[i]);
	check(&redact, "bad proxy 'http://a:an@a.example:3128'",
	      "bad proxy 'http://" REDACT_MARK "@a.example:3128'");
	check(&redact, "Basic Ym9iOmFu", "Basic " REDACT_MARK);
	redact_done(&redact);
}

static void test_the_newest_tokens_are_replaced(void **state)
{
	struct redact redact = {0};
	char token[64];

	(void)state;
	for (int i = 0; i < 3 * REDACT_SECRETS; i++) {
		snprintf(token, sizeof(token), "%d-token-%d", i * 7919, i);
		redact_add(&redact, token);
		redact_add(&redact, token);
	}
	for (int i = 2 * REDACT_SECRETS; i < 3 * REDACT_SECRETS; i++) {
		snprintf(token, sizeof(token), "%d-token-%d", i * 7919, i);
		redact_text(&redact, token, sizeof(token));
		assert_string_equal(token, REDACT_MARK);
	}
	redact_done(&redact);
}

static void test_pinned_secrets_survive_any_number_of_tokens(void **state)
{
	struct redact redact = {0};
	char token[64];

	(void)state;
	redact_add_proxy(&redact, "http://ann:p%40ssw0rd@proxy.example:3128");
	redact_add(&redact, "token-of-the-environment");
	redact_pin(&redact);
	for (int i = 0; i < 3 * REDACT_SECRETS; i++) {
		snprintf(token, sizeof(token), "sk-%d-%d", i * 7919, i);
		redact_add(&redact, token);
	}
	check(&redact, token, REDACT_MARK);
	check(&redact, "token-of-the-environment", REDACT_MARK);
	check(&redact, "ann:p%40ssw0rd, password p@ssw0rd", REDACT_MARK ", password " REDACT_MARK);
	redact_done(&redact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_encoding_of_a_token_is_replaced),
		cmocka_unit_test(test_base64_is_found_at_each_of_three_offsets),
		cmocka_unit_test(test_no_cut_leaves_most_of_a_token),
		cmocka_unit_test(test_short_secrets_are_replaced_and_harmless_text_is_not),
		cmocka_unit_test(test_the_result_fits_into_the_buffer),
		cmocka_unit_test(test_passwords_of_proxies_are_replaced),
		cmocka_unit_test(test_a_short_password_of_a_proxy_is_only_replaced_with_its_user),
		cmocka_unit_test(test_the_newest_tokens_are_replaced),
		cmocka_unit_test(test_pinned_secrets_survive_any_number_of_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
