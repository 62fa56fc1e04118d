/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"
#include "tests/unit/decoding.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Decodes a page of one agent with the id "x" and these members. */
static struct page *decode_members(const char *members)
{
	char body[8192];

	snprintf(body, sizeof(body), "{\"agent_list\":[{\"agent_id\":\"x\"%s%s}]}",
	         *members ? "," : "", members);
	return decoding_good(body);
}

/* Asserts that the agent's JSON is this text and a newline. */
static void assert_json(const struct agent *agent, const char *json)
{
	size_t bytes = strlen(json);

	assert_int_equal(agent->json_bytes, bytes + 1);
	assert_memory_equal(agent->json, json, bytes);
	assert_int_equal(agent->json[bytes], '\n');
}

static void test_example_of_the_api_is_decoded(void **state)
{
	struct page *page = decoding_good(decoding_example);
	const struct agent *agent;

	(void)state;
	assert_int_equal(page->total_count, 42);
	assert_int_equal(page->per_page, 20);
	assert_int_equal(page->dropped, 0);
	assert_int_equal(page->agent_count, 1);
	agent = page->agents[0];
	assert_int_equal(agent->refs, 1);
	assert_string_equal(agent->id, "gpu-node-01");
	assert_string_equal(agent->status, "idle");
	assert_string_equal(agent->version, "0.1.3");
	assert_string_equal(agent->last_heartbeat, "2025-02-10T14:30:00Z");
	assert_string_equal(agent->connected_at, "2025-02-10T14:00:00Z");
	assert_string_equal(agent->platform_arch, "linux/amd64");
	assert_string_equal(agent->tool, "comfyui");
	assert_string_equal(agent->tool_version, "0.3.13");
	assert_string_equal(agent->comfyui_version, "0.3.13");
	assert_string_equal(agent->current_task_id, "019abc12-9012-7890-abcd-ef1234567896");
	assert_string_equal(agent->sync_phase, "downloading");
	assert_string_equal(agent->sync_detail, "Downloading model flux1-dev-fp8 (2.1 GB)");
	assert_int_equal(agent->gpu_capacity, 8);
	assert_int_equal(agent->running_count, 3);
	assert_int_equal(agent->gpu_free, 5);
	assert_int_equal(agent->tasks_completed, 42);
	assert_int_equal(agent->sync_percent, 45);
	assert_int_equal(agent->labels.count, 3);
	assert_string_equal(agent->labels.items[0], "gpu");
	assert_string_equal(agent->labels.items[2], "comfyui");
	assert_int_equal(agent->running_tasks.count, 2);
	assert_string_equal(agent->running_tasks.items[1], "019abc12-9012-7890-abcd-ef1234567897");
	assert_string_equal(agent->system_stats.comfyui_version, "0.3.10");
	assert_string_equal(agent->system_stats.pytorch_version, "2.5.1+cu124");
	assert_string_equal(agent->system_stats.os_type, "posix");
	assert_int_equal(agent->gpu_count, 1);
	assert_string_equal(agent->gpus[0].device_name, "NVIDIA GeForce RTX 4090");
	assert_string_equal(agent->gpus[0].device_type, "cuda");
	assert_int_equal(agent->gpus[0].vram_total, 25769803776);
	assert_int_equal(agent->gpus[0].vram_free, 22548578304);
	assert_int_equal(agent->gpus[0].vram_used, 3221225472);
	assert_ptr_equal(memchr(agent->json, '\n', agent->json_bytes),
	                 agent->json + agent->json_bytes - 1);
	assert_memory_equal(agent->json, "{\"agent_id\":\"gpu-node-01\",\"agent_status\":\"idle\"",
	                    46);
	page_free(page);
}

