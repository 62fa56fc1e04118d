/* SPDX-License-Identifier: MIT */
#include "tests/unit/decoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/json/decode.h"

const char decoding_example[] =
	"{\n"
	"  \"agent_list\": [\n"
	"    {\n"
	"      \"agent_id\": \"gpu-node-01\",\n"
	"      \"agent_status\": \"idle\",\n"
	"      \"agent_labels\": [\n"
	"        \"gpu\",\n"
	"        \"a100\",\n"
	"        \"comfyui\"\n"
	"      ],\n"
	"      \"last_heartbeat\": \"2025-02-10T14:30:00Z\",\n"
	"      \"agent_version\": \"0.1.3\",\n"
	"      \"tool\": \"comfyui\",\n"
	"      \"tool_version\": \"0.3.13\",\n"
	"      \"comfyui_version\": \"0.3.13\",\n"
	"      \"gpu_capacity\": 8,\n"
	"      \"running_count\": 3,\n"
	"      \"running_tasks\": [\n"
	"        \"019abc12-9012-7890-abcd-ef1234567896\",\n"
	"        \"019abc12-9012-7890-abcd-ef1234567897\"\n"
	"      ],\n"
	"      \"platform_arch\": \"linux/amd64\",\n"
	"      \"sync_phase\": \"downloading\",\n"
	"      \"sync_detail\": \"Downloading model flux1-dev-fp8 (2.1 GB)\",\n"
	"      \"sync_percent\": 45,\n"
	"      \"connected_at\": \"2025-02-10T14:00:00Z\",\n"
	"      \"tasks_completed\": 42,\n"
	"      \"current_task_id\": \"019abc12-9012-7890-abcd-ef1234567896\",\n"
	"      \"system_stats\": {\n"
	"        \"comfyui_version\": \"0.3.10\",\n"
	"        \"pytorch_version\": \"2.5.1+cu124\",\n"
	"        \"os_type\": \"posix\",\n"
	"        \"gpu_devices\": [\n"
	"          {\n"
	"            \"device_name\": \"NVIDIA GeForce RTX 4090\",\n"
	"            \"device_type\": \"cuda\",\n"
	"            \"vram_total\": 25769803776,\n"
	"            \"vram_free\": 22548578304\n"
	"          }\n"
	"        ]\n"
	"      }\n"
	"    }\n"
	"  ],\n"
	"  \"page_meta\": {\n"
	"    \"current_page\": 1,\n"
	"    \"per_page\": 20,\n"
	"    \"total_count\": 42\n"
	"  }\n"
	"}\n";

int decoding_any(const char *body, size_t bytes, struct page **ret_page, struct failure *failure)
{
	char *copy = malloc(bytes ? bytes : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, body, bytes);
	*ret_page = NULL;
	memset(failure, 0, sizeof(*failure));
	result = decode_page(copy, bytes, ret_page, failure);
	free(copy);
	if (result == 0) {
		assert_non_null(*ret_page);
	} else {
		assert_null(*ret_page);
		assert_int_equal(result, -failure_errno(failure->cause));
		assert_true(*failure->message);
	}
	return result;
}

struct page *decoding_good(const char *body)
{
	struct failure failure;
	struct page *page;

	if (decoding_any(body, strlen(body), &page, &failure) != 0)
		fail_msg("%s: %s", failure.message, body);
	return page;
}
