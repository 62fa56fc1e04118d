/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/changes.h"
#include "tests/unit/agents.h"

#define FIRST_NS  1000
#define MOST_GPUS 4

/* One agent at two times, and the changes noted. */
struct pair {
	struct agent before;
	struct agent after;
	struct agent_gpu gpus_before[MOST_GPUS];
	struct agent_gpu gpus_after[MOST_GPUS];
	struct changes changes;
};

static void pair_init(struct pair *pair, size_t gpus)
{
	memset(pair, 0, sizeof(*pair));
	pair->before = agents_blank("a");
	pair->after = agents_blank("a");
	for (size_t i = 0; i < MOST_GPUS; i++)
		pair->gpus_before[i] = pair->gpus_after[i] = (struct agent_gpu){
			.vram_total = AGENT_ABSENT,
			.vram_free = AGENT_ABSENT,
			.vram_used = AGENT_ABSENT,
		};
	pair->before.gpus = pair->gpus_before;
	pair->after.gpus = pair->gpus_after;
	pair->before.gpu_count = pair->after.gpu_count = gpus;
}

/* Replaces the changes by those from before to after. */
static void note(struct changes *changes, const struct agent *before, const struct agent *after,
                 int64_t now_ns)
{
	struct changes next;

	assert_int_equal(changes_build(changes, before, after, FIRST_NS, now_ns, &next), 0);
	changes_done(changes);
	*changes = next;
}

/* Notes the changes from before to after, and then makes the agents equal. */
static void step(struct pair *pair, int64_t now_ns)
{
	note(&pair->changes, &pair->before, &pair->after, now_ns);
	memcpy(pair->gpus_before, pair->gpus_after, sizeof(pair->gpus_before));
	pair->before = pair->after;
	pair->before.gpus = pair->gpus_before;
}

static int64_t since(const struct pair *pair, enum agent_field_id field, uint16_t index)
{
	return changes_since(&pair->changes, field, index, FIRST_NS);
}

static struct agent_list list_of(const char *const *items, size_t count)
{
	return (struct agent_list){.items = items, .count = count};
}

/* Changes a field of pair->after. */
static void alter(struct pair *pair, enum agent_field_id field, size_t gpu)
{
	static const char *const tasks[] = {"task-1"};
	char *base = agent_fields[field].place == AGENT_PLACE_GPU ? (char *)&pair->gpus_after[gpu]
	                                                          : (char *)&pair->after;
	void *value = base + agent_fields[field].offset;

	switch ((enum agent_type)agent_fields[field].type) {
	case AGENT_TYPE_STRING:
		*(const char **)value = "another";
		break;
	case AGENT_TYPE_NUMBER:
		*(int64_t *)value = 42;
		break;
	case AGENT_TYPE_LIST:
		*(struct agent_list *)value = list_of(tasks, 1);
		break;
	case AGENT_TYPE_JSON:
		pair->after.json = "{\"a\":1}\n";
		pair->after.json_bytes = 8;
		break;
	}
}

static void test_change_of_a_field_changes_only_its_time(void **state)
{
	for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++) {
		bool of_gpu = agent_fields[field].place == AGENT_PLACE_GPU;
		/* A task and a model of GPU are noted for their links as well. */
		bool linked = field == AGENT_RUNNING_TASKS || field == AGENT_CURRENT_TASK_ID ||
		              field == AGENT_GPU_NAME;
		int noted = linked ? 2 : 1;
		struct pair pair;

		if (field == AGENT_LABELS)
			continue;
		pair_init(&pair, 2);
		alter(&pair, field, 1);
		step(&pair, 2000);
		for (enum agent_field_id other = 0; other < AGENT_FIELDS; other++) {
			for (uint16_t gpu = 0; gpu < 2; gpu++) {
				bool changed = other == field && (!of_gpu || gpu == 1);
				uint16_t index = agent_fields[other].place == AGENT_PLACE_GPU
				                         ? gpu
				                         : CHANGES_WHOLE;

				assert_int_equal(since(&pair, other, index),
				                 changed ? 2000 : FIRST_NS);
			}
		}
		assert_int_equal(since(&pair, AGENT_GPU_NAME, CHANGES_WHOLE), FIRST_NS);
		assert_int_equal(pair.changes.count, noted);
		/* without a further change the time stays */
		step(&pair, 3000);
		assert_int_equal(since(&pair, field, of_gpu ? 1 : CHANGES_WHOLE), 2000);
		assert_int_equal(pair.changes.count, noted);
		changes_done(&pair.changes);
		assert_int_equal(pair.changes.count, 0);
	}
	(void)state;
}

