/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "api/json/decode.h"
#include "api/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

static bool is_utf8(const char *text, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct utf8_char c = utf8_next(text + at, bytes - at);

		if (c.kind == UTF8_INVALID)
			return false;
		at += c.bytes;
	}
	return true;
}

/* Checks a list of strings of an agent. */
static void check_list(const struct agent_list *list, size_t most)
{
	expect(list->count <= most);
	for (size_t i = 0; i < list->count; i++)
		expect(list->items[i]);
}

static bool is_number(int64_t number)
{
	return number == AGENT_ABSENT ||
	       (number >= -(INT64_C(1) << 53) && number <= INT64_C(1) << 53);
}

static void check_gpu(const struct agent_gpu *gpu)
{
	bool is_valid = gpu->vram_free != AGENT_ABSENT && gpu->vram_total != AGENT_ABSENT &&
	                gpu->vram_free >= 0 && gpu->vram_free <= gpu->vram_total;

	expect(is_number(gpu->vram_total) && is_number(gpu->vram_free));
	expect(gpu->vram_used == (is_valid ? gpu->vram_total - gpu->vram_free : AGENT_ABSENT));
}

static void check_fields(const struct agent *agent)
{
	int64_t gpu_free = AGENT_ABSENT;

	expect(agent->id && agent->refs == 1);
	check_list(&agent->labels, AGENT_MAX_LABELS);
	check_list(&agent->running_tasks, AGENT_MAX_TASKS);
	for (size_t i = 0; i < agent->labels.count; i++)
		for (size_t j = 0; j < i; j++)
			expect(strcmp(agent->labels.items[i], agent->labels.items[j]) != 0);
	expect(agent->gpu_count <= AGENT_MAX_GPUS);
	for (size_t i = 0; i < agent->gpu_count; i++)
		check_gpu(&agent->gpus[i]);
	expect(is_number(agent->gpu_capacity) && is_number(agent->running_count));
	expect(is_number(agent->tasks_completed) && is_number(agent->sync_percent));
	if (agent->gpu_capacity != AGENT_ABSENT && agent->running_count != AGENT_ABSENT) {
		gpu_free = agent->gpu_capacity - agent->running_count;
		if (gpu_free < 0)
			gpu_free = 0;
	}
	expect(agent->gpu_free == gpu_free);
}

/* Checks that an agent's JSON is one line that is safe to show. */
static void check_json(const struct agent *agent)
{
	static const struct json_query query = {
		.max_depth = DECODE_MAX_DEPTH, .max_tokens = DECODE_MAX_TOKENS, .max_elements = 1};
	size_t bytes = agent->json_bytes - 1;
	struct json_outline outline;
	struct json_fault fault;

	expect(agent->json_bytes > 2 && agent->json[bytes] == '\n');
	fuzz_expect_plain(agent->json, bytes);
	expect(json_scan(agent->json, bytes, &query, &outline, &fault) == 0);
	expect(outline.member.bytes == bytes);
	/* Only unusual numbers and NULs are left. */
	expect((outline.member.flags & ~(uint32_t)JSON_NEEDS_NORMALIZE) == 0);
	json_outline_done(&outline);
}

static bool agents_are_equal(const struct agent *a, const struct agent *b)
{
	if (a->gpu_count != b->gpu_count)
		return false;
	for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++) {
		size_t count = agent_fields[field].place == AGENT_PLACE_GPU ? a->gpu_count : 1;

		for (size_t i = 0; i < count; i++)
			if (!agent_field_equal(a, b, field, i))
				return false;
	}
	return true;
}

/* Checks that an agent's JSON, decoded again, results in an equal agent. */
static void check_redecoded(const struct agent *agent)
{
	static const char before[] = "{\"agent_list\":[", after[] = "]}";
	size_t bytes = sizeof(before) - 1 + agent->json_bytes + sizeof(after) - 1;
	char *body = malloc(bytes);
	struct failure failure;
	struct page *page;

	expect(body);
	memcpy(body, before, sizeof(before) - 1);
	memcpy(body + sizeof(before) - 1, agent->json, agent->json_bytes);
	memcpy(body + bytes - sizeof(after) + 1, after, sizeof(after) - 1);
	expect(decode_page(body, bytes, &page, &failure) == 0);
	expect(page->agent_count == 1 && agents_are_equal(agent, page->agents[0]));
	page_free(page);
	free(body);
}

