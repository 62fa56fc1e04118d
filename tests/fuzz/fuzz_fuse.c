/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "api/json/decode.h"
#include "cache/fleet.h"
#include "fs/fuse/ops.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/kernel.h"

/*
 * The input is a program of steps: requests of the kernel, responses of the API, and time that
 * passes. tests/unit/kernel_check.c checks the replies.
 *
 * The API has sixteen machines, three on a page. Each is connected or not, and its state determines
 * its values, labels and GPUs. The API may also send arbitrary bytes. And any single allocation of
 * the project may fail: the linker option --wrap leads them to this file.
 */

#define MACHINES 16
#define PER_PAGE 3

static long allocations_left = -1; /* number that succeed before one fails; -1: all succeed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_reallocarray(void *block, size_t count, size_t bytes);
char *__real_strdup(const char *string);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_reallocarray(void *block, size_t count, size_t bytes);
char *__wrap_strdup(const char *string);

static bool fails(void)
{
	if (allocations_left != 0) {
		allocations_left -= allocations_left > 0;
		return false;
	}
	allocations_left--;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
	return fails() ? NULL : __real_realloc(block, bytes);
}

void *__wrap_reallocarray(void *block, size_t count, size_t bytes)
{
	return fails() ? NULL : __real_reallocarray(block, count, bytes);
}

char *__wrap_strdup(const char *string)
{
	return fails() ? NULL : __real_strdup(string);
}

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

struct world {
	struct input input;
	uint16_t present; /* bit mask of the connected machines */
	uint8_t state[MACHINES];
	uint8_t order; /* the machine that the list begins with */
	int8_t lie;    /* error of total_count */
};

static const char *const ids[MACHINES] = {
	"gpu-1",    "gpu-2",
	"",         ".",
	"..",       "../../etc/passwd",
	"-rf",      "%41",
	"a b ",     "A\\nB\\u001b[2J",
	"\u202e",   "\xc2\x9b",
	"\xff\xc0", "agents",
	"\"'",      "x/y",
};

/* Names that exist, may exist, or never exist. */
static const char *const names[] = {
	"agents",
	".fleetfs",
	"README",
	"health",
	"stats",
	"last_error",
	"config",
	"version",
	"gpu-1",
	"gpu-2",
	"%",
	"%2E",
	"id",
	"status",
	"agent.json",
	"labels",
	"gpus",
	"system_stats",
	"0",
	"1",
	"2",
	"l0",
	"l1",
	"name",
	"type",
	"os_type",
	"vram_total",
	"vram_used",
	"",
	".",
	"..",
	"no",
	"comfyui_version",
	"running_tasks",
	"gpu_free",
	"last_heartbeat",
};

/* Components of questions, right and wrong ones. */
static const char *const questions[] = {
	"where",   "status=s1,s?", "label!=l0", "vram_free>=1M", "gpu=g*",   "sort=-vram_free",
	"sort=id", "id=*a*",       "task=",     "status=[",      "nosuch=1",
};

static uint8_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

/* Takes *bytes bytes, or as many as are left. */
static const uint8_t *take_bytes(struct input *input, size_t *bytes)
{
	const uint8_t *from = input->at;

	if (*bytes > (size_t)(input->end - from))
		*bytes = (size_t)(input->end - from);
	input->at += *bytes;
	return from;
}

static uint32_t take32(struct input *input)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++)
		number = number << 8 | take(input);
	return number;
}

/* The API */

static size_t write_machine(const struct world *world, unsigned int machine, char *ret, size_t room)
{
	unsigned int state = world->state[machine];
	size_t at = (size_t)snprintf(ret, room,
	                             "{\"agent_id\":\"%s\",\"agent_status\":\"s%u\","
	                             "\"last_heartbeat\":\"2025-02-10T14:30:%02uZ\","
	                             "\"gpu_capacity\":%u,\"running_count\":%u,"
	                             "\"system_stats\":{\"os_type\":\"posix\",\"gpu_devices\":[",
	                             ids[machine], state, state % 60, state & 7, state >> 5);

	for (unsigned int i = 0; i < (state >> 2 & 3); i++)
		at += (size_t)snprintf(ret + at, room - at,
		                       "%s{\"device_name\":\"g\\n%u\",\"vram_total\":%u,"
		                       "\"vram_free\":%u}",
		                       i ? "," : "", i, state << 20, state << 19);
	at += (size_t)snprintf(ret + at, room - at, "]},\"agent_labels\":[");
	for (unsigned int i = 0; i < (state & 3); i++)
		at += (size_t)snprintf(ret + at, room - at, "%s\"l%u\"", i ? "," : "",
		                       i + (state >> 4 & 3));
	at += (size_t)snprintf(ret + at, room - at, "],\"running_tasks\":[\"t\\u001b\"]}");
	expect(at < room);
	return at;
}