static void test_agent_without_changes_takes_no_memory(void **state)
{
	struct pair pair;

	pair_init(&pair, 2);
	for (int64_t now_ns = 2000; now_ns < 3000; now_ns++)
		step(&pair, now_ns);
	assert_null(pair.changes.items);
	assert_int_equal(pair.changes.count, 0);
	(void)state;
}

static void test_value_that_is_restored_has_a_new_time(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	pair.before.status = "online";
	pair.after.status = NULL;
	step(&pair, 2000);
	assert_int_equal(since(&pair, AGENT_STATUS, CHANGES_WHOLE), 2000);
	pair.after.status = "";
	step(&pair, 3000);
	assert_int_equal(since(&pair, AGENT_STATUS, CHANGES_WHOLE), 3000);
	pair.after.status = "online";
	step(&pair, 4000);
	assert_int_equal(since(&pair, AGENT_STATUS, CHANGES_WHOLE), 4000);
	pair.after.gpu_free = 0;
	step(&pair, 5000);
	assert_int_equal(since(&pair, AGENT_GPU_FREE, CHANGES_WHOLE), 5000);
	assert_int_equal(since(&pair, AGENT_STATUS, CHANGES_WHOLE), 4000);
	changes_done(&pair.changes);
	(void)state;
}

static void test_label_keeps_its_time_when_it_moves(void **state)
{
	static const char *const abc[] = {"a", "b", "c"};
	static const char *const xab[] = {"x", "a", "b"};
	static const char *const bax[] = {"b", "a", "x"};
	static const char *const baxc[] = {"b", "a", "x", "c"};
	struct pair pair;

	pair_init(&pair, 0);
	pair.before.labels = pair.after.labels = list_of(abc, 3);
	step(&pair, 2000);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(since(&pair, AGENT_LABELS, i), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), FIRST_NS);

	pair.after.labels = list_of(xab, 3); /* c is removed, x is added, all move */
	step(&pair, 3000);
	assert_int_equal(since(&pair, AGENT_LABELS, 0), 3000);
	assert_int_equal(since(&pair, AGENT_LABELS, 1), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_LABELS, 2), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), 3000);

	pair.after.labels = list_of(bax, 3); /* another order, the same set */
	step(&pair, 4000);
	assert_int_equal(since(&pair, AGENT_LABELS, 0), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_LABELS, 1), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_LABELS, 2), 3000);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), 3000);

	pair.after.labels = list_of(baxc, 4); /* c is added again, with a new time */
	step(&pair, 5000);
	assert_int_equal(since(&pair, AGENT_LABELS, 2), 3000);
	assert_int_equal(since(&pair, AGENT_LABELS, 3), 5000);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), 5000);

	pair.after.labels = list_of(baxc, 2); /* c and x are removed */
	step(&pair, 6000);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), 6000);
	assert_int_equal(pair.changes.count, 1);

	pair.after.labels = list_of(NULL, 0);
	step(&pair, 7000);
	assert_int_equal(since(&pair, AGENT_LABELS, CHANGES_WHOLE), 7000);
	changes_done(&pair.changes);
	(void)state;
}

static void test_added_and_removed_gpus_change_the_set(void **state)
{
	struct pair pair;

	pair_init(&pair, 1);
	pair.gpus_after[0].vram_free = 5;
	step(&pair, 2000);
	assert_int_equal(since(&pair, AGENT_GPU_VRAM_FREE, 0), 2000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, CHANGES_WHOLE), FIRST_NS);

	pair.after.gpu_count = 3;
	step(&pair, 3000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, CHANGES_WHOLE), 3000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, 0), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_GPU_VRAM_FREE, 0), 2000);
	for (uint16_t gpu = 1; gpu < 3; gpu++)
		for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++)
			if (agent_fields[field].place == AGENT_PLACE_GPU)
				assert_int_equal(since(&pair, field, gpu), 3000);

	pair.after.gpu_count = 0;
	step(&pair, 4000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, CHANGES_WHOLE), 4000);
	assert_int_equal(pair.changes.count, 1); /* removed GPUs have no changes */

	pair.after.gpu_count = 1;
	step(&pair, 5000);
	assert_int_equal(since(&pair, AGENT_GPU_VRAM_FREE, 0), 5000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, CHANGES_WHOLE), 5000);
	changes_done(&pair.changes);
	(void)state;
}

