/* SPDX-License-Identifier: MIT */
#include "tests/unit/decoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/json/decode.h"

int decoding(const char *body, size_t bytes, struct page **ret_page, struct failure *why)
{
	char *copy = malloc(bytes ? bytes : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, body, bytes);
	*ret_page = NULL;
	memset(why, 0, sizeof(*why));
	result = decode_page(copy, bytes, ret_page, why);
	free(copy);
	if (result == 0) {
		assert_non_null(*ret_page);
	} else {
		assert_null(*ret_page);
		assert_int_equal(result, -failure_errno(why->cause));
		assert_true(*why->message);
	}
	return result;
}

struct page *decoding_good(const char *body)
{
	struct failure why;
	struct page *page;

	if (decoding(body, strlen(body), &page, &why) != 0)
		fail_msg("%s: %s", why.message, body);
	return page;
}
