/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/tree/question.h"
#include "fs/tree/question_field.h"
#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define FIRST_NS INT64_C(1700000000000000000)
#define GIB      (INT64_C(1) << 30)

/* Parses the components of a path. Returns 0 and a reference, or -errno. */
static int parse(const char *path, struct question **ret)
{
	char copy[4096], *rest = copy, *name;
	struct question *question = NULL;
	int err = 0;

	strcpy(copy, path);
	while (err == 0 && (name = strsep(&rest, "/"))) {
		struct question *next = NULL;

		err = question_parse(question, name, &next);
		question_unref(question);
		question = next;
	}
	*ret = question;
	return err;
}

static struct question *parsed(const char *path)
{
	struct question *question;

	if (parse(path, &question) < 0)
		fail_msg("%s is a question", path);
	return question;
}

/* An idle agent with two labels, two GPUs and two tasks. */
static struct agent some_agent(void)
{
	static const char *const labels[] = {"a100", "eu,west"};
	static const char *const tasks[] = {"t1", "t2"};
	static const struct agent_gpu gpus[] = {
		{"NVIDIA GeForce RTX 4090", "cuda", 24 * GIB, 20 * GIB, 4 * GIB},
		{NULL, "cuda", 80 * GIB, AGENT_ABSENT, AGENT_ABSENT},
	};
	struct agent agent = agents_blank("gpu-01");

	agent.status = "idle";
	agent.version = "12";
	agent.platform_arch = "linux/amd64";
	agent.tool_version = "v1.2";
	agent.current_task_id = "t3";
	agent.sync_detail = "";
	agent.gpu_capacity = 4;
	agent.gpu_free = 0;
	agent.sync_percent = -5;
	agent.tasks_completed = INT64_C(9007199254740992);
	agent.labels = (struct agent_list){labels, 2};
	agent.running_tasks = (struct agent_list){tasks, 2};
	agent.system_stats.pytorch_version = "2.5.1+cu124";
	agent.gpus = gpus;
	agent.gpu_count = 2;
	return agent;
}

static bool holds(const char *path)
{
	const struct agent agent = some_agent();
	struct question *question = parsed(path);
	size_t work = 0;
	bool result = question_matches(question, &agent, &work);

	question_unref(question);
	return result;
}

static void assert_holds(const char *const *paths, bool wanted)
{
	for (; *paths; paths++)
		if (holds(*paths) != wanted)
			fail_msg("%s %s", *paths, wanted ? "does not hold" : "holds");
}

static void test_a_condition_names_a_file_or_a_list(void **state)
{
	assert_holds((const char *const[]){"id=gpu-01", "status=idle", "gpu_capacity=4",
	                                   "platform_arch=linux%2Famd64", "label=a100", "gpu=*4090",
	                                   "task=t1", "task=t3", "running_tasks=t2",
	                                   "current_task_id=t3", "vram_total=25769803776",
	                                   "system_stats.pytorch_version=2.5*", NULL},
	             true);
	assert_holds((const char *const[]){"id=gpu-02", "status=busy", "running_tasks=t3",
	                                   "vram_used=1", "tool=x", NULL},
	             false);
	(void)state;
}

static void test_any_of_several_values_matches_and_none_for_not_equal(void **state)
{
	assert_holds((const char *const[]){"label=eu%2Cwest", "vram_total>=80G", "vram_total<=24G",
	                                   "vram_total<80G/vram_total>24G", "label!=b,c",
	                                   "task!=t4", "gpu!=*H100*", NULL},
	             true);
	assert_holds((const char *const[]){"label!=a100", "label!=eu*", "label!=b,a*", "gpu!=*",
	                                   "vram_total!=25769803776", "task!=t3", NULL},
	             false);
	(void)state;
}

static void test_equality_takes_a_list_of_patterns(void **state)
{
	assert_holds((const char *const[]){"status=busy,idle", "status=idle,busy", "status=i*",
	                                   "status=[hi]dle", "gpu_free=0", "gpu_free=[0-3]",
	                                   "gpu_free=1,2,0", "sync_percent=-5", "sync_percent=%2D5",
	                                   NULL},
	             true);
	assert_holds((const char *const[]){"status=busy,syncing", "status=idl", "gpu_free=00",
	                                   "gpu_free!=0", "gpu_free!=1,0", NULL},
	             false);
	(void)state;
}

