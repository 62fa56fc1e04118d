/* SPDX-License-Identifier: MIT */
/*
 * Out of memory in a mount: the cache, the reports and the FUSE operations, driven by a fake
 * kernel. Whichever allocation fails, a request gets the right reply or ENOMEM, and the right reply
 * when there is memory again. Nothing is leaked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "api/json/decode.h"
#include "cache/fleet.h"
#include "tests/unit/allocation.h"
#include "tests/unit/kernel.h"

/* The API: agents m0, m1 and so on, in the order of its list, each with a version that its values
 * contain. */

#define MACHINES 160

static struct kernel kernel;
static unsigned int machines[MACHINES];
static unsigned int versions[MACHINES]; /* by number */
static unsigned int machine_count;
static unsigned int per_page;

static void api_begin(unsigned int count, unsigned int to_a_page)
{
	machine_count = count;
	per_page = to_a_page;
	for (unsigned int i = 0; i < MACHINES; i++) {
		machines[i] = i;
		versions[i] = 1;
	}
}

static void api_remove(unsigned int position)
{
	machine_count--;
	memmove(&machines[position], &machines[position + 1],
	        (machine_count - position) * sizeof(machines[0]));
}

static void api_insert(unsigned int position, unsigned int machine)
{
	memmove(&machines[position + 1], &machines[position],
	        (machine_count - position) * sizeof(machines[0]));
	machines[position] = machine;
	machine_count++;
}

static bool api_has(unsigned int machine)
{
	for (unsigned int i = 0; i < machine_count; i++)
		if (machines[i] == machine)
			return true;
	return false;
}

/* Decodes a wanted page and brings it. */
static void bring(unsigned int number)
{
	static char text[16384];
	size_t at = (size_t)snprintf(text, sizeof(text), "{\"agent_list\":[");
	unsigned int first = (number - 1) * per_page;
	struct page *page = NULL;
	struct failure failure;

	for (unsigned int i = first; i < first + per_page && i < machine_count; i++) {
		unsigned int machine = machines[i], version = versions[machine];

		at += (size_t)snprintf(text + at, sizeof(text) - at,
		                       "%s{\"agent_id\":\"m%u\",\"agent_status\":\"v%u\","
		                       "\"agent_labels\":[\"a\",\"b%u\"],\"tool\":\"t\","
		                       "\"running_tasks\":[\"t%u\"],\"system_stats\":"
		                       "{\"gpu_devices\":[{\"device_name\":\"g%u\"}]}}",
		                       i > first ? "," : "", machine, version, version, machine,
		                       version);
	}
	at += (size_t)snprintf(text + at, sizeof(text) - at,
	                       "],\"page_meta\":{\"total_count\":%u}}", machine_count);
	decode_page(text, at, &page, &failure);
	kernel_bring(&kernel, number, page, FAILURE_MEMORY);
}

/* Waits until the backoff of the cache is over. */
static void wait_for_backoff(void)
{
	allocation_expect_failed();
	kernel_advance(&kernel, 2000);
}

static void await(uint64_t unique)
{
	while (kernel_is_waiting(&kernel, unique)) {
		if (kernel.wanted_count > 0)
			bring(kernel.wanted[0]);
		else
			kernel_advance(&kernel, 100);
	}
}

/* Sends a request, again if it failed with ENOMEM, and leaves the reply in kernel. */
#define ASK(request)                                         \
	do {                                                 \
		await(request);                              \
		if (kernel.error != -ENOMEM)                 \
			break;                               \
		wait_for_backoff();                          \
		await(request);                              \
		assert_int_not_equal(kernel.error, -ENOMEM); \
	} while (0)

static void mount(unsigned int count, unsigned int to_a_page)
{
	api_begin(count, to_a_page);
	if (kernel_init(&kernel, to_a_page) < 0) {
		allocation_expect_failed();
		assert_int_equal(kernel_init(&kernel, to_a_page), 0);
	}
}

static void unmount(void)
{
	allocation_succeed();
	kernel_forget_all(&kernel);
	kernel_statfs(&kernel);
	assert_int_equal(kernel.status.nodes, 1);
	kernel_done(&kernel);
}

static uint64_t look_up(uint64_t directory, const char *name)
{
	uint64_t node;

	ASK(kernel_lookup(&kernel, directory, name));
	assert_int_equal(kernel.error, 0);
	/* The entry begins with the node ID. */
	memcpy(&node, kernel.data, sizeof(node));
	return node;
}

