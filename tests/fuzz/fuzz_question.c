/* SPDX-License-Identifier: MIT */
#include "fs/tree/question.h"

#include <errno.h>

#include "fs/tree/names.h"
#include "fs/tree/pattern.h"
#include "tests/fuzz/fuzz.h"

/* The text of a question's last component. The caller frees it. */
static char *printed(const struct question *question)
{
	struct text text;

	text_init(&text, QUESTION_MAX_KEY);
	question_print(question, &text);
	text_bytes(&text, "", 1);
	expect(text_error(&text) == 0);
	return text.bytes;
}

/* A matcher that is too slow, and plain: what follows the first `*` is tried everywhere. */
static bool matches_plainly(const char *pattern, const char *value)
{
	if (*pattern == '*')
		return matches_plainly(pattern + 1, value) ||
		       (*value && matches_plainly(pattern, value + 1));
	if (*pattern == '\0' || *value == '\0')
		return *pattern == *value;
	return (*pattern == '?' || *pattern == *value) && matches_plainly(pattern + 1, value + 1);
}

/* Patterns of letters, `*` and `?`, with values of letters. */
static void fuzz_pattern(const uint8_t *data, size_t size)
{
	static const char letters[] = "ab*?";
	char text[9] = "*", value[9] = "";
	struct pattern_value prepared;
	struct pattern *pattern;
	size_t work = 0;

	for (size_t i = 0; i < 8 && i < size; i++) {
		text[i] = letters[data[i] & 3];
		value[i] = letters[data[i] >> 2 & 1];
	}
	value[size > 8 ? data[8] & 7 : 0] = '\0';
	expect(pattern_parse(text, strlen(text), &pattern) == 0);
	pattern_value_init(&prepared, value, &work);
	expect(pattern_matches(pattern, &prepared, &work) == matches_plainly(text, value));
	pattern_free(pattern);
}

/* A name matches the value whose name it is. */
static void fuzz_name(const char *value)
{
	char name[NAME_BYTES], text[3 * NAME_BYTES] = "", *out = text;
	struct pattern_value prepared;
	struct pattern *pattern;
	size_t work = 0;

	name_encode(value, name);
	for (const char *at = name; *at; at++)
		out += strchr("*?[,", *at) ? sprintf(out, "%%%02X", *at) : sprintf(out, "%c", *at);
	expect(pattern_parse(text, strlen(text), &pattern) == 0);
	pattern_value_init(&prepared, value, &work);
	work = 0;
	expect(pattern_matches(pattern, &prepared, &work));
	expect(work <= NAME_BYTES);
	pattern_free(pattern);
}

/* An agent with this text in several fields. */
static struct agent agent_of(const char *text, const char *const *texts, int64_t number)
{
	return (struct agent){
		.id = text,
		.status = text,
		.labels = {texts, 2},
		.gpu_capacity = number,
		.gpu_free = AGENT_ABSENT,
		.running_count = AGENT_ABSENT,
		.tasks_completed = number,
		.sync_percent = AGENT_ABSENT,
	};
}

/* The components of the path: with the operators and fields that the grammar has, any bytes come
 * far enough. */
static void fuzz_path(char *path, const struct agent *agent)
{
	struct question *question = NULL, *next, *again;
	char *rest = path, *name, *text, *text_again;
	bool all_hold = true;
	size_t work = 0;

	while ((name = strsep(&rest, "/"))) {
		int err = question_parse(question, name, &next);

		expect(err == 0 || err == -EINVAL);
		if (err < 0)
			continue;
		expect(name_has_operator(name) && question_depth(next) <= 9);
		text = printed(next);
		expect(question_parse(question, text, &again) == 0);
		text_again = printed(again);
		expect(strcmp(text, text_again) == 0);
		expect(question_matches(next, agent, &work) ==
		       question_matches(again, agent, &work));
		question_unref(again);
		if (question_parse(NULL, text, &again) == 0) {
			/* A question holds if each of its conditions alone does. */
			all_hold = all_hold && question_matches(again, agent, &work);
			expect(question_matches(next, agent, &work) == all_hold);
			question_unref(again);
		}
		free(text);
		free(text_again);
		question_unref(question);
		question = next;
	}
	question_unref(question);
}

/* `!=` holds if and only if `=` does not, and of `<` and `>=` at most one holds for one value. */
static void fuzz_opposites(const char *value, const struct agent *agent)
{
	static const char *const pairs[][2] = {
		{"status=%s", "status!=%s"}, {"label=%s", "label!=%s"},
		{"tool=%s", "tool!=%s"},     {"gpu_capacity<%s", "gpu_capacity>=%s"},
		{"status<=%s", "status>%s"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct question *one = NULL, *other = NULL;
		char name[2][300];
		size_t work = 0;
		int err;

		if (*value == '=') /* would be a part of the operator */
			return;
		for (int n = 0; n < 2; n++) {
			const char *end = strstr(pairs[i][n], "%s");

			snprintf(name[n], sizeof(name[n]), "%.*s%.200s", (int)(end - pairs[i][n]),
			         pairs[i][n], value);
		}
		err = question_parse(NULL, name[0], &one);
		expect(question_parse(NULL, name[1], &other) == err);
		if (err < 0)
			continue;
		if (i < 3)
			expect(question_matches(one, agent, &work) !=
			       question_matches(other, agent, &work));
		else
			expect(!question_matches(one, agent, &work) ||
			       !question_matches(other, agent, &work));
		question_unref(one);
		question_unref(other);
	}
}

/* The input is a number, a value of an agent up to the first newline, and a path. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_string(data, size), *path = input;
	const char *text = strsep(&path, "\n");
	const char *texts[2] = {text, *text ? text + 1 : text};
	int64_t number = 0;
	struct agent agent;

	memcpy(&number, input, size < 6 ? size : 6);
	agent = agent_of(text, texts, number);
	fuzz_pattern(data, size);
	fuzz_name(text);
	fuzz_opposites(path ? path : text, &agent);
	if (path)
		fuzz_path(path, &agent);
	free(input);
	return 0;
}