static void test_the_empty_value_is_absence(void **state)
{
	assert_holds((const char *const[]){"tool=", "sync_detail=", "running_count=", "status!=",
	                                   "label!=", "gpu!=", "vram_free!=", "sync_phase!=x",
	                                   "tool!=*", NULL},
	             true);
	assert_holds((const char *const[]){"status=", "label=", "gpu=", "task=", "vram_used=",
	                                   "tool!=", "tool=*", "running_count!=", NULL},
	             false);
	(void)state;
}

static void test_ordering_operators_compare_integers(void **state)
{
	assert_holds((const char *const[]){"gpu_capacity<5", "gpu_capacity<=4", "gpu_capacity>3",
	                                   "gpu_capacity>=4", "sync_percent<0", "sync_percent>=-5",
	                                   "version>9", "version<=12", "vram_free>=20G",
	                                   "vram_free>=20480M", "vram_free<1T",
	                                   "vram_free>=20971520K", "vram_used<=4G",
	                                   "tasks_completed>=9007199254740992",
	                                   "tasks_completed>=8192T", NULL},
	             true);
	/* Neither an absent value nor a text that is no integer compares with anything. */
	assert_holds((const char *const[]){"gpu_capacity<4", "gpu_capacity>4", "gpu_capacity<=3",
	                                   "gpu_capacity>=5", "running_count<5", "running_count>=0",
	                                   "tool_version>0", "tool_version<9", "status<1",
	                                   "vram_free>20G", "label>=0", NULL},
	             false);
	(void)state;
}

static void test_all_conditions_hold(void **state)
{
	assert_holds((const char *const[]){"status=idle/label=a100/vram_free>=10G",
	                                   "status=idle/status=idle", "status=idle/sort=id",
	                                   "sort=-vram_free", NULL},
	             true);
	assert_holds((const char *const[]){"status=idle/label=b", "label=b/status=idle",
	                                   "status=idle/status=busy", "status=busy/sort=id", NULL},
	             false);
	(void)state;
}

static void test_what_is_no_condition(void **state)
{
	static const char *const wrong[] = {"",
	                                    "status",
	                                    "README",
	                                    "=",
	                                    "=idle",
	                                    "status!idle",
	                                    "nosuch=1",
	                                    "Status=idle",
	                                    "status =idle",
	                                    "status= idle",
	                                    "status=idle ",
	                                    "sta*=idle",
	                                    "!=x",
	                                    "<1",
	                                    "agent.json=x",
	                                    "labels=x",
	                                    "gpus=1",
	                                    "system_stats=x",
	                                    "type=cuda",
	                                    "name=x",
	                                    "pytorch_version=2",
	                                    "system_stats.=x",
	                                    "gpus.0.name=x",
	                                    "status=,idle",
	                                    "status=idle,",
	                                    "status=a,,b",
	                                    "status=,",
	                                    "status=[",
	                                    "status=a%",
	                                    "status=%zz",
	                                    "status=\x01",
	                                    "gpu_free<",
	                                    "gpu_free>=",
	                                    "gpu_free<x",
	                                    "gpu_free<1.5",
	                                    "gpu_free<1e3",
	                                    "gpu_free<0x10",
	                                    "gpu_free<+1",
	                                    "gpu_free<1k",
	                                    "gpu_free<1KB",
	                                    "gpu_free<1P",
	                                    "gpu_free<K",
	                                    "gpu_free<-",
	                                    "gpu_free<--1",
	                                    "gpu_free< 1",
	                                    "gpu_free<1,2",
	                                    "gpu_free<>1",
	                                    "vram_free>=9007199254740993",
	                                    "vram_free>=99999999999999999999999999",
	                                    "vram_free>=8193T",
	                                    "vram_free>=-9007199254740993",
	                                    "vram_free>=9007199254740992K",
	                                    "sort=",
	                                    "sort=-",
	                                    "sort=--id",
	                                    "sort=nosuch",
	                                    "sort=id,status",
	                                    "sort!=id",
	                                    "sort<1",
	                                    "sort>=id",
	                                    "sort=id/status=idle",
	                                    "sort=id/sort=id",
	                                    "sort=ID"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct question *question;

		if (parse(wrong[i], &question) != -EINVAL)
			fail_msg("%s is no question", wrong[i]);
		question_unref(question);
	}
	(void)state;
}