static struct page *decoded(const char *body, size_t bytes)
{
	struct page *page = NULL;
	struct failure failure;

	decode_page(body, bytes, &page, &failure);
	return page;
}

static struct page *honest_page(const struct world *world, unsigned int number)
{
	unsigned int count = 0, first = (number - 1) * PER_PAGE, total;
	char body[4096];
	size_t at = (size_t)snprintf(body, sizeof(body), "{\"agent_list\":[");

	for (unsigned int i = 0; i < MACHINES; i++) {
		unsigned int machine = (i + world->order) % MACHINES;

		if (!(world->present >> machine & 1))
			continue;
		if (count >= first && count < first + PER_PAGE) {
			if (count > first)
				body[at++] = ',';
			at += write_machine(world, machine, body + at, sizeof(body) - at - 100);
		}
		count++;
	}
	total = count + (unsigned int)world->lie;
	at += (size_t)snprintf(body + at, sizeof(body) - at,
	                       "],\"page_meta\":{\"total_count\":%d,\"per_page\":%d}}", (int)total,
	                       PER_PAGE);
	return decoded(body, at);
}

/* One of the wanted pages. */
static unsigned int a_wanted(struct world *world, const struct kernel *kernel)
{
	return kernel->wanted[take(&world->input) % kernel->wanted_count];
}

static void bring_honest(struct world *world, struct kernel *kernel)
{
	while (kernel->wanted_count > 0) {
		unsigned int number = kernel->wanted[0];

		kernel_bring(kernel, number, honest_page(world, number), FAILURE_MEMORY);
		/* A wrong total_count makes the cache request more and more pages. */
		if (number > 2 * MACHINES)
			break;
	}
}

static void bring_bytes(struct world *world, struct kernel *kernel)
{
	unsigned int number = a_wanted(world, kernel);
	size_t bytes = 4 * take(&world->input);
	const uint8_t *from = take_bytes(&world->input, &bytes);
	char *body = __real_malloc(bytes + 1);

	expect(body);
	memcpy(body, from, bytes);
	kernel_bring(kernel, number, decoded(body, bytes), FAILURE_MALFORMED);
	free(body);
}

static void network(struct world *world, struct kernel *kernel)
{
	unsigned int number;
	uint8_t what = take(&world->input);

	if (kernel->wanted_count == 0)
		return;
	switch (what & 3) {
	case 0:
		bring_honest(world, kernel);
		break;
	case 1:
		number = a_wanted(world, kernel);
		kernel_bring(kernel, number, honest_page(world, number), FAILURE_MEMORY);
		break;
	case 2:
		kernel_bring(kernel, a_wanted(world, kernel), NULL,
		             (enum failure_cause)((what >> 2) % FAILURE_CAUSES));
		break;
	default:
		bring_bytes(world, kernel);
	}
}

static void change(struct world *world)
{
	uint8_t what = take(&world->input), how = take(&world->input);

	switch (what & 3) {
	case 0:
		world->present ^= (uint16_t)(1u << (how % MACHINES));
		break;
	case 1:
		world->state[what >> 2 & 15] = how;
		break;
	case 2:
		world->order = how;
		break;
	default:
		world->lie = (int8_t)how;
	}
}

/* The kernel */

/* A node that the kernel refers to; rarely another ID. */
static uint64_t a_node(struct world *world, const struct kernel *kernel)
{
	uint8_t which = take(&world->input);

	if (which == 0xff)
		return take32(&world->input);
	/* The latest nodes are the interesting ones. */
	return which & 1 && kernel->highest > 128 ? kernel->highest - (which >> 1)
	                                          : 1 + (which >> 1) % kernel->highest;
}

static const char *a_name(struct world *world, const struct kernel *kernel, char room[256])
{
	uint8_t which = take(&world->input);
	size_t bytes = 0;

	if (which < 128 && kernel->entry_count > 0)
		return kernel->entries[which % kernel->entry_count].name;
	if (which >= 255 - sizeof(questions) / sizeof(questions[0]) && which < 255)
		return questions[254 - which];
	if (which < 255)
		return names[which % (sizeof(names) / sizeof(names[0]))];
	while (bytes < 255 && (room[bytes] = (char)take(&world->input)) != '\0')
		bytes++;
	room[bytes] = '\0';
	return room;
}

