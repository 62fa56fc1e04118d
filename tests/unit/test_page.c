/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "api/model/agent.h"
#include "api/model/page.h"

static void test_page_releases_its_agents(void **state)
{
	struct agent *agent = malloc(sizeof(*agent));
	struct page *page = calloc(1, sizeof(*page) + sizeof(page->agents[0]));

	(void)state;
	assert_non_null(agent);
	assert_non_null(page);
	*agent = (struct agent){.refs = 1};
	page->agents[0] = agent_ref(agent);
	page->agent_count = 1;
	assert_int_equal(agent->refs, 2);
	page_free(page);
	assert_int_equal(agent->refs, 1);
	agent_unref(agent);
	/* agent_unref() freed it, but the analyzer does not look into other files.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	agent_unref(NULL);
	page_free(NULL);
}

static void test_validator_has_an_etag_or_a_date(void **state)
{
	const struct validator none = {.token_number = 1};
	const struct validator etag = {.etag = "\"a\""};
	const struct validator date = {.last_modified = "Mon, 10 Feb 2025 14:30:00 GMT"};

	(void)state;
	assert_false(validator_is_present(&none));
	assert_true(validator_is_present(&etag));
	assert_true(validator_is_present(&date));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_releases_its_agents),
		cmocka_unit_test(test_validator_has_an_etag_or_a_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
