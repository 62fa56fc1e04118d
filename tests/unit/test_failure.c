/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "api/model/failure.h"

static void test_each_cause_has_errno_word_and_remedy(void **state)
{
	(void)state;
	for (int i = 0; i < FAILURE_CAUSES; i++) {
		assert_true(failure_errno((enum failure_cause)i) > 0);
		assert_non_null(failure_word((enum failure_cause)i));
		assert_non_null(failure_remedy(&(struct failure){.cause = (uint8_t)i}));
	}
	assert_int_equal(failure_errno(FAILURE_CREDENTIAL), EACCES);
	assert_int_equal(failure_errno(FAILURE_REQUEST), EINVAL);
	assert_int_equal(failure_errno(FAILURE_BUSY), EBUSY);
	assert_int_equal(failure_errno(FAILURE_SERVER), EREMOTEIO);
	assert_int_equal(failure_errno(FAILURE_UNREACHABLE), EHOSTUNREACH);
	assert_int_equal(failure_errno(FAILURE_TIMEOUT), ETIMEDOUT);
	assert_true(failure_is_general(FAILURE_BUSY));
	assert_false(failure_is_general(FAILURE_MALFORMED));
	assert_false(failure_is_general(FAILURE_TRUNCATED));
	assert_false(failure_is_general(FAILURE_OVERSIZED));
}

static void test_remedy_of_a_failure_precedes_that_of_its_cause(void **state)
{
	const struct failure failure = {.cause = FAILURE_CREDENTIAL, .remedy = "ask Ann"};

	(void)state;
	assert_string_equal(failure_remedy(&failure), "ask Ann");
}

static void test_set_changes_cause_and_message_only(void **state)
{
	struct failure failure = {.cause = FAILURE_CAUSES, .http_status = 404, .at_ns = 7};
	char long_text[2 * sizeof(failure.message)];

	(void)state;
	assert_int_equal(failure_set(&failure, FAILURE_REQUEST, "%d agents", 3), -EINVAL);
	assert_int_equal(failure.cause, FAILURE_REQUEST);
	assert_string_equal(failure.message, "3 agents");
	assert_int_equal(failure.http_status, 404);
	assert_int_equal(failure.at_ns, 7);
	assert_null(failure.remedy);

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	failure_set(&failure, FAILURE_REQUEST, "%s", long_text);
	assert_int_equal(strlen(failure.message), sizeof(failure.message) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cause_has_errno_word_and_remedy),
		cmocka_unit_test(test_remedy_of_a_failure_precedes_that_of_its_cause),
		cmocka_unit_test(test_set_changes_cause_and_message_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
