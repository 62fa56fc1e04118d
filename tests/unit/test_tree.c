/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define FIRST_NS INT64_C(1700000000000000000)
#define SECOND   INT64_C(1000000000)

static const char *const labels[] = {"prod", "a/b", "\x1b[31m", ""};
static const char *const tasks[] = {"task-1", "task\n2", "task-3"};
static const struct agent_gpu gpus[] = {
	{"NVIDIA H100 80GB HBM3", "cuda", 85899345920, 64424509440, 21474836480},
	{NULL, "", 9007199254740992, 0, 9007199254740992},
	{"\xc2\x9b"
         "31m",
         NULL, AGENT_ABSENT, AGENT_ABSENT, AGENT_ABSENT},
};

static struct agent full_agent(void)
{
	struct agent agent = agents_blank("gpu-01");

	agent.status = "online";
	agent.version = "1.2.3";
	agent.last_heartbeat = "2026-01-31T12:00:00.25Z";
	agent.connected_at = "2026-01-30T12:00:00Z";
	agent.platform_arch = "linux/amd64";
	agent.tool = "comfyui";
	agent.tool_version = "0.3.10";
	agent.comfyui_version = "0.3.11";
	agent.current_task_id = "task-1";
	agent.sync_phase = "models\tlora\r\n";
	agent.sync_detail = "a\\b \xe2\x80\xaegnp.exe \xff";
	agent.gpu_capacity = 3;
	agent.gpu_free = 0;
	agent.running_count = 7;
	agent.tasks_completed = 9007199254740992;
	agent.sync_percent = -1;
	agent.running_tasks = (struct agent_list){tasks, 3};
	agent.labels = (struct agent_list){labels, 4};
	agent.system_stats.comfyui_version = "0.3.12";
	agent.system_stats.pytorch_version = "2.5.1+cu124";
	agent.system_stats.os_type = "posix";
	agent.gpus = gpus;
	agent.gpu_count = 3;
	return agent;
}

/* The row of this name in a directory. */
static const struct tree_row *row_of(enum tree_directory parent, const char *name)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].parent == parent && tree_rows[i].name &&
		    strcmp(tree_rows[i].name, name) == 0)
			return &tree_rows[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static const struct tree_row *label_row(void)
{
	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].each == TREE_EACH_LABEL)
			return &tree_rows[i];
	fail_msg("there are no labels");
	return NULL;
}

static void assert_text(const struct tree_row *row, const struct agent *agent, size_t index,
                        const char *expected)
{
	struct text text;

	text_init(&text, TREE_MAX_TEXT);
	tree_field_text(row, agent, index, &text);
	assert_int_equal(text_error(&text), 0);
	assert_int_equal(text.length, strlen(expected));
	if (text.length > 0)
		assert_memory_equal(text.bytes, expected, text.length);
	text_done(&text);
}

/* The table */

static void test_directories_are_at_their_enum_position(void **state)
{
	for (size_t i = 0; i < tree_row_count; i++)
		assert_int_equal(tree_directory_of(&tree_rows[i]),
		                 i < TREE_DIRECTORIES ? i : TREE_DIRECTORIES);
	assert_int_equal(tree_rows[TREE_ROOT].parent, TREE_DIRECTORIES);
	assert_string_equal(tree_rows[TREE_AGENTS].name, "agents");
	assert_int_equal(tree_rows[TREE_AGENT].each, TREE_EACH_AGENT);
	assert_int_equal(tree_rows[TREE_GPU].each, TREE_EACH_GPU);
	(void)state;
}

static void test_each_row_has_a_parent_and_each_directory_has_entries(void **state)
{
	unsigned int children[TREE_DIRECTORIES] = {0};

	for (size_t i = 1; i < tree_row_count; i++) {
		unsigned int up = 0;

		assert_true(tree_rows[i].parent < TREE_DIRECTORIES);
		children[tree_rows[i].parent]++;
		for (size_t at = i; at != TREE_ROOT; at = tree_rows[at].parent)
			assert_true(++up < 10); /* the parents lead to the root */
	}
	for (size_t i = 0; i < TREE_DIRECTORIES; i++)
		assert_true(children[i] > 0);
	(void)state;
}