/* An agent with the most labels and GPUs, all of which change. */
static void test_change_of_all_labels_and_gpus_is_noted(void **state)
{
	static const char *one[AGENT_MAX_LABELS], *other[AGENT_MAX_LABELS];
	static char text[2 * AGENT_MAX_LABELS][8];
	static struct agent_gpu gpus[AGENT_MAX_GPUS], gpus_after[AGENT_MAX_GPUS];
	struct agent before = agents_blank("a"), after = agents_blank("a");
	struct changes changes = {0};

	for (size_t i = 0; i < AGENT_MAX_LABELS; i++) {
		text[i][0] = 'x';
		text[AGENT_MAX_LABELS + i][0] = 'y';
		for (size_t of = i; of < 2 * AGENT_MAX_LABELS; of += AGENT_MAX_LABELS) {
			text[of][1] = (char)('a' + i / 16);
			text[of][2] = (char)('a' + i % 16);
		}
		one[i] = text[i];
		other[i] = text[AGENT_MAX_LABELS + i];
	}
	for (size_t i = 0; i < AGENT_MAX_GPUS; i++)
		gpus_after[i] = (struct agent_gpu){"name", "type", 1, 2, 3};
	before.labels = list_of(one, AGENT_MAX_LABELS);
	after.labels = list_of(other, AGENT_MAX_LABELS);
	before.gpus = gpus;
	after.gpus = gpus_after;
	before.gpu_count = after.gpu_count = AGENT_MAX_GPUS;
	note(&changes, &before, &after, 2000);
	assert_int_equal(changes.count, AGENT_MAX_LABELS + 1 + 6 * AGENT_MAX_GPUS);
	assert_int_equal(changes_since(&changes, AGENT_LABELS, AGENT_MAX_LABELS - 1, FIRST_NS),
	                 2000);
	assert_int_equal(changes_since(&changes, AGENT_GPU_VRAM_USED, AGENT_MAX_GPUS - 1, FIRST_NS),
	                 2000);
	changes_done(&changes);
	(void)state;
}

/* Many labels, all of which move; some are added and some removed. */
static void test_each_of_many_labels_keeps_its_time_when_it_moves(void **state)
{
	static char text[2 * AGENT_MAX_LABELS][8];
	const char *before[AGENT_MAX_LABELS], *after[AGENT_MAX_LABELS];
	struct pair pair;
	const size_t half = AGENT_MAX_LABELS / 2;

	pair_init(&pair, 0);
	for (size_t i = 0; i < 2 * AGENT_MAX_LABELS; i++)
		snprintf(text[i], sizeof(text[i]), "%zu", i * 7919 % 1000);
	for (size_t i = 0; i < AGENT_MAX_LABELS; i++) {
		before[i] = text[i];
		after[i] = text[half + (i * 101 + 1) % AGENT_MAX_LABELS];
	}
	pair.before.labels = list_of(before, AGENT_MAX_LABELS);
	pair.after.labels = list_of(after, AGENT_MAX_LABELS);
	step(&pair, 2000);
	for (size_t i = 0; i < AGENT_MAX_LABELS; i++)
		assert_int_equal(since(&pair, AGENT_LABELS, (uint16_t)i),
		                 (i * 101 + 1) % AGENT_MAX_LABELS < half ? FIRST_NS : 2000);
	changes_done(&pair.changes);
	(void)state;
}