/* Wherever the body ends: in an escape, a number, a literal, a character. */
static void test_beginning_of_a_page_is_known_as_one(void **state)
{
	static const char body[] =
		"{\"agent_list\": [{\"agent_id\": \"a\\u200e\\n\\ud83d\\ude00\\\\\xc3\xa9\", "
		"\"n\": [-1.5e+10, true, null]}, {}], \"page_meta\": {\"total_count\": 2}}";
	static const char bad[] = "{\"agent_list\": [{\"agent_id\": \"\\u20x";

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(body) - 1; bytes++)
		if (!decode_is_truncated_page(body, bytes, 2))
			fail_msg("not a page: %.*s", (int)bytes, body);
	assert_true(decode_is_truncated_page(body, sizeof(body) - 1, 2));
	assert_false(decode_is_truncated_page(body, sizeof(body) - 1, 1));
	assert_false(decode_is_truncated_page(bad, sizeof(bad) - 1, 2));
}

static void test_a_body_breaks_off_if_only_its_end_is_missing(void **state)
{
	static const struct {
		const char *body;
		bool breaks_off;
	} rows[] = {
		{"", true},
		{" ", true},
		{"{\"agent_list\": [{\"agent_id\": \"a", true},
		{"{\"agent_list\": [], \"more\": tru", true},
		{"{\"agent_list\": []}", false},
		{"{\"other\": 1} ", false},
		{"{\"agent_list\": [], \"more\": tx", false},
		{"<html>", false},
		{"{\"agent_list\": []} {", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (decode_breaks_off(rows[i].body, strlen(rows[i].body)) != rows[i].breaks_off)
			fail_msg("%s", rows[i].body);
	assert_true(decode_breaks_off(NULL, 0));
}

static void test_truncated_body_is_malformed(void **state)
{
	size_t whole = strlen(decoding_example) - 1; /* without the newline at its end */

	(void)state;
	for (size_t bytes = 0; bytes < whole; bytes++) {
		struct failure failure;
		struct page *page;

		assert_int_equal(decoding_any(decoding_example, bytes, &page, &failure),
		                 -EREMOTEIO);
		assert_int_equal(failure.cause, FAILURE_MALFORMED);
	}
}

/* JSON values of every type except strings. */
static const char *const values[] = {"null", "true", "false",        "7",
                                     "1.5",  "[]",   "[1,\"a\",{}]", "{\"a\":1}"};

static void assert_absent(const struct agent *agent, enum agent_field_id id)
{
	const void *value = agent_value(agent, id, 0);

	switch ((enum agent_type)agent_fields[id].type) {
	case AGENT_TYPE_STRING:
		assert_null(*(const char *const *)value);
		break;
	case AGENT_TYPE_NUMBER:
		assert_true(*(const int64_t *)value == AGENT_ABSENT);
		break;
	case AGENT_TYPE_LIST:
		assert_int_equal(((const struct agent_list *)value)->count, 0);
		break;
	case AGENT_TYPE_JSON:
		break;
	}
}

/* Decodes two agents. A field of the first one is `value`, or missing if that is NULL; its other
 * fields are good. */
static struct page *decode_with(enum agent_field_id id, const char *value)
{
	static const char *const opening[] = {"", ",\"system_stats\":{\"zz\":0",
	                                      ",\"gpu_devices\":[{\"zz\":0"};
	static const char *const good[] = {"\"s\"", "1", "[\"l\"]"};
	char body[4096] = "{\"agent_list\":[{\"zz\":0";

	for (int place = AGENT_PLACE_TOP; place <= AGENT_PLACE_GPU; place++) {
		strcat(body, opening[place]);
		for (size_t i = 0; i < AGENT_FIELDS; i++) {
			const struct agent_field *field = &agent_fields[i];
			size_t used = strlen(body);

			if (field->place != place || !field->key || (i == id && !value))
				continue;
			snprintf(body + used, sizeof(body) - used, ",\"%s\":%s", field->key,
			         i == id ? value : good[field->type]);
		}
	}
	strcat(body, "}]}},{\"agent_id\":\"next\"}]}");
	return decoding_good(body);
}

static void test_field_of_wrong_type_is_absent(void **state)
{
	(void)state;
	for (int id = 0; id < AGENT_FIELDS; id++) {
		if (!agent_fields[id].key)
			continue;
		for (size_t i = 0; i <= LENGTH(values) + 1; i++) {
			const char *value = i < LENGTH(values)    ? values[i]
			                    : i == LENGTH(values) ? "\"s\""
			                                          : NULL;
			uint8_t type = agent_fields[id].type;
			bool right_type = value && ((type == AGENT_TYPE_STRING && *value == '"') ||
			                            (type == AGENT_TYPE_NUMBER && *value == '7') ||
			                            (type == AGENT_TYPE_LIST && *value == '['));
			struct page *page = decode_with((enum agent_field_id)id, value);

			if (id == AGENT_ID && !right_type) {
				assert_int_equal(page->dropped, 1);
				assert_int_equal(page->agent_count, 1);
			} else {
				assert_int_equal(page->dropped, 0);
				assert_int_equal(page->agent_count, 2);
				assert_int_equal(page->agents[0]->gpu_count, 1);
				for (int other = 0; other < AGENT_FIELDS; other++)
					if (agent_fields[other].key && other != id &&
					    agent_fields[other].type == AGENT_TYPE_STRING)
						assert_string_equal(
							*(const char *const *)agent_value(
								page->agents[0],
								(enum agent_field_id)other, 0),
							"s");
				if (!right_type)
					assert_absent(page->agents[0], (enum agent_field_id)id);
			}
			assert_string_equal(page->agents[page->agent_count - 1]->id, "next");
			page_free(page);
		}
	}
}

static void test_integers_of_at_most_2_53_are_numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} rows[] = {
		{"0", 0},
		{"-0", 0},
		{"-1", -1},
		{"2147483648", 2147483648},
		{"85899345920", 85899345920},
		{"9007199254740991", 9007199254740991},
		{"9007199254740992", 9007199254740992},
		{"-9007199254740992", -9007199254740992},
		{"9007199254740993", AGENT_ABSENT},
		{"-9007199254740993", AGENT_ABSENT},
		{"18446744073709551616", AGENT_ABSENT},
		{"1.5", AGENT_ABSENT},
		{"1.0", 1},
		{"1e3", 1000},
		{"1E+3", 1000},
		{"10e-1", 1},
		{"9e15", 9000000000000000},
		{"9007199254740992.0", 9007199254740992},
		{"9007199254740993.0", AGENT_ABSENT},
		{"1e999999999", AGENT_ABSENT},
		{"1e400", AGENT_ABSENT},
		{"-1e400", AGENT_ABSENT},
		{"1e-400", AGENT_ABSENT},
		{"100000000000000000000000000000000000000000000000000000000000000000000000000000",
	         AGENT_ABSENT},
		{"0.1000000000000000000000000000000000000000000000000000000000000000000000000000",
	         AGENT_ABSENT},
		{"\"5\"", AGENT_ABSENT},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char members[256], json[300];
		struct page *page;

		/* A number that has to be normalized must not change a good one next to it. */
		snprintf(members, sizeof(members),
		         "\"tasks_completed\":%s,\"gpu_capacity\":12,\"unknown\":1.25",
		         rows[i].text);
		page = decode_members(members);
		if (page->agents[0]->tasks_completed != rows[i].value)
			fail_msg("%s is %jd", rows[i].text,
			         (intmax_t)page->agents[0]->tasks_completed);
		assert_int_equal(page->agents[0]->gpu_capacity, 12);
		snprintf(json, sizeof(json), "{\"agent_id\":\"x\",%s}", members);
		assert_json(page->agents[0], json);
		page_free(page);
	}
}