static void test_names_in_a_directory_differ(void **state)
{
	for (size_t i = 0; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];

		if (!row->name) {
			/* a row with several entries is the only row of its directory */
			for (size_t j = 0; j < tree_row_count; j++)
				assert_true(j == i || tree_rows[j].parent != row->parent);
			continue;
		}
		assert_int_equal(row->each, TREE_ONCE);
		for (size_t j = 0; j < i; j++)
			if (tree_rows[j].parent == row->parent)
				assert_string_not_equal(tree_rows[j].name, row->name);
		assert_null(strchr(row->name, '/'));
	}
	(void)state;
}

static void test_each_file_has_one_source_of_text(void **state)
{
	for (size_t i = TREE_DIRECTORIES; i < tree_row_count; i++)
		assert_true(tree_rows[i].text || tree_rows[i].report ||
		            tree_rows[i].field < AGENT_FIELDS);
	for (size_t i = 0; i < TREE_DIRECTORIES; i++)
		assert_null(tree_rows[i].text);
	(void)state;
}

static void test_each_field_has_a_file(void **state)
{
	for (unsigned int field = 0; field < AGENT_FIELDS; field++) {
		unsigned int files = 0;

		for (size_t i = TREE_DIRECTORIES; i < tree_row_count; i++) {
			if (tree_rows[i].view || tree_rows[i].field != field)
				continue;
			files++;
			/* the fields of GPUs are in a GPU's directory, and no others */
			assert_int_equal(tree_rows[i].parent == TREE_GPU,
			                 agent_fields[field].place == AGENT_PLACE_GPU);
		}
		assert_int_equal(files, 1);
	}
	(void)state;
}

/* Texts */

static void test_text_of_each_file(void **state)
{
	const struct {
		enum tree_directory parent;
		const char *name;
		const char *text;
	} files[] = {
		{TREE_AGENT, "id", "gpu-01\n"},
		{TREE_AGENT, "status", "online\n"},
		{TREE_AGENT, "version", "1.2.3\n"},
		{TREE_AGENT, "last_heartbeat", "2026-01-31T12:00:00.25Z\n"},
		{TREE_AGENT, "connected_at", "2026-01-30T12:00:00Z\n"},
		{TREE_AGENT, "platform_arch", "linux/amd64\n"},
		{TREE_AGENT, "tool", "comfyui\n"},
		{TREE_AGENT, "tool_version", "0.3.10\n"},
		{TREE_AGENT, "comfyui_version", "0.3.11\n"},
		{TREE_AGENT, "gpu_capacity", "3\n"},
		{TREE_AGENT, "gpu_free", "0\n"},
		{TREE_AGENT, "running_count", "7\n"},
		{TREE_AGENT, "running_tasks", "task-1\ntask\\x0a2\ntask-3\n"},
		{TREE_AGENT, "current_task_id", "task-1\n"},
		{TREE_AGENT, "tasks_completed", "9007199254740992\n"},
		{TREE_AGENT, "sync_phase", "models\\x09lora\\x0d\\x0a\n"},
		{TREE_AGENT, "sync_detail", "a\\b \\xe2\\x80\\xaegnp.exe \\xff\n"},
		{TREE_AGENT, "sync_percent", "-1\n"},
		{TREE_SYSTEM_STATS, "comfyui_version", "0.3.12\n"},
		{TREE_SYSTEM_STATS, "pytorch_version", "2.5.1+cu124\n"},
		{TREE_SYSTEM_STATS, "os_type", "posix\n"},
	};
	const struct agent agent = full_agent();
	size_t of_agents = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_text(row_of(files[i].parent, files[i].name), &agent, 0, files[i].text);
	for (size_t i = TREE_DIRECTORIES; i < tree_row_count; i++)
		of_agents += tree_rows[i].parent == TREE_AGENT ||
		             tree_rows[i].parent == TREE_SYSTEM_STATS;
	assert_int_equal(of_agents, sizeof(files) / sizeof(files[0]) + 1); /* agent.json */
	(void)state;
}