static void test_gpu_model_keeps_its_time_when_it_moves_to_another_gpu(void **state)
{
	struct pair pair;

	pair_init(&pair, 2);
	pair.gpus_before[0].device_name = pair.gpus_after[0].device_name = "G";
	pair.gpus_before[1].device_name = pair.gpus_after[1].device_name = "G";
	pair.gpus_after[0].device_name = "H"; /* one GPU is replaced; G remains on the other */
	step(&pair, 2000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 0), 2000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 1), FIRST_NS);
	pair.gpus_after[0].device_name = "G"; /* the GPUs change places */
	pair.gpus_after[1].device_name = "H";
	step(&pair, 3000);
	assert_int_equal(since(&pair, AGENT_GPU_NAME, 0), 3000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 0), FIRST_NS);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 1), 2000);
	pair.gpus_after[1].device_name = NULL;
	pair.after.gpu_count = 3;
	pair.gpus_after[2].device_name = "H"; /* one more GPU */
	step(&pair, 4000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 2), 2000);
	pair.gpus_after[1].device_name = "H"; /* all GPUs of a model have one time */
	step(&pair, 5000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 1), 2000);
	assert_int_equal(since(&pair, CHANGES_GPU_MODEL, 2), 2000);
	changes_done(&pair.changes);
	(void)state;
}

static void test_task_keeps_its_time_when_it_moves(void **state)
{
	static const char *const ab[] = {"a", "b"};
	static const char *const bca[] = {"b", "c", "a", "b"};
	struct pair pair;

	pair_init(&pair, 0);
	pair.before.running_tasks = pair.after.running_tasks = list_of(ab, 2);
	pair.after.running_tasks = list_of(bca, 4);
	step(&pair, 2000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, CHANGES_WHOLE), 2000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 0), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 1), 2000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 2), FIRST_NS);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 3), FIRST_NS);
	pair.after.running_tasks = list_of(NULL, 0);
	pair.after.current_task_id = "c"; /* listed in another field, still running */
	step(&pair, 3000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 0), 2000);
	assert_int_equal(since(&pair, AGENT_CURRENT_TASK_ID, CHANGES_WHOLE), 3000);
	pair.after.running_tasks = list_of(ab, 2);
	step(&pair, 4000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 1), 4000);
	assert_int_equal(since(&pair, AGENT_RUNNING_TASKS, 2), 2000);
	changes_done(&pair.changes);
	(void)state;
}

/* An agent with the most of everything, all of it new, then in another order. */
static void test_memory_of_changes_is_bounded(void **state)
{
	static char texts[AGENT_MAX_TASKS][8];
	static const char *tasks[2][AGENT_MAX_TASKS];
	static struct agent_gpu gpus[2][AGENT_MAX_GPUS];
	struct agent agents[2] = {agents_blank("a"), agents_blank("a")}, none = agents_blank("a");
	struct changes changes = {0};

	for (size_t i = 0; i < AGENT_MAX_TASKS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%zu", i);
		tasks[0][i] = tasks[1][AGENT_MAX_TASKS - 1 - i] = texts[i];
	}
	for (size_t i = 0; i < 2; i++) {
		for (size_t gpu = 0; gpu < AGENT_MAX_GPUS; gpu++)
			gpus[i][gpu] = (struct agent_gpu){tasks[i][gpu], "t", (int64_t)gpu, 1, 1};
		agents[i].running_tasks = list_of(tasks[i], AGENT_MAX_TASKS);
		agents[i].labels = list_of(tasks[i], AGENT_MAX_LABELS);
		agents[i].current_task_id = "current";
		agents[i].gpus = gpus[i];
		agents[i].gpu_count = AGENT_MAX_GPUS;
	}
	note(&changes, &none, &agents[0], 2000);
	note(&changes, &agents[0], &agents[1], 3000);
	assert_in_range(changes.count, AGENT_MAX_TASKS, 8192);
	assert_in_range(changes.capacity, changes.count, 8192);
	for (uint16_t i = 0; i < AGENT_MAX_TASKS; i++)
		assert_int_equal(changes_since(&changes, AGENT_RUNNING_TASKS, i, FIRST_NS), 2000);
	changes_done(&changes);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change_of_a_field_changes_only_its_time),
		cmocka_unit_test(test_agent_without_changes_takes_no_memory),
		cmocka_unit_test(test_value_that_is_restored_has_a_new_time),
		cmocka_unit_test(test_label_keeps_its_time_when_it_moves),
		cmocka_unit_test(test_each_of_many_labels_keeps_its_time_when_it_moves),
		cmocka_unit_test(test_gpu_model_keeps_its_time_when_it_moves_to_another_gpu),
		cmocka_unit_test(test_task_keeps_its_time_when_it_moves),
		cmocka_unit_test(test_memory_of_changes_is_bounded),
		cmocka_unit_test(test_added_and_removed_gpus_change_the_set),
		cmocka_unit_test(test_change_of_all_labels_and_gpus_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