static void test_at_most_eight_conditions_and_an_order(void **state)
{
	char path[200] = "status=idle";
	struct question *question;

	for (int i = 1; i < QUESTION_MAX_CONDITIONS; i++)
		strcat(path, "/status=idle");
	question = parsed(path);
	assert_int_equal(question_depth(question), QUESTION_MAX_CONDITIONS);
	question_unref(question);
	strcat(path, "/sort=id");
	question = parsed(path);
	assert_true(question_is_sorted(question));
	question_unref(question);
	strcpy(strstr(path, "/sort"), "/status=idle");
	assert_int_equal(parse(path, &question), -EINVAL);
	(void)state;
}

static void test_every_value_of_an_agent_is_a_field(void **state)
{
	struct question_field field;

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];
		char name[100];

		if (row->parent != TREE_AGENT && row->parent != TREE_SYSTEM_STATS)
			continue;
		snprintf(name, sizeof(name), "%s%s",
		         row->parent == TREE_SYSTEM_STATS ? "system_stats." : "",
		         row->name ? row->name : "");
		assert_int_equal(question_field_find(name, strlen(name), &field),
		                 tree_is_field_file(row));
	}
	(void)state;
}

/* Printing */

static const char *printed(const struct question *question)
{
	static char result[1000];
	struct text text;

	text_init(&text, sizeof(result) - 1);
	question_print(question, &text);
	assert_int_equal(text_error(&text), 0);
	snprintf(result, sizeof(result), "%.*s", (int)text.length, text.bytes);
	text_done(&text);
	return result;
}

