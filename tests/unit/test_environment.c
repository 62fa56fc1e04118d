/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/model/environment.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void assert_freed_equal(char *text, const char *expected)
{
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void test_empty_variable_counts_as_unset(void **state)
{
	(void)state;
	unsetenv("FLEETFS_TEST");
	assert_null(environment_value("FLEETFS_TEST"));
	setenv("FLEETFS_TEST", "", 1);
	assert_null(environment_value("FLEETFS_TEST"));
	setenv("FLEETFS_TEST", "x", 1);
	assert_string_equal(environment_value("FLEETFS_TEST"), "x");
}

static void test_paths_become_absolute(void **state)
{
	static const struct {
		const char *given, *absolute;
	} lists[] = {
		{"a", "/usr/a"}, {"/a:b", "/a:/usr/b"}, {":a::/b:", "/usr/a:/b"}, {"", ""},
		{"::", ""},
	};

	(void)state;
	assert_int_equal(chdir("/usr"), 0);
	assert_freed_equal(environment_absolute("/a/../b"), "/a/../b");
	assert_freed_equal(environment_absolute("a"), "/usr/a");
	for (size_t i = 0; i < LENGTH(lists); i++)
		assert_freed_equal(environment_absolute_list(lists[i].given), lists[i].absolute);
	assert_int_equal(chdir("/"), 0);
}

static void test_tilde_of_a_home_directory_is_recognised(void **state)
{
	static const char *const yes[] = {"~", "~/", "~/a", "~ann/a"};
	static const char *const no[] = {"", "a~", "./~/a", "/~/a", "~backup"};

	(void)state;
	for (size_t i = 0; i < LENGTH(yes); i++)
		assert_true(environment_is_tilde(yes[i]));
	for (size_t i = 0; i < LENGTH(no); i++)
		assert_false(environment_is_tilde(no[i]));
}

static void test_configuration_directory_follows_xdg(void **state)
{
	const struct passwd *user = getpwuid(geteuid());
	char expected[4096];

	(void)state;
	setenv("HOME", "/home/ann", 1);
	setenv("XDG_CONFIG_HOME", "/etc/xdg", 1);
	assert_freed_equal(environment_config_path("a/b"), "/etc/xdg/a/b");
	setenv("XDG_CONFIG_HOME", "xdg", 1);
	assert_freed_equal(environment_config_path("a/b"), "/home/ann/.config/a/b");
	setenv("XDG_CONFIG_HOME", "", 1);
	assert_freed_equal(environment_config_path("a/b"), "/home/ann/.config/a/b");
	if (!user || !*user->pw_dir) {
		skip();
		return;
	}
	snprintf(expected, sizeof(expected), "%s/.config/a/b", user->pw_dir);
	setenv("HOME", "", 1);
	assert_freed_equal(environment_config_path("a/b"), expected);
	unsetenv("HOME");
	assert_freed_equal(environment_config_path("a/b"), expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_variable_counts_as_unset),
		cmocka_unit_test(test_paths_become_absolute),
		cmocka_unit_test(test_tilde_of_a_home_directory_is_recognised),
		cmocka_unit_test(test_configuration_directory_follows_xdg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