static void test_derived_fields_are_computed(void **state)
{
	static const struct {
		const char *members;
		int64_t gpu_free, vram_used;
	} rows[] = {
		{"\"gpu_capacity\":4,\"running_count\":1", 3, 0},
		{"\"gpu_capacity\":4,\"running_count\":4", 0, 0},
		{"\"gpu_capacity\":4,\"running_count\":9", 0, 0},
		{"\"gpu_capacity\":4", AGENT_ABSENT, 0},
		{"\"running_count\":4", AGENT_ABSENT, 0},
	};
	static const struct {
		const char *gpu;
		int64_t used;
	} gpus[] = {
		{"{\"vram_total\":10,\"vram_free\":4}", 6},
		{"{\"vram_total\":10,\"vram_free\":10}", 0},
		{"{\"vram_total\":10,\"vram_free\":0}", 10},
		{"{\"vram_total\":10,\"vram_free\":11}", AGENT_ABSENT},
		{"{\"vram_total\":10,\"vram_free\":-1}", AGENT_ABSENT},
		{"{\"vram_total\":10}", AGENT_ABSENT},
		{"{\"vram_free\":10}", AGENT_ABSENT},
		{"7", AGENT_ABSENT},
		{"null", AGENT_ABSENT},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct page *page = decode_members(rows[i].members);

		assert_true(page->agents[0]->gpu_free == rows[i].gpu_free);
		page_free(page);
	}
	for (size_t i = 0; i < LENGTH(gpus); i++) {
		char members[256];
		struct page *page;

		/* A device that is not an object keeps its index. */
		snprintf(members, sizeof(members),
		         "\"system_stats\":{\"gpu_devices\":[%s,{\"device_name\":\"B\"}]}",
		         gpus[i].gpu);
		page = decode_members(members);
		assert_int_equal(page->agents[0]->gpu_count, 2);
		assert_true(page->agents[0]->gpus[0].vram_used == gpus[i].used);
		assert_string_equal(page->agents[0]->gpus[1].device_name, "B");
		page_free(page);
	}
}