static void test_texts_of_gpus_and_labels(void **state)
{
	const struct {
		const char *name;
		const char *texts[3];
	} files[] = {
		{"name", {"NVIDIA H100 80GB HBM3\n", "", "\\xc2\\x9b31m\n"}},
		{"type", {"cuda\n", "", ""}},
		{"vram_total", {"85899345920\n", "9007199254740992\n", ""}},
		{"vram_free", {"64424509440\n", "0\n", ""}},
		{"vram_used", {"21474836480\n", "9007199254740992\n", ""}},
	};
	const char *const label_texts[] = {"prod\n", "a/b\n", "\\x1b[31m\n", ""};
	const struct agent agent = full_agent();

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		for (size_t gpu = 0; gpu < 3; gpu++)
			assert_text(row_of(TREE_GPU, files[i].name), &agent, gpu,
			            files[i].texts[gpu]);
	for (size_t label = 0; label < 4; label++)
		assert_text(label_row(), &agent, label, label_texts[label]);
	(void)state;
}

static void test_absent_value_is_an_empty_file(void **state)
{
	const struct agent_gpu nothing = {NULL, NULL, AGENT_ABSENT, AGENT_ABSENT, AGENT_ABSENT};
	struct agent agent = agents_blank("gpu-01");

	agent.gpus = &nothing;
	agent.gpu_count = 1;
	for (size_t i = TREE_DIRECTORIES; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];

		if (!tree_is_field_file(row) || row->each == TREE_EACH_LABEL)
			continue;
		assert_text(row, &agent, 0, row->field == AGENT_ID ? "gpu-01\n" : "");
	}
	(void)state;
}

/* Names */

static void test_number_of_entries_of_a_row(void **state)
{
	const struct agent agent = full_agent(), blank = agents_blank("a");

	assert_int_equal(tree_entry_count(row_of(TREE_AGENT, "status"), &agent), 1);
	assert_int_equal(tree_entry_count(&tree_rows[TREE_AGENTS], NULL), 1);
	assert_int_equal(tree_entry_count(&tree_rows[TREE_SYSTEM_STATS], &blank), 1);
	assert_int_equal(tree_entry_count(&tree_rows[TREE_GPU], &agent), 3);
	assert_int_equal(tree_entry_count(label_row(), &agent), 4);
	assert_int_equal(tree_entry_count(&tree_rows[TREE_GPU], &blank), 0);
	assert_int_equal(tree_entry_count(label_row(), &blank), 0);
	(void)state;
}