/* Hashes of path and text of every file in the tree, in the order of the listings. */
struct tree {
	uint64_t hashes[512];
	size_t count;
};

static struct tree *tree;

static void note_file(const char *path, uint64_t node, bool is_link)
{
	uint64_t hash = XXH3_64bits(path, strlen(path));
	const char *text;

	ASK(kernel_getattr(&kernel, node));
	assert_int_equal(kernel.error, 0);
	if (is_link)
		ASK(kernel_readlink(&kernel, node));
	else
		ASK(kernel_read(&kernel, node, 0, 1 << 20));
	assert_int_equal(kernel.error, 0);
	/* The status directory, and the times of the list, differ from mount to mount. */
	text = kernel.data;
	if (strcmp(path, "/fleet/metrics.prom") == 0)
		text = memmem(text, kernel.bytes, "# HELP fleet_list_verified", 26);
	if (strcmp(path, "/fleet/fleet.html") == 0)
		text = memmem(text, kernel.bytes, "\n]}\n", 4);
	assert_non_null(text);
	if (!strstr(path, "/.fleetfs/"))
		hash = XXH3_64bits_withSeed(text, kernel.bytes - (size_t)(text - kernel.data),
		                            hash);
	assert_true(tree->count < sizeof(tree->hashes) / sizeof(tree->hashes[0]));
	tree->hashes[tree->count++] = hash;
}

static void note_directory(const char *path, uint64_t directory)
{
	struct kernel_entry entries[64];
	uint64_t offset = 0;
	size_t count = 0;
	char below[600];

	for (;;) {
		/* So small that most listings take several replies. */
		ASK(kernel_readdirplus(&kernel, directory, offset, 2048));
		assert_int_equal(kernel.error, 0);
		if (kernel.bytes == 0)
			break;
		for (size_t i = 0; i < kernel.entry_count; i++) {
			offset = kernel.entries[i].next;
			assert_true(count < 64);
			if (*kernel.entries[i].name != '.' || kernel.entries[i].node != 0)
				entries[count++] = kernel.entries[i];
		}
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(below, sizeof(below), "%.300s/%s", path, entries[i].name);
		if (entries[i].node == 0) /* a report, which is listed without a node */
			entries[i].node = look_up(directory, entries[i].name);
		if (S_ISDIR(entries[i].mode))
			note_directory(below, entries[i].node);
		else
			note_file(below, entries[i].node, S_ISLNK(entries[i].mode));
	}
}

static struct tree expected, found;

static void read_tree(void)
{
	struct fleet_health health;

	mount(5, 2);
	found.count = 0;
	tree = &found;
	note_directory("", KERNEL_ROOT);
	/* A list that does not change is read once, and agrees with total_count. */
	fleet_health(kernel.fleet, &health);
	assert_true(health.verified);
	assert_int_equal(health.passes, 1);
	if (expected.count > 0) {
		assert_int_equal(found.count, expected.count);
		assert_memory_equal(found.hashes, expected.hashes,
		                    found.count * sizeof(found.hashes[0]));
	}
	unmount();
}

static void test_tree_is_the_same_after_enomem(void **state)
{
	(void)state;
	read_tree();
	expected = found;
	allocation_fail_each(read_tree, 60);
}

static void look_around(void)
{
	uint64_t agents, machine, file;

	mount(5, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	ASK(kernel_access(&kernel, agents, 4));
	assert_int_equal(kernel.error, 0);
	ASK(kernel_statfs(&kernel));
	assert_int_equal(kernel.error, 0);
	machine = look_up(agents, "m3");
	assert_true(machine != 0);
	file = look_up(machine, "status");
	ASK(kernel_read(&kernel, file, 0, 100));
	assert_memory_equal(kernel.data, "v1\n", 3);
	assert_int_equal(look_up(agents, "nobody"), 0);
	assert_int_equal(look_up(machine, "nothing"), 0);
	file = look_up(machine, "agent.json");
	kernel_forget(&kernel, file, 1);
	kernel_forget(&kernel, machine, 1);
	unmount();
}

/* The links of a directory, by the targets that a listing in small replies finds. */
static void expect_links(uint64_t directory, const char *const *targets)
{
	struct kernel_entry entries[64];
	uint64_t offset = 0;
	size_t count = 0;

	do {
		ASK(kernel_readdirplus(&kernel, directory, offset, 400));
		assert_int_equal(kernel.error, 0);
		for (size_t i = 0; i < kernel.entry_count; i++) {
			offset = kernel.entries[i].next;
			if (*kernel.entries[i].name != '.')
				entries[count++] = kernel.entries[i];
		}
	} while (kernel.bytes > 0);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(targets[i]);
		ASK(kernel_readlink(&kernel, entries[i].node));
		assert_int_equal(kernel.error, 0);
		assert_int_equal(kernel.bytes, strlen(targets[i]));
		assert_memory_equal(kernel.data, targets[i], kernel.bytes);
	}
	assert_null(targets[count]);
}