static void test_lists_have_strings_and_labels_once(void **state)
{
	struct page *page =
		decode_members("\"agent_labels\":[\"a\",\"b\",\"a\",7,null,\"\",\"c\",\"b\"],"
	                       "\"running_tasks\":[\"t\",{},\"t\"]");

	(void)state;
	assert_int_equal(page->agents[0]->labels.count, 4);
	assert_string_equal(page->agents[0]->labels.items[0], "a");
	assert_string_equal(page->agents[0]->labels.items[1], "b");
	assert_string_equal(page->agents[0]->labels.items[2], "");
	assert_string_equal(page->agents[0]->labels.items[3], "c");
	assert_int_equal(page->agents[0]->running_tasks.count, 2);
	page_free(page);
}

static void test_last_of_duplicate_keys_counts(void **state)
{
	struct page *page;

	(void)state;
	/* The last duplicate counts, even if it is of the wrong type. Case matters. Escapes in keys
	 * are resolved. A NUL does not end a key. */
	page = decode_members(
		"\"tool\":\"first\",\"t\\u006fol\":\"second\",\"Tool_Version\":\"no\","
		"\"agent_status\":\"no\",\"agent_status\":1,\"agent_id\":\"y\","
		"\"sync_ph\\u0061se\":\"p\",\"tool_versionx\":\"no\",\"\":\"no\","
		"\"tool\\u0000\":\"no\"");
	assert_string_equal(page->agents[0]->id, "y");
	assert_string_equal(page->agents[0]->tool, "second");
	assert_null(page->agents[0]->tool_version);
	assert_null(page->agents[0]->status);
	assert_string_equal(page->agents[0]->sync_phase, "p");
	page_free(page);

	/* The same key in another object is another field. */
	page = decode_members(
		"\"os_type\":\"no\",\"device_name\":\"no\",\"comfyui_version\":\"top\","
		"\"system_stats\":{\"os_type\":\"no\"},"
		"\"system_stats\":{\"comfyui_version\":\"inner\",\"tool\":\"no\"}");
	assert_null(page->agents[0]->system_stats.os_type);
	assert_string_equal(page->agents[0]->comfyui_version, "top");
	assert_string_equal(page->agents[0]->system_stats.comfyui_version, "inner");
	assert_null(page->agents[0]->tool);
	page_free(page);

	page = decode_members("\"system_stats\":{\"gpu_devices\":7,\"gpu_devices\":[{"
	                      "\"vram_total\":1,\"vram_total\":2,\"vram_free\":2,"
	                      "\"vram_free\":null}],\"os_type\":\"a\",\"os_type\":\"b\"}");
	assert_int_equal(page->agents[0]->gpu_count, 1);
	assert_int_equal(page->agents[0]->gpus[0].vram_total, 2);
	assert_true(page->agents[0]->gpus[0].vram_free == AGENT_ABSENT);
	assert_string_equal(page->agents[0]->system_stats.os_type, "b");
	page_free(page);
}