static void test_names_of_entries(void **state)
{
	const char *const label_names[] = {"prod", "a%2Fb", "%1B[31m", "%"};
	const struct agent agent = full_agent();
	char name[NAME_BYTES];

	for (size_t i = 0; i < 4; i++) {
		tree_entry_name(label_row(), &agent, i, name);
		assert_string_equal(name, label_names[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		tree_entry_name(&tree_rows[TREE_GPU], &agent, i, name);
		assert_int_equal(strtoul(name, NULL, 10), i);
	}
	tree_entry_name(&tree_rows[TREE_GPU], &agent, AGENT_MAX_GPUS - 1, name);
	assert_string_equal(name, "255");
	tree_entry_name(row_of(TREE_AGENT, "agent.json"), &agent, 0, name);
	assert_string_equal(name, "agent.json");
	tree_entry_name(&tree_rows[TREE_STATUS], NULL, 0, name);
	assert_string_equal(name, ".fleetfs");
	(void)state;
}

/* Times */

static void test_a_file_is_as_old_as_its_value(void **state)
{
	struct agent agent = full_agent();
	struct change items[] = {
		{5, AGENT_STATUS, CHANGES_WHOLE},
		{12, AGENT_RUNNING_TASKS, CHANGES_WHOLE},
		{6, AGENT_LABELS, 1},
		{7, AGENT_LABELS, CHANGES_WHOLE},
		{13, AGENT_STATS_OS_TYPE, CHANGES_WHOLE},
		{9, AGENT_GPU_NAME, 1},
		{10, AGENT_GPU_NAME, CHANGES_WHOLE},
		{8, AGENT_GPU_VRAM_FREE, 2},
		{11, AGENT_JSON, CHANGES_WHOLE},
	};
	struct record record = {
		.agent = &agent,
		.first_ns = FIRST_NS,
		.changes = {items, sizeof(items) / sizeof(items[0]), 9},
	};
	const struct {
		const struct tree_row *row;
		size_t index;
		int64_t mtime_ns;
		bool is_directory;
	} rows[] = {
		{row_of(TREE_AGENT, "status"), 0, 5, false},
		{row_of(TREE_AGENT, "id"), 0, FIRST_NS, false},
		{row_of(TREE_AGENT, "last_heartbeat"), 0, FIRST_NS, false},
		{row_of(TREE_AGENT, "running_tasks"), 0, 12, false},
		{row_of(TREE_AGENT, "agent.json"), 0, 11, false},
		{row_of(TREE_SYSTEM_STATS, "os_type"), 0, 13, false},
		{row_of(TREE_SYSTEM_STATS, "pytorch_version"), 0, FIRST_NS, false},
		{label_row(), 0, FIRST_NS, false},
		{label_row(), 1, 6, false},
		{row_of(TREE_GPU, "vram_free"), 2, 8, false},
		{row_of(TREE_GPU, "vram_free"), 1, FIRST_NS, false},
		{row_of(TREE_GPU, "name"), 1, 9, false},
		{row_of(TREE_GPU, "name"), 0, FIRST_NS, false},
		{&tree_rows[TREE_LABELS], 0, 7, true},
		{&tree_rows[TREE_GPUS], 0, 10, true},
		{&tree_rows[TREE_GPU], 1, FIRST_NS, true},
		{&tree_rows[TREE_SYSTEM_STATS], 0, FIRST_NS, true},
		{&tree_rows[TREE_AGENT], 0, INT64_C(1769860800250000000), true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		record.renewals = 0;
		assert_int_equal(tree_mtime_ns(rows[i].row, &record, rows[i].index),
		                 rows[i].mtime_ns);
		/* only the time of a directory changes when the agent is read again */
		record.renewals = 17;
		assert_int_equal(tree_mtime_ns(rows[i].row, &record, rows[i].index),
		                 rows[i].mtime_ns + (rows[i].is_directory ? 17 : 0));
		record.renewals = UINT32_MAX;
		assert_in_range(tree_mtime_ns(rows[i].row, &record, rows[i].index) -
		                        rows[i].mtime_ns,
		                0, 999);
	}
	(void)state;
}

static void test_an_agent_without_a_heartbeat_is_as_old_as_we_know_it(void **state)
{
	const char *const heartbeats[] = {NULL, "", "soon", "2026-02-30T12:00:00Z",
	                                  "1969-12-31T23:59:59Z"};
	struct agent agent = full_agent();
	struct record record = {.agent = &agent, .first_ns = FIRST_NS, .renewals = 3};

	for (size_t i = 0; i < sizeof(heartbeats) / sizeof(heartbeats[0]); i++) {
		agent.last_heartbeat = heartbeats[i];
		assert_int_equal(tree_mtime_ns(&tree_rows[TREE_AGENT], &record, 0), FIRST_NS + 3);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directories_are_at_their_enum_position),
		cmocka_unit_test(test_each_row_has_a_parent_and_each_directory_has_entries),
		cmocka_unit_test(test_names_in_a_directory_differ),
		cmocka_unit_test(test_each_file_has_one_source_of_text),
		cmocka_unit_test(test_each_field_has_a_file),
		cmocka_unit_test(test_text_of_each_file),
		cmocka_unit_test(test_texts_of_gpus_and_labels),
		cmocka_unit_test(test_absent_value_is_an_empty_file),
		cmocka_unit_test(test_number_of_entries_of_a_row),
		cmocka_unit_test(test_names_of_entries),
		cmocka_unit_test(test_a_file_is_as_old_as_its_value),
		cmocka_unit_test(test_an_agent_without_a_heartbeat_is_as_old_as_we_know_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