/* Checks that a body, decoded as a list in parts, has the same agents as the page. */
static void check_list_parts(const char *body, size_t size, const struct page *whole)
{
	size_t part = 1 + size % 3, count = 0, malformed = 0;
	struct decode_list list;
	struct failure failure;
	struct page *page;

	expect(decode_list_init(body, size, &list, &failure) == 0);
	expect(list.total_count == whole->total_count);
	for (size_t first = 0; first <= list.count; first += part) {
		expect(decode_list_page(&list, first, part, &page, &failure) == 0);
		expect(page->agent_count <= whole->agent_count - count);
		for (size_t i = 0; i < page->agent_count; i++)
			expect(agents_are_equal(page->agents[i], whole->agents[count++]));
		malformed += page->dropped;
		page_free(page);
	}
	expect(count == whole->agent_count && malformed == whole->dropped);
	decode_list_done(&list);
}

/* Checks that a body that is not a page is a list or is rejected with a message. */
static void check_rejected_list(const char *body, size_t size)
{
	struct failure failure = {.cause = FAILURE_CAUSES};
	struct decode_list list;

	if (decode_list_init(body, size, &list, &failure) == 0) {
		decode_list_done(&list);
		return;
	}
	expect(failure.cause == FAILURE_MALFORMED || failure.cause == FAILURE_OVERSIZED);
	fuzz_expect_plain(failure.message, strlen(failure.message));
}

static void check_faults(const struct page *page)
{
	expect(page->fault_count <= page->dropped && page->fault_count <= PAGE_MAX_FAULTS);
	for (size_t i = 0; i < page->fault_count; i++) {
		const struct page_fault *fault = &page->faults[i];

		expect(fault->reason && fault->position > 0);
		expect(fault->position <= page->agent_count + page->dropped);
		expect(memchr(fault->id, '\0', sizeof(fault->id)));
	}
}

static void fuzz_page(const char *body, size_t size)
{
	struct failure failure = {.cause = FAILURE_CAUSES};
	struct page *page = NULL;
	int err = decode_page(body, size, &page, &failure);

	if (err < 0) {
		expect(!page && failure.cause < FAILURE_CAUSES && *failure.message);
		expect(failure.cause != FAILURE_MEMORY && err == -failure_errno(failure.cause));
		fuzz_expect_plain(failure.message, strlen(failure.message));
		check_rejected_list(body, size);
		return;
	}
	check_list_parts(body, size, page);
	expect(page->total_count >= 0 || page->total_count == AGENT_ABSENT);
	check_faults(page);
	expect(page->per_page >= 1 || page->per_page == AGENT_ABSENT);
	for (size_t i = 0; i < page->agent_count; i++) {
		check_fields(page->agents[i]);
		check_json(page->agents[i]);
		if (!page->agents[i]->lossy)
			check_redecoded(page->agents[i]);
	}
	page_free(page);
}

static void fuzz_message(const char *body, size_t size, size_t room)
{
	char *text = malloc(room);

	expect(text);
	decode_message(body, size, text, room);
	expect(memchr(text, '\0', room) && !strpbrk(text, "\n\r\t\v\f"));
	expect(*text != ' ' && (!*text || text[strlen(text) - 1] != ' '));
	if (is_utf8(body, size) && !memmem(body, size, "\\u", 2))
		expect(is_utf8(text, strlen(text)));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body = fuzz_copy(data, size);

	fuzz_page(body, size);
	fuzz_message(body, size, 1 + size % 37);
	fuzz_message(body, size, 512);
	expect(decode_jwt_expiry(body, size) >= 0);
	free(body);
	return 0;
}
