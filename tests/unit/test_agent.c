/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/model/agent.h"

static const char *const labels[] = {"gpu", "a100"};
static const char *const other_labels[] = {"gpu", "h100"};
static const struct agent_gpu gpus[] = {
	{.device_name = "RTX", .vram_total = 8, .vram_free = 3, .vram_used = 5},
	{.device_name = NULL, .vram_total = AGENT_ABSENT},
};

static struct agent sample(void)
{
	return (struct agent){
		.refs = 1,
		.id = "a",
		.status = "idle",
		.gpu_capacity = 8,
		.labels = {labels, 2},
		.gpus = gpus,
		.gpu_count = 2,
		.json = "{}",
		.json_bytes = 2,
	};
}

static void test_fields_have_keys_and_offsets_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < AGENT_FIELDS; i++) {
		size_t struct_bytes = agent_fields[i].place == AGENT_PLACE_GPU
		                              ? sizeof(struct agent_gpu)
		                              : sizeof(struct agent);

		assert_true(agent_fields[i].offset < struct_bytes);
		for (size_t j = 0; j < i; j++) {
			bool same_place = agent_fields[i].place == agent_fields[j].place;

			if (same_place && agent_fields[i].key && agent_fields[j].key)
				assert_string_not_equal(agent_fields[i].key, agent_fields[j].key);
			if ((agent_fields[i].place == AGENT_PLACE_GPU) ==
			    (agent_fields[j].place == AGENT_PLACE_GPU))
				assert_int_not_equal(agent_fields[i].offset,
				                     agent_fields[j].offset);
		}
	}
}

static void test_value_is_found_by_field(void **state)
{
	const struct agent agent = sample();

	(void)state;
	assert_string_equal(*(const char *const *)agent_value(&agent, AGENT_ID, 0), "a");
	assert_int_equal(*(const int64_t *)agent_value(&agent, AGENT_GPU_CAPACITY, 0), 8);
	assert_int_equal(*(const int64_t *)agent_value(&agent, AGENT_GPU_VRAM_USED, 0), 5);
	assert_null(*(const char *const *)agent_value(&agent, AGENT_GPU_NAME, 1));
}

static void test_change_is_seen_in_its_field(void **state)
{
	const struct agent a = sample();
	struct agent b = sample();
	char status[] = "idle";

	(void)state;
	b.status = status;
	for (int i = 0; i < AGENT_FIELDS; i++)
		assert_true(agent_field_equal(&a, &b, (enum agent_field_id)i, 1));
	b.status = NULL;
	assert_false(agent_field_equal(&a, &b, AGENT_STATUS, 0));
	assert_false(agent_field_equal(&b, &a, AGENT_STATUS, 0));
	b.status = "busy";
	assert_false(agent_field_equal(&a, &b, AGENT_STATUS, 0));
	b.gpu_capacity = AGENT_ABSENT;
	assert_false(agent_field_equal(&a, &b, AGENT_GPU_CAPACITY, 0));
	b.labels = (struct agent_list){other_labels, 2};
	assert_false(agent_field_equal(&a, &b, AGENT_LABELS, 0));
	b.labels = (struct agent_list){labels, 1};
	assert_false(agent_field_equal(&a, &b, AGENT_LABELS, 0));
	b.json = "[]";
	assert_false(agent_field_equal(&a, &b, AGENT_JSON, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_have_keys_and_offsets_of_their_own),
		cmocka_unit_test(test_value_is_found_by_field),
		cmocka_unit_test(test_change_is_seen_in_its_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
