/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/http/ca_files.h"

static char directory[] = "/tmp/fleetfs-cas-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

/* Returns the path of an entry; static. */
static const char *entry(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void test_only_a_bundle_that_exists_and_is_no_regular_file_is_a_fault(void **state)
{
	struct ca_fault fault = {0};

	(void)state;
	assert_true(ca_files_check(NULL, NULL, &fault));
	assert_true(ca_files_check("/nonexistent", "/nonexistent:", &fault));
	assert_true(ca_files_check("/proc/self/exe", NULL, &fault));
	assert_string_equal(fault.path, "");
	assert_int_equal(mkfifo(entry("fifo"), 0600), 0);
	assert_false(ca_files_check(entry("fifo"), NULL, &fault));
	assert_true(fault.bundle);
	assert_string_equal(fault.path, entry("fifo"));
}

/* OpenSSL opens HASH.NUMBER, and HASH.rNUMBER for a list of revoked certificates. */
static void test_a_fifo_is_a_fault_if_the_tls_library_may_open_it(void **state)
{
	static const struct {
		const char *name;
		bool fault;
	} rows[] = {
		{"4bfab552.0", true},   {"4bfab552.17", true}, {"4bfab552.r0", true},
		{"4bfab552.r", false},  {"4bfab552.", false},  {"4bfab552", false},
		{"4bfab552.0x", false}, {"4BFAB552.0", false}, {"4bfab55.0", false},
		{"4bfab5521.0", false}, {"ca.pem", false},     {"4bfab552.rr0", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ca_fault fault = {0};
		char list[160];

		snprintf(list, sizeof(list), "/nonexistent::%s", directory);
		assert_int_equal(mkfifo(entry(rows[i].name), 0600), 0);
		if (ca_files_check(NULL, list, &fault) == rows[i].fault)
			fail_msg("%s", rows[i].name);
		assert_false(fault.bundle);
		assert_string_equal(fault.path, rows[i].fault ? entry(rows[i].name) : "");
		unlink(entry(rows[i].name));
	}
}

static void test_entries_that_cannot_block_are_no_fault(void **state)
{
	struct ca_fault fault = {0};

	(void)state;
	assert_int_equal(mkdir(entry("4bfab552.0"), 0700), 0);
	assert_int_equal(symlink("4bfab552.0", entry("4bfab552.1")), 0);
	assert_int_equal(symlink("/proc/self/exe", entry("4bfab552.2")), 0);
	assert_int_equal(symlink("nothing", entry("4bfab552.3")), 0);
	assert_true(ca_files_check(NULL, directory, &fault));
	assert_int_equal(symlink("/dev/zero", entry("4bfab552.4")), 0);
	assert_false(ca_files_check(NULL, directory, &fault));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_a_bundle_that_exists_and_is_no_regular_file_is_a_fault),
		TEST(test_a_fifo_is_a_fault_if_the_tls_library_may_open_it),
		TEST(test_entries_that_cannot_block_are_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
