/* SPDX-License-Identifier: MIT */
/* READDIRPLUS through the fake kernel (tests/unit/kernel.h): what a listing returns when an error
 * follows its entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "api/json/decode.h"
#include "tests/unit/kernel.h"

#define PER_PAGE 2
#define AGENTS   4
#define ALL      UINT32_MAX /* every page is bad */

static struct kernel kernel;

/* Brings a page of the agents m0 to m3; a failure if it is the bad page. */
static void bring(unsigned int number, unsigned int bad)
{
	char text[1024];
	size_t at = (size_t)snprintf(text, sizeof(text), "{\"agent_list\":[");
	unsigned int first = (number - 1) * PER_PAGE;
	struct page *page = NULL;
	struct failure failure;

	for (unsigned int i = first; i < first + PER_PAGE && i < AGENTS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		                       "%s{\"agent_id\":\"m%u\",\"tool\":\"t\"}",
		                       i > first ? "," : "", i);
	at += (size_t)snprintf(text + at, sizeof(text) - at,
	                       "],\"page_meta\":{\"total_count\":%d}}", AGENTS);
	if (number != bad && bad != ALL)
		assert_int_equal(decode_page(text, at, &page, &failure), 0);
	kernel_bring(&kernel, number, page, FAILURE_MALFORMED);
}

/* Brings pages until a request was replied to. bad: the page that fails each time; 0: none. */
static void await(uint64_t unique, unsigned int bad)
{
	while (kernel_is_waiting(&kernel, unique)) {
		if (kernel.wanted_count > 0)
			bring(kernel.wanted[0], bad);
		else
			kernel_advance(&kernel, 100);
	}
	assert_int_equal(kernel.replied, unique);
}

static uint64_t look_up(uint64_t directory, const char *name)
{
	uint64_t node;

	await(kernel_lookup(&kernel, directory, name), 0);
	assert_int_equal(kernel.error, 0);
	memcpy(&node, kernel.data, sizeof(node)); /* the entry begins with the ID */
	assert_int_not_equal(node, 0);
	return node;
}

/* Lists a directory until an empty reply or an error; returns 0 or the error. ret_names: the names
 * other than `.` and `..`, each followed by a space. */
static int list(uint64_t directory, unsigned int bad, char ret_names[static 256])
{
	uint64_t offset = 0;

	*ret_names = '\0';
	for (;;) {
		await(kernel_readdirplus(&kernel, directory, offset, 4096), bad);
		if (kernel.error != 0 || kernel.bytes == 0)
			return kernel.error;
		for (size_t i = 0; i < kernel.entry_count; i++) {
			offset = kernel.entries[i].next;
			if (kernel.entries[i].node != 0)
				strcat(strcat(ret_names, kernel.entries[i].name), " ");
		}
	}
}

static void unmount(void)
{
	kernel_forget_all(&kernel);
	kernel_statfs(&kernel);
	assert_int_equal(kernel.status.nodes, 1);
	kernel_done(&kernel);
}

static void test_error_of_a_page_follows_the_agents_before_it(void **state)
{
	uint64_t agents;
	char names[256];

	(void)state;
	assert_int_equal(kernel_init(&kernel, PER_PAGE), 0);
	agents = look_up(KERNEL_ROOT, "agents");
	assert_int_equal(list(agents, 2, names), -failure_errno(FAILURE_MALFORMED));
	assert_string_equal(names, "m0 m1 ");
	/* The page arrives again: the listing is complete. */
	kernel_advance(&kernel, KERNEL_TTL_MS + KERNEL_STALE_MS);
	assert_int_equal(list(agents, 0, names), 0);
	assert_string_equal(names, "m0 m1 m2 m3 ");
	unmount();
}

static void test_error_of_a_page_follows_the_members_of_a_group(void **state)
{
	uint64_t group;
	char names[256];

	(void)state;
	assert_int_equal(kernel_init(&kernel, PER_PAGE), 0);
	group = look_up(look_up(KERNEL_ROOT, "by-tool"), "t");
	kernel_advance(&kernel, KERNEL_TTL_MS + KERNEL_STALE_MS);
	assert_int_equal(list(group, 2, names), -failure_errno(FAILURE_MALFORMED));
	assert_string_equal(names, "m0 m1 ");
	unmount();
}

static void test_error_of_a_page_follows_the_groups_of_a_view(void **state)
{
	uint64_t view;
	char names[256];

	(void)state;
	assert_int_equal(kernel_init(&kernel, PER_PAGE), 0);
	view = look_up(KERNEL_ROOT, "by-tool");
	assert_int_equal(list(view, 2, names), -failure_errno(FAILURE_MALFORMED));
	assert_string_equal(names, "t ");
	unmount();
}

static void test_error_without_entries_is_returned_at_once(void **state)
{
	uint64_t agents;
	char names[256];

	(void)state;
	assert_int_equal(kernel_init(&kernel, PER_PAGE), 0);
	agents = look_up(KERNEL_ROOT, "agents");
	await(kernel_readdirplus(&kernel, agents, 0, 4096), ALL);
	assert_int_equal(kernel.error, -failure_errno(FAILURE_MALFORMED));
	kernel_advance(&kernel, 60000);
	assert_int_equal(list(agents, 0, names), 0);
	assert_string_equal(names, "m0 m1 m2 m3 ");
	unmount();
}

static void test_reply_that_is_full_continues_at_the_next_entry(void **state)
{
	uint64_t agents, offset = 0;
	size_t replies = 0, entries = 0;

	(void)state;
	assert_int_equal(kernel_init(&kernel, PER_PAGE), 0);
	agents = look_up(KERNEL_ROOT, "agents");
	for (;; replies++) {
		await(kernel_readdirplus(&kernel, agents, offset, 200), 0);
		assert_int_equal(kernel.error, 0);
		if (kernel.bytes == 0)
			break;
		entries += kernel.entry_count;
		offset = kernel.entries[kernel.entry_count - 1].next;
	}
	assert_int_equal(replies, entries); /* one entry fits */
	assert_int_equal(entries, 2 + AGENTS);
	await(kernel_readdirplus(&kernel, agents, 0, 100), 0);
	assert_int_equal(kernel.error, -EINVAL);
	unmount();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_of_a_page_follows_the_agents_before_it),
		cmocka_unit_test(test_error_of_a_page_follows_the_members_of_a_group),
		cmocka_unit_test(test_error_of_a_page_follows_the_groups_of_a_view),
		cmocka_unit_test(test_error_without_entries_is_returned_at_once),
		cmocka_unit_test(test_reply_that_is_full_continues_at_the_next_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