static void ask_questions(void)
{
	uint64_t where, question, order;

	mount(5, 2);
	where = look_up(KERNEL_ROOT, "where");
	question = look_up(look_up(where, "label=b1,x"), "id!=m[13]");
	order = look_up(question, "sort=-id");
	expect_links(order, (const char *const[]){"../../../../agents/m4", "../../../../agents/m2",
	                                          "../../../../agents/m0", NULL});
	expect_links(question, (const char *const[]){"../../../agents/m0", "../../../agents/m2",
	                                             "../../../agents/m4", NULL});
	assert_true(look_up(order, "3") != 0);
	assert_int_equal(look_up(order, "4"), 0);
	assert_true(look_up(question, "m4") != 0);
	assert_int_equal(look_up(question, "m3"), 0);
	ASK(kernel_lookup(&kernel, where, "label=["));
	assert_int_equal(kernel.error, -EINVAL);
	unmount();
}

/* Several requests wait for the same page, and one is interrupted. */
static void wait_together(void)
{
	uint64_t agents, requests[4];

	mount(5, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	requests[0] = kernel_lookup(&kernel, agents, "m0");
	requests[1] = kernel_readdirplus(&kernel, agents, 0, 4096);
	requests[2] = kernel_lookup(&kernel, agents, "nobody");
	requests[3] = kernel_lookup(&kernel, agents, "m4");
	kernel_interrupt(&kernel, requests[3]);
	for (int i = 0; i < 3; i++)
		await(requests[i]);
	allocation_succeed();
	kernel_advance(&kernel, 2000);
	assert_true(look_up(agents, "m0") != 0);
	assert_int_equal(look_up(agents, "nobody"), 0);
	unmount();
}

static void test_requests_succeed_after_enomem(void **state)
{
	(void)state;
	allocation_fail_each(look_around, 20);
	allocation_fail_each(ask_questions, 20);
	allocation_fail_each(wait_together, 20);
}

/* Agents join, change and depart */

static void list_agents(uint64_t agents, unsigned int ret_seen[static MACHINES])
{
	uint64_t offset = 0;

	memset(ret_seen, 0, MACHINES * sizeof(ret_seen[0]));
	do {
		ASK(kernel_readdirplus(&kernel, agents, offset, 600));
		assert_int_equal(kernel.error, 0);
		for (size_t i = 0; i < kernel.entry_count; i++) {
			const char *name = kernel.entries[i].name;

			offset = kernel.entries[i].next;
			if (*name == 'm')
				ret_seen[atoi(name + 1)]++;
		}
	} while (kernel.bytes > 0);
}

/* The group of a label that all agents have. */
static uint64_t look_up_group(void)
{
	return look_up(look_up(KERNEL_ROOT, "by-label"), "a");
}

/* With memory, the mount shows what the API sends. */
static void expect_now(uint64_t agents)
{
	static unsigned int seen[MACHINES];
	struct fleet_health health;
	char name[8], status[16];

	allocation_succeed();
	/* Requests from before are over. */
	while (kernel.wanted_count > 0)
		bring(kernel.wanted[0]);
	kernel_advance(&kernel, 2000);
	/* A departed agent must be missed twice. */
	for (int i = 0; i < 2; i++) {
		kernel_advance(&kernel, KERNEL_TTL_MS + 1);
		list_agents(agents, seen);
	}
	for (unsigned int i = 0; i < MACHINES; i++) {
		uint64_t machine, file;

		assert_int_equal(seen[i], api_has(i));
		if (i > 5)
			continue;
		snprintf(name, sizeof(name), "m%u", i);
		machine = look_up(agents, name);
		assert_int_equal(machine != 0, api_has(i));
		if (machine == 0)
			continue;
		file = look_up(machine, "status");
		ASK(kernel_read(&kernel, file, 0, 100));
		snprintf(status, sizeof(status), "v%u\n", versions[i]);
		assert_int_equal(kernel.bytes, strlen(status));
		assert_memory_equal(kernel.data, status, kernel.bytes);
	}
	list_agents(look_up_group(), seen);
	for (unsigned int i = 0; i < MACHINES; i++)
		assert_int_equal(seen[i], api_has(i));
	fleet_health(kernel.fleet, &health);
	assert_int_equal(health.agents, machine_count);
	assert_true(health.verified && !health.failing);
}

static void change_list(void)
{
	static unsigned int seen[MACHINES];
	uint64_t agents, group;

	mount(4, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	group = look_up_group();
	for (unsigned int turn = 0; turn < 2; turn++) {
		list_agents(turn == 0 ? agents : group, seen);
		for (unsigned int i = 0; i < MACHINES; i++)
			assert_int_equal(seen[i], i < 4);
	}

	versions[0] = 2;
	api_remove(1);
	api_insert(3, 4);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	list_agents(agents, seen);
	/* Each agent as before or as now. */
	assert_true(seen[0] == 1 && seen[1] <= 1 && seen[2] == 1 && seen[3] == 1 && seen[4] <= 1);

	versions[0] = 3;
	api_remove(1);
	fleet_expire(kernel.fleet);
	list_agents(group, seen);
	assert_true(seen[0] == 1 && seen[1] <= 1 && seen[2] <= 1 && seen[3] == 1 && seen[4] <= 1);
	expect_now(agents);
	unmount();
}

/* The log of events */

static size_t times_in(const char *text, const char *line)
{
	size_t times = 0;

	for (; (text = strstr(text, line)); text += strlen(line))
		times++;
	return times;
}

/* Whichever allocation fails, each change is in the log once. */
static void log_events(void)
{
	static const char *const lines[] = {
		"m0\tstatus\tv1\tv2\n",      "m0\tlabels/b1\tb1\t-\n", "m0\tlabels/b2\t-\tb2\n",
		"m0\tgpus/0/name\tg1\tg2\n", "m1\tagent\tleft\t-\n",   "m4\tagent\t-\tjoined\n",
	};
	uint64_t log;
	size_t ends = 0;

	mount(4, 2);
	log = look_up(look_up(KERNEL_ROOT, "fleet"), "events.log");
	versions[0] = 2;
	api_remove(1);
	api_insert(3, 4);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	ASK(kernel_getattr(&kernel, log));
	assert_int_equal(kernel.error, 0);
	expect_now(look_up(KERNEL_ROOT, "agents"));
	ASK(kernel_read(&kernel, log, 0, 1 << 20));
	assert_int_equal(kernel.error, 0);
	kernel.data[kernel.bytes] = '\0';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(times_in(kernel.data, lines[i]), 1);
	for (size_t i = 0; i < kernel.bytes; i++)
		ends += kernel.data[i] == '\n';
	assert_int_equal(ends, sizeof(lines) / sizeof(lines[0]));
	unmount();
}

static void test_log_has_each_change_once_after_enomem(void **state)
{
	(void)state;
	allocation_fail_each(log_events, 60);
}

/* The fleet by itself */

static int walk(uint64_t *cursor, struct record **ret_record)
{
	struct query query = fleet_query(kernel.fleet);
	int err;

	while ((err = fleet_walk(kernel.fleet, cursor, &query, ret_record)) == -EAGAIN)
		bring(kernel.wanted[0]);
	if (err == -ENOMEM) {
		wait_for_backoff();
		query = fleet_query(kernel.fleet);
		while ((err = fleet_walk(kernel.fleet, cursor, &query, ret_record)) == -EAGAIN)
			bring(kernel.wanted[0]);
	}
	return err;
}

/* Reads up to `most` further agents of a listing. */
static void walk_on(uint64_t *cursor, unsigned int most, unsigned int seen[static MACHINES])
{
	struct record *record;

	while (most-- > 0) {
		assert_int_equal(walk(cursor, &record), 0);
		if (!record)
			return;
		seen[atoi(record->name + 1)]++;
	}
}

/*
 * A listing grows during a recheck: it has 128 agents, as many as fit before its memory has to
 * grow. One agent is missing and is rechecked. Before the pages around it arrive, another page
 * brings a new agent.
 */
static void join_during_recheck(void)
{
	static unsigned int seen[MACHINES];
	uint64_t cursor = 0;
	struct record *record;
	struct query query;

	mount(129, 32);
	memset(seen, 0, sizeof(seen));
	walk_on(&cursor, MACHINES, seen);
	for (unsigned int i = 0; i < MACHINES; i++)
		assert_int_equal(seen[i], i < 129);

	api_remove(0);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	memset(seen, 0, sizeof(seen));
	cursor = 0;
	walk_on(&cursor, 128, seen);
	api_insert(120, 150);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	query = fleet_query(kernel.fleet);
	if (fleet_find(kernel.fleet, "m128", &query, &record) == -EAGAIN)
		for (size_t i = 0; i < kernel.wanted_count; i++)
			if (kernel.wanted[i] == 4)
				bring(4);
	walk_on(&cursor, MACHINES, seen);
	for (unsigned int i = 1; i < 129; i++)
		assert_int_equal(seen[i], 1);
	assert_true(seen[0] <= 1 && seen[150] <= 1);
	expect_now(look_up(KERNEL_ROOT, "agents"));
	unmount();
}

/*
 * The API fails after the first page of a listing. One of the known agents has left. If there is no
 * memory to complete the listing with the known agents, it goes on once the API works, and finds
 * that this agent left.
 */
static void complete_from_memory(void)
{
	static unsigned int seen[MACHINES];
	struct fleet_health health;
	struct record *record;
	struct query query;
	uint64_t cursor = 0;
	int err;

	mount(129, 32);
	walk_on(&cursor, MACHINES, seen);
	api_remove(100);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	cursor = 0;
	walk_on(&cursor, 32, seen);
	query = fleet_query(kernel.fleet);
	while ((err = fleet_walk(kernel.fleet, &cursor, &query, &record)) == -EAGAIN)
		kernel_bring(&kernel, kernel.wanted[0], NULL, FAILURE_CREDENTIAL);
	while (kernel.wanted_count > 0)
		kernel_bring(&kernel, kernel.wanted[0], NULL, FAILURE_CREDENTIAL);
	if (err < 0) {
		wait_for_backoff();
		walk_on(&cursor, MACHINES, seen);
		fleet_health(kernel.fleet, &health);
		assert_int_equal(health.agents, 128);
	}
	unmount();
}

static bool is_wanted(unsigned int number)
{
	for (size_t i = 0; i < kernel.wanted_count; i++)
		if (kernel.wanted[i] == number)
			return true;
	return false;
}

/* Walks to the next agent. Of the pages that are requested meanwhile only this one arrives. fails:
 * it is too large. */
static int walk_with_page(uint64_t *cursor, unsigned int number, bool fails,
                          struct record **ret_record)
{
	struct query query = fleet_query(kernel.fleet);
	int err;

	while ((err = fleet_walk(kernel.fleet, cursor, &query, ret_record)) == -EAGAIN) {
		if (!is_wanted(number))
			kernel_advance(&kernel, 100);
		else if (fails)
			kernel_bring(&kernel, number, NULL, FAILURE_OVERSIZED);
		else
			bring(number);
	}
	return err;
}

/*
 * A page of a listing is bad, and its agents make the memory of the listing grow. If there is no
 * memory to skip the page, it has recovered when the listing goes on. Then an agent moves from the
 * next page to this one, so the listing must read this page once more.
 */
static void skip_page(void)
{
	static unsigned int seen[MACHINES];
	bool fails = true;
	uint64_t cursor = 0;

	mount(MACHINES, 26);
	walk_on(&cursor, UINT_MAX, seen);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	memset(seen, 0, sizeof(seen));
	cursor = 0;
	walk_on(&cursor, 4 * 26, seen);
	for (int i = 0; i < 26; i++) {
		struct record *record;
		int err = walk_with_page(&cursor, 5, fails, &record);

		if (err == -ENOMEM) {
			allocation_expect_failed();
			/* So long that the page may be requested again, but not so long that the
			 * listing is completed from memory instead. */
			kernel_advance(&kernel, 1000);
			fails = false;
			err = walk_with_page(&cursor, 5, fails, &record);
		}
		assert_int_equal(err, 0);
		seen[atoi(record->name + 1)]++;
	}
	api_remove(150);
	api_insert(110, 150);
	walk_on(&cursor, UINT_MAX, seen);
	for (unsigned int i = 0; i < MACHINES; i++)
		assert_int_equal(seen[i], 1);
	unmount();
}

static void test_changed_list_is_complete_after_enomem(void **state)
{
	(void)state;
	allocation_fail_each(change_list, 100);
	allocation_fail_each(join_during_recheck, 300);
	allocation_fail_each(complete_from_memory, 300);
	allocation_fail_each(skip_page, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_is_the_same_after_enomem),
		cmocka_unit_test(test_requests_succeed_after_enomem),
		cmocka_unit_test(test_changed_list_is_complete_after_enomem),
		cmocka_unit_test(test_log_has_each_change_once_after_enomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