static uint64_t an_offset(struct world *world, const struct kernel *kernel)
{
	uint8_t which = take(&world->input);

	if (which < 64)
		return which;
	if (which < 240)
		return kernel->entry_count ? kernel->entries[which % kernel->entry_count].next : 0;
	return (uint64_t)take32(&world->input) << 32 | take32(&world->input);
}

static uint32_t a_size(struct world *world)
{
	uint8_t which = take(&world->input);

	return which < 128 ? 4096 : which < 250 ? which * 8u : take32(&world->input);
}

static uint64_t a_waiting(struct world *world, const struct kernel *kernel)
{
	uint8_t which = take(&world->input);

	if (which == 0xff || kernel->waiting_count == 0)
		return kernel->unique + which;
	return kernel->waiting[which % kernel->waiting_count].unique;
}

static void garbage(struct world *world, struct kernel *kernel)
{
	uint32_t opcode = take(&world->input);
	uint64_t node = a_node(world, kernel);
	size_t bytes = take(&world->input);
	const uint8_t *body;

	if (opcode == 0xff)
		opcode = take32(&world->input);
	body = take_bytes(&world->input, &bytes);
	/* libfuse keeps a reply to a notification that was not sent for ever, and since 3.17 it
	 * serves no request after a DESTROY, which is the kernel's last one. */
	if (opcode != FUSE_NOTIFY_REPLY && opcode != FUSE_DESTROY)
		kernel_send(kernel, opcode, node, body, bytes);
}

/* Lists a directory from its beginning to its end, as ls would. */
static void list(struct world *world, struct kernel *kernel)
{
	uint64_t directory = a_node(world, kernel), offset = 0;

	for (int i = 0; i < 64 && !kernel->full; i++) {
		uint64_t unique = kernel_readdirplus(kernel, directory, offset, 4096);

		if (kernel_is_waiting(kernel, unique))
			bring_honest(world, kernel);
		if (kernel->replied != unique || kernel->error != 0 || kernel->bytes == 0)
			return;
		offset = kernel->entries[kernel->entry_count - 1].next;
	}
}

static void step(struct world *world, struct kernel *kernel)
{
	char room[256];
	uint64_t node;

	switch (take(&world->input) % 19) {
	case 0:
		node = a_node(world, kernel);
		kernel_lookup(kernel, node, a_name(world, kernel, room));
		break;
	case 1:
		kernel_getattr(kernel, a_node(world, kernel));
		break;
	case 2:
		node = a_node(world, kernel);
		kernel_readdirplus(kernel, node, an_offset(world, kernel), a_size(world));
		break;
	case 3:
		node = a_node(world, kernel);
		kernel_read(kernel, node, an_offset(world, kernel), a_size(world));
		break;
	case 4:
		kernel_read(kernel, a_node(world, kernel), 0, 1 << 20);
		break;
	case 5:
		node = a_node(world, kernel);
		kernel_forget(kernel, node, take(&world->input));
		break;
	case 6:
		kernel_forget_all(kernel);
		break;
	case 7:
		kernel_interrupt(kernel, a_waiting(world, kernel));
		break;
	case 8:
		node = a_node(world, kernel);
		kernel_access(kernel, node, take(&world->input));
		break;
	case 9:
		kernel_statfs(kernel);
		break;
	case 10:
		garbage(world, kernel);
		break;
	case 11:
		kernel_advance(kernel, take(&world->input));
		break;
	case 12:
		kernel_advance(kernel, 400 * take(&world->input));
		break;
	case 13:
		network(world, kernel);
		break;
	case 14:
		change(world);
		break;
	case 15:
		fleet_expire(kernel->fleet);
		break;
	case 16:
		/* Usually the next request gets it: its reader was interrupted. */
		kernel->rejections = 1;
		break;
	case 17:
		list(world, kernel);
		break;
	default:
		allocations_left = take(&world->input);
	}
}

/* When the kernel has given all references back, only the root is left. */
static void end(struct kernel *kernel)
{
	allocations_left = -1;
	kernel->rejections = 0;
	while (kernel->waiting_count > KERNEL_MOST_WAITING / 2)
		kernel_interrupt(kernel, kernel->waiting[0].unique);
	if (kernel->highest < KERNEL_MOST_NODES - 1) {
		kernel_forget_all(kernel);
		kernel_statfs(kernel);
		expect(kernel->status.nodes == 1);
	}
	kernel_done(kernel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel kernel;
	struct world world = {.input = {data, data + size}, .present = 0x3ff};

	for (unsigned int i = 0; i < MACHINES; i++)
		world.state[i] = (uint8_t)(17 * i);
	expect(kernel_init(&kernel, PER_PAGE) == 0);
	while (world.input.at < world.input.end && !kernel.full)
		step(&world, &kernel);
	end(&kernel);
	return 0;
}
