/* SPDX-License-Identifier: MIT */
/* The manual describes every setting, file and errno of the program. Argument: its path. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/model/failure.h"
#include "fs/program/settings.h"
#include "fs/tree/tree.h"

#define WORD_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static char *manual;

static bool is_word_character(char c)
{
	return c && strchr(WORD_CHARACTERS, c);
}

/* Whether a line of the text up to end begins with the prefix and contains the word. */
static bool has_word(const char *text, const char *end, const char *prefix, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) && at < end; at++) {
		const char *line = at;

		while (line > manual && line[-1] != '\n')
			line--;
		if (strncmp(line, prefix, strlen(prefix)) == 0 && !is_word_character(at[-1]) &&
		    !is_word_character(at[length]))
			return true;
	}
	return false;
}

/* Whether the manual has a setting, as an option or in a list of mount options. For `noauto` it has
 * `auto`. */
static bool has_setting(const char *name)
{
	const char *end = manual + strlen(manual);
	char option[100];

	snprintf(option, sizeof(option), "-%s", name);
	return has_word(manual, end, ".It Fl ", option) || has_word(manual, end, ".Cm ", name) ||
	       (strncmp(name, "no", 2) == 0 && has_word(manual, end, ".Cm ", name + 2));
}

static void test_manual_has_every_setting(void **state)
{
	(void)state;
	for (const struct setting *row = setting_rows; row->name; row++)
		if (!has_setting(row->name))
			fail_msg("%s is missing", row->name);
}

static void test_manual_has_every_file_of_the_tree(void **state)
{
	const char *tree = strstr(manual, "\n.Sh THE TREE");
	const char *end;

	(void)state;
	assert_non_null(tree);
	end = strstr(tree, "\n.Ed");
	assert_non_null(end);
	for (size_t i = 0; i < tree_row_count; i++) {
		const char *name = tree_rows[i].name;

		if (name && !has_word(tree, end, "", name))
			fail_msg("%s is missing", name);
	}
}

static void test_manual_has_the_errno_of_every_failure(void **state)
{
	const char *end = manual + strlen(manual);

	(void)state;
	for (int cause = 0; cause < FAILURE_CAUSES; cause++) {
		int error = failure_errno((enum failure_cause)cause);

		if (error && !has_word(manual, end, ".It Er ", strerrorname_np(error)))
			fail_msg("%s is missing", strerrorname_np(error));
	}
}

/* In the message of an errno, `No` would be a macro of mdoc without the escape. */
static void test_manual_has_the_message_of_every_errno_as_programs_print_it(void **state)
{
	static const char item[] = "\n.It Er ";
	unsigned int count = 0;

	(void)state;
	for (const char *at = manual; (at = strstr(at, item)); count++) {
		const char *message = NULL;
		char name[20], line[200];

		at += strlen(item);
		assert_int_equal(sscanf(at, "%19s", name), 1);
		for (int error = 1; error < 200 && !message; error++)
			if (strerrorname_np(error) && strcmp(strerrorname_np(error), name) == 0)
				message = strerror(error);
		assert_non_null(message);
		snprintf(line, sizeof(line), "%s Pq Dq %s%s\n", name,
		         strncmp(message, "No ", 3) == 0 ? "\\&" : "", message);
		if (strncmp(at, line, strlen(line)) != 0)
			fail_msg("not in the manual: %s", line);
	}
	assert_true(count > 0);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file || getdelim(&text, &size, '\0', file) < 0) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_has_every_setting),
		cmocka_unit_test(test_manual_has_every_file_of_the_tree),
		cmocka_unit_test(test_manual_has_the_errno_of_every_failure),
		cmocka_unit_test(test_manual_has_the_message_of_every_errno_as_programs_print_it),
	};
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: test-manual MANUAL\n");
		return 2;
	}
	manual = read_file(argv[1]);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(manual);
	return failed;
}