static void test_page_meta_is_read_or_absent(void **state)
{
	static const struct {
		const char *members;
		int64_t total_count, per_page;
	} rows[] = {
		{"\"agent_list\":[]", AGENT_ABSENT, AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":null", AGENT_ABSENT, AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":[{\"total_count\":1}]", AGENT_ABSENT,
	         AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":0,\"per_page\":1}", 0, 1},
		{"\"page_meta\" : {\"per_page\":10000,\"total_count\":5 } ,\"agent_list\":[]", 5,
	         10000},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":-1,\"per_page\":0}",
	         AGENT_ABSENT, AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":1.0,\"per_page\":10001}", 1,
	         AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":9223372036854775808,\"per_"
	         "page\":20}",
	         AGENT_ABSENT, 20},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":\"7\",\"per_page\":-20}",
	         AGENT_ABSENT, AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":3},\"page_meta\":{\"total_"
	         "count\":4}",
	         4, AGENT_ABSENT},
		{"\"agent_list\":[],\"page_meta\":{\"total_count\":3,\"total_count\":4.0}", 4,
	         AGENT_ABSENT},
		{"\"x\":{\"page_meta\":{\"total_count\":9}},\"agent_list\":[]", AGENT_ABSENT,
	         AGENT_ABSENT},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char body[256];
		struct page *page;

		snprintf(body, sizeof(body), "{%s}", rows[i].members);
		page = decoding_good(body);
		assert_true(page->total_count == rows[i].total_count);
		assert_true(page->per_page == rows[i].per_page);
		assert_int_equal(page->agent_count, 0);
		page_free(page);
	}
}