static void test_print_is_the_same_for_all_spellings(void **state)
{
	static const char *const rows[][2] = {
		{"status=idle", "status=idle"},
		{"status=%69dle,b**y", "status=idle,b*y"},
		{"status!=", "status!="},
		{"system_stats.os_type=posix", "system_stats.os_type=posix"},
		{"running_tasks=x", "running_tasks=x"},
		{"task=x", "task=x"},
		{"label=x", "label=x"},
		{"vram_free>=1K", "vram_free>=1024"},
		{"vram_free<0001", "vram_free<1"},
		{"vram_free<=-0", "vram_free<=0"},
		{"vram_free>-1T", "vram_free>-1099511627776"},
		{"sort=-vram_free", "sort=-vram_free"},
		{"sort=system_stats.os_type", "sort=system_stats.os_type"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct question *question = parsed(rows[i][0]), *again;

		assert_string_equal(printed(question), rows[i][1]);
		again = parsed(rows[i][1]);
		assert_string_equal(printed(again), rows[i][1]);
		question_unref(question);
		question_unref(again);
	}
	(void)state;
}

static void assert_key(const char *path, const char *wanted)
{
	struct question *question = parsed(path);
	struct text text;

	text_init(&text, QUESTION_MAX_KEY);
	question_key(question, &text);
	text_bytes(&text, "", 1);
	assert_string_equal(text.bytes, wanted);
	text_done(&text);
	question_unref(question);
}

static void test_key_does_not_depend_on_the_order_of_conditions(void **state)
{
	assert_key("status=idle", "status=idle/");
	assert_key("status=idle/label=x/sort=id", "label=x/sort=id/status=idle/");
	assert_key("label=x/status=idle/label=x/sort=id", "label=x/sort=id/status=idle/");
	assert_key("vram_free>=1K/vram_free>=1024", "vram_free>=1024/");
	(void)state;
}

/* Order */

static struct question_sort_key sort_key_of(const char *version, const char *const *labels,
                                            size_t count)
{
	struct question *question = parsed(labels ? "sort=label" : "sort=version");
	struct agent agent = agents_blank("a");
	struct question_sort_key key;
	size_t work = 0;

	agent.version = version;
	agent.labels = (struct agent_list){labels, count};
	key = question_sort_key(question, &agent, &work);
	question_unref(question);
	return key;
}

static void test_integers_sort_by_value_before_texts_and_absent_values_last(void **state)
{
	static const char *const ascending[] = {
		"-3", "0", "2",     "10", "9007199254740992", "10.1", "9007199254740993",
		"A",  "a", "\u00e9"};
	const size_t count = sizeof(ascending) / sizeof(ascending[0]);
	struct question *up = parsed("sort=version"), *down = parsed("sort=-version");
	struct question_sort_key absent = sort_key_of(NULL, NULL, 0),
				 empty = sort_key_of("", NULL, 0);

	for (size_t a = 0; a < count; a++) {
		struct question_sort_key one = sort_key_of(ascending[a], NULL, 0);

		for (size_t b = 0; b < count; b++) {
			struct question_sort_key other = sort_key_of(ascending[b], NULL, 0);
			int order = question_compare_sort_keys(up, &one, &other);

			assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
			order = question_compare_sort_keys(down, &one, &other);
			assert_int_equal((order > 0) - (order < 0), (a < b) - (a > b));
		}
		assert_true(question_compare_sort_keys(up, &one, &absent) < 0);
		assert_true(question_compare_sort_keys(down, &one, &absent) < 0);
		assert_true(question_compare_sort_keys(up, &empty, &one) > 0);
		assert_true(question_compare_sort_keys(down, &empty, &one) > 0);
	}
	assert_int_equal(question_compare_sort_keys(up, &absent, &empty), 0);
	question_unref(up);
	question_unref(down);
	(void)state;
}

static void test_the_largest_of_several_values_counts(void **state)
{
	struct question *question = parsed("sort=-vram_total");
	const struct agent agent = some_agent();
	size_t work = 0;
	struct question_sort_key key = question_sort_key(question, &agent, &work);

	assert_int_equal(key.kind, SORT_KEY_NUMBER);
	assert_int_equal(key.number, 80 * GIB);
	question_unref(question);
	key = sort_key_of(NULL, (const char *const[]){"9", "10", "8"}, 3);
	assert_int_equal(key.number, 10);
	key = sort_key_of(NULL, (const char *const[]){"9", "a", "10"}, 3);
	assert_int_equal(key.kind, SORT_KEY_TEXT);
	assert_string_equal(key.text, "a");
	(void)state;
}

/* Times */

static void test_a_link_is_as_old_as_the_value_that_makes_it(void **state)
{
	struct agent agent = some_agent();
	struct change items[] = {
		{FIRST_NS + 1, AGENT_STATUS, CHANGES_WHOLE},
		{FIRST_NS + 2, AGENT_CURRENT_TASK_ID, CHANGES_WHOLE},
		{FIRST_NS + 3, AGENT_LABELS, 1},
		{FIRST_NS + 4, AGENT_LABELS, CHANGES_WHOLE},
		{FIRST_NS + 8, AGENT_GPU_NAME, 0},
		{FIRST_NS + 6, AGENT_GPU_NAME, 1},
		{FIRST_NS + 5, AGENT_GPU_NAME, CHANGES_WHOLE},
		{FIRST_NS + 7, AGENT_GPU_VRAM_TOTAL, 1},
		{FIRST_NS + 8, CHANGES_GPU_MODEL, 0},
	};
	const struct record record = {
		.agent = &agent,
		.first_ns = FIRST_NS,
		.changes = {items, sizeof(items) / sizeof(items[0]), 8},
	};
	static const struct {
		const char *path;
		int64_t since;
	} rows[] = {
		{"id=*", 0},
		{"status=idle", 1},
		{"status!=busy", 1},
		{"status!=", 1},
		{"label=a100", 0},
		{"label=eu*", 3},
		{"label=*", 0},
		{"label!=x", 4},
		{"label!=", 0},
		{"gpu=*4090", 8},
		{"gpu!=*H100", 8},
		{"vram_total>=24G", 0},
		{"vram_total>24G", 7},
		{"vram_total<80G", 0},
		{"vram_total!=1", 7},
		{"task=t1", 0},
		{"task!=t9", 2},
		{"tool=", 0},
		{"tool!=x", 0},
		{"status=idle/label=a100", 1},
		{"label=eu*/status=idle/gpu_capacity=4", 3},
		{"status=idle/sort=-vram_total", 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct question *question = parsed(rows[i].path);
		int64_t since_ns = question_since_ns(question, &record) - FIRST_NS;

		if (since_ns != rows[i].since)
			fail_msg("%s: %d", rows[i].path, (int)since_ns);
		question_unref(question);
	}
	(void)state;
}

/* Sets the models of the GPUs of an agent, at a time, and notes the changes. */
static void change_models(struct record *record, struct agent *agent, struct agent_gpu *gpus,
                          const char *const models[2], int64_t at_ns)
{
	const struct agent_gpu old_gpus[2] = {gpus[0], gpus[1]};
	struct agent before = *agent;
	struct changes changes;

	before.gpus = old_gpus;
	for (size_t i = 0; i < 2; i++)
		gpus[i].device_name = models[i];
	assert_int_equal(changes_build(&record->changes, &before, agent, FIRST_NS, at_ns, &changes),
	                 0);
	changes_done(&record->changes);
	record->changes = changes;
}

static int64_t since(const char *path, const struct record *record)
{
	struct question *question = parsed(path);
	int64_t since_ns = question_since_ns(question, record) - FIRST_NS;

	question_unref(question);
	return since_ns;
}

static void test_a_link_is_as_young_as_the_change_that_removed_a_model(void **state)
{
	struct agent_gpu gpus[2] = {{.device_name = "A"}, {.device_name = "B"}};
	struct agent agent = agents_blank("gpu-01");
	struct record record = {.agent = &agent, .first_ns = FIRST_NS};

	agent.gpus = gpus;
	agent.gpu_count = 2;
	assert_int_equal(since("gpu!=C", &record), 0);
	change_models(&record, &agent, gpus, (const char *const[]){"A", "A"}, FIRST_NS + 1);
	assert_int_equal(since("gpu!=B", &record), 1);
	assert_int_equal(since("gpu=A", &record), 0);
	change_models(&record, &agent, gpus, (const char *const[]){NULL, "A"}, FIRST_NS + 2);
	assert_int_equal(since("gpu!=B", &record), 2);
	assert_int_equal(since("gpu=A", &record), 0);
	change_models(&record, &agent, gpus, (const char *const[]){NULL, NULL}, FIRST_NS + 3);
	assert_int_equal(since("gpu=", &record), 3);
	assert_int_equal(since("gpu!=A", &record), 3);
	changes_done(&record.changes);
	(void)state;
}

static void test_readme_names_every_field_in_lines_that_fit_a_terminal(void **state)
{
	static const char *const names[] = {"label",          "gpu",
	                                    "task",           "vram_free",
	                                    "status",         "system_stats.pytorch_version",
	                                    "tasks_completed"};
	struct text text;
	char *fields;

	text_init(&text, 10000);
	question_readme(NULL, &text);
	text_bytes(&text, "", 1);
	assert_int_equal(text_error(&text), 0);
	fields = strstr(text.bytes, "\nFields:\n");
	assert_non_null(fields);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(strstr(fields, names[i]));
	for (char *line = strtok(text.bytes, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 80)
			fail_msg("too long: %s", line);
	text_done(&text);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_condition_names_a_file_or_a_list),
		cmocka_unit_test(test_any_of_several_values_matches_and_none_for_not_equal),
		cmocka_unit_test(test_equality_takes_a_list_of_patterns),
		cmocka_unit_test(test_the_empty_value_is_absence),
		cmocka_unit_test(test_ordering_operators_compare_integers),
		cmocka_unit_test(test_all_conditions_hold),
		cmocka_unit_test(test_what_is_no_condition),
		cmocka_unit_test(test_at_most_eight_conditions_and_an_order),
		cmocka_unit_test(test_every_value_of_an_agent_is_a_field),
		cmocka_unit_test(test_print_is_the_same_for_all_spellings),
		cmocka_unit_test(test_key_does_not_depend_on_the_order_of_conditions),
		cmocka_unit_test(test_integers_sort_by_value_before_texts_and_absent_values_last),
		cmocka_unit_test(test_the_largest_of_several_values_counts),
		cmocka_unit_test(test_a_link_is_as_old_as_the_value_that_makes_it),
		cmocka_unit_test(test_a_link_is_as_young_as_the_change_that_removed_a_model),
		cmocka_unit_test(test_readme_names_every_field_in_lines_that_fit_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