/* literal: of an agent_id. id: the decoded string. json: the literal in agent.json. */
static void test_strings_have_stored_form(void **state)
{
	static const struct {
		const char *literal, *id, *json;
	} rows[] = {
		{"a b", "a b", "a b"},
		{"\\u001B]0;x\\u0007", "\x1b]0;x\a", "\\u001b]0;x\\u0007"},
		{"\xff\xfe", "\xff\xfe", "\\ufffd\\ufffd"},
		{"\\uD83D\\uDE00", "\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
		/* An unpaired surrogate, as UTF-8 would encode it. */
		{"\\ud83d", "\xed\xa0\xbd", "\\ufffd"},
		{"\\ud83d\\ud83d\\ude00", "\xed\xa0\xbd\xf0\x9f\x98\x80", "\\ufffd\\ud83d\\ude00"},
		{"\\ud83d\\u0041",
	         "\xed\xa0\xbd"
	         "A",
	         "\\ufffd\\u0041"},
		/* The stored forms of NUL and of the byte C0. */
		{"a\\u0000b",
	         "a\xc0\x80"
	         "b",
	         "a\\u0000b"},
		{"\xc0\x80", "\xc0\x81\x80", "\\ufffd\\ufffd"},
		{"\\\\ud83d", "\\ud83d", "\\\\ud83d"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (int pad = 0; pad < 2; pad++) {
			char body[256], json[256], id[64];
			struct page *page;

			snprintf(body, sizeof(body),
			         "{\"agent_list\":[ {\"agent_id\" :\t\"%.*s%s\" }\n]}", pad,
			         "        ", rows[i].literal);
			snprintf(json, sizeof(json), "{\"agent_id\":\"%.*s%s\"}", pad, "        ",
			         rows[i].json);
			snprintf(id, sizeof(id), "%.*s%s", pad, "        ", rows[i].id);
			page = decoding_good(body);
			assert_string_equal(page->agents[0]->id, id);
			assert_json(page->agents[0], json);
			page_free(page);
		}
}

static void test_agent_json_is_one_line(void **state)
{
	static const struct {
		const char *element, *json;
	} rows[] = {
		{"{\"agent_id\":\"a\",\"z\":[1,{\"y\":null}],\"b\":1.50e+3}",
	         "{\"agent_id\":\"a\",\"z\":[1,{\"y\":null}],\"b\":1.50e+3}"},
		{"{ \"agent_id\" : \"a b\" ,\r\n\t\"z\" : [ 1 , 2 ] , \"n\" : 9007199254740993 }",
	         "{\"agent_id\":\"a b\",\"z\":[1,2],\"n\":9007199254740993}"},
		{"{\"agent_id\":\"a\",\"\x7f\":\"\xff\",\"\\ud800\":1}",
	         "{\"agent_id\":\"a\",\"\\u007f\":\"\\ufffd\",\"\\ufffd\":1}"},
		{"{\"agent_id\":\"a\", \"t\":true ,\"f\":false }",
	         "{\"agent_id\":\"a\",\"t\":true,\"f\":false}"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char body[256];
		struct page *page;

		snprintf(body, sizeof(body), "{\"agent_list\":[%s,{\"agent_id\":\"n\"}]}",
		         rows[i].element);
		page = decoding_good(body);
		assert_json(page->agents[0], rows[i].json);
		assert_json(page->agents[1], "{\"agent_id\":\"n\"}");
		page_free(page);
	}
}

/* In the JSON of an agent, every invalid byte is U+FFFD, but its fields keep the bytes. */
static void test_agents_with_different_invalid_utf8_differ(void **state)
{
	static const char *const members[] = {
		"\"tool\":\"\xff\"",
		"\"tool\":\"\xfe\"",
		"\"tool\":\"\\ufffd\"",
		"\"agent_labels\":[\"\xff\"]",
		"\"agent_labels\":[\"\xfe\"]",
		"\"system_stats\":{\"gpu_devices\":[{},{\"device_name\":\"\xff\"}]}",
		"\"system_stats\":{\"gpu_devices\":[{},{\"device_name\":\"\\ud800\"}]}",
		"\"tool\":\"a\"",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(members); i++)
		for (size_t j = 0; j < LENGTH(members); j++) {
			struct page *a = decode_members(members[i]),
				    *b = decode_members(members[j]);

			assert_int_equal(agent_equal(a->agents[0], b->agents[0]), i == j);
			page_free(a);
			page_free(b);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_the_api_is_decoded),
		cmocka_unit_test(test_beginning_of_a_page_is_known_as_one),
		cmocka_unit_test(test_a_body_breaks_off_if_only_its_end_is_missing),
		cmocka_unit_test(test_truncated_body_is_malformed),
		cmocka_unit_test(test_field_of_wrong_type_is_absent),
		cmocka_unit_test(test_integers_of_at_most_2_53_are_numbers),
		cmocka_unit_test(test_derived_fields_are_computed),
		cmocka_unit_test(test_lists_have_strings_and_labels_once),
		cmocka_unit_test(test_last_of_duplicate_keys_counts),
		cmocka_unit_test(test_page_meta_is_read_or_absent),
		cmocka_unit_test(test_strings_have_stored_form),
		cmocka_unit_test(test_agent_json_is_one_line),
		cmocka_unit_test(test_agents_with_different_invalid_utf8_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
