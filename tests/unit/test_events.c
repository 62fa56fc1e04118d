/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fs/reports/events.h"
#include "fs/tree/names.h"
#include "fs/tree/tree.h"
#include "tests/unit/agents.h"

#define TTL_MS   10000
#define STALE_MS 60000
#define FULL     1000 /* bytes of a full log */
#define WALL_NS  INT64_C(1700000000250000000)
#define TIME     "2023-11-14T22:13:20.250Z\t"

/* A fleet whose list is usually one page of agents with a status, and its log. */
struct world {
	struct fleet *fleet;
	struct events *events;
	int64_t now_ms;
	unsigned int wanted; /* pages that were wanted and have not arrived */
	unsigned int wants;  /* pages that were wanted */
	unsigned int page;   /* the last page that was wanted */
	struct record *record;
};

static int port_request_page(void *user, unsigned int page, const struct validator *condition,
                             bool no_cache)
{
	struct world *world = user;

	(void)condition;
	(void)no_cache;
	world->page = page;
	world->wanted++;
	world->wants++;
	return 0;
}

static int64_t port_now_ms(void *user)
{
	return ((struct world *)user)->now_ms;
}

static int64_t port_wall_ns(void *user)
{
	(void)user;
	return WALL_NS;
}

static uint32_t port_random(void *user)
{
	(void)user;
	return 7;
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct world *world = user;

	return world->events ? events_changed(world->events, record, before, after, at_ns) : 0;
}

static int set_up_world(void **state, int64_t refresh_ms, int64_t timeout_ms)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct fleet_config config = {
		.ttl_ms = TTL_MS,
		.stale_ms = STALE_MS,
		.refresh_ms = refresh_ms,
		.timeout_ms = timeout_ms,
		.per_page = 100,
		.max_connections = 1,
	};
	const struct fleet_ports ports = {
		.user = world,
		.request_page = port_request_page,
		.now_ms = port_now_ms,
		.wall_ns = port_wall_ns,
		.random = port_random,
		.name = name_encode,
		.changed = port_changed,
	};

	world->fleet = fleet_new(&config, &ports);
	world->events = events_new(world->fleet, config.timeout_ms, FULL);
	world->record = record_ref(record_new("gpu-01", agents_new("gpu-01", "")));
	*state = world;
	return 0;
}

static int set_up(void **state)
{
	return set_up_world(state, 0, 10000);
}

static int set_up_no_timeout(void **state)
{
	return set_up_world(state, 0, 0);
}

static int set_up_refresh(void **state)
{
	return set_up_world(state, TTL_MS, 10000);
}

static int tear_down(void **state)
{
	struct world *world = *state;

	record_unref(world->record);
	events_free(world->events);
	fleet_free(world->fleet);
	free(world);
	return 0;
}

/* Page 1 arrives, with agents of these pairs of ID and status. NULL ends the pairs. */
static void bring(struct world *world, const char *id, ...)
{
	struct page *page = agents_page(8);
	va_list statuses;

	assert_int_equal(world->wanted--, 1);
	assert_int_equal(world->page, 1);
	va_start(statuses, id);
	for (; id; id = va_arg(statuses, const char *))
		page->agents[page->agent_count++] = agents_new(id, va_arg(statuses, const char *));
	va_end(statuses);
	page->total_count = (int64_t)page->agent_count;
	assert_int_equal(fleet_ingest(world->fleet, 1, page), 0);
}

static void fail_page(struct world *world, enum failure_cause cause)
{
	const struct failure failure = {.cause = (uint8_t)cause, .retry_after_ms = -1, .at_ns = 1};

	assert_int_equal(world->wanted--, 1);
	fleet_failed(world->fleet, world->page, &failure);
}

/* Runs a query, for which the list arrives with one agent on each page. ids: one letter each. */
static struct event_log *query_pages(struct world *world, const char *ids)
{
	struct query query = fleet_query(world->fleet);
	struct event_log *log = NULL;
	int err;

	while ((err = events_query(world->events, &query, false, &log)) == -EAGAIN) {
		struct page *page = agents_page(1);

		assert_int_equal(world->wanted--, 1);
		assert_in_range(world->page, 1, strlen(ids));
		page->agents[page->agent_count++] =
			agents_new((const char[]){ids[world->page - 1], '\0'}, "idle");
		page->total_count = (int64_t)strlen(ids);
		page->per_page = 1;
		assert_int_equal(fleet_ingest(world->fleet, world->page, page), 0);
	}
	assert_int_equal(err, 0);
	assert_non_null(log);
	return log;
}

/* Runs a query that returns at once. */
static struct event_log *query(struct world *world)
{
	struct query query = fleet_query(world->fleet);
	struct event_log *log = NULL;

	assert_int_equal(events_query(world->events, &query, false, &log), 0);
	assert_non_null(log);
	return log;
}

/* Runs the first query, of a fleet of one agent. */
static void begin(struct world *world)
{
	struct query first = fleet_query(world->fleet);
	struct event_log *log;

	assert_int_equal(events_query(world->events, &first, false, &log), -EAGAIN);
	bring(world, "gpu-01", "idle", (const char *)NULL);
	assert_int_equal(events_query(world->events, &first, false, &log), 0);
	assert_int_equal(log->text.length, 0);
}

/* The text of the log without the times, which are all the same, and with | for tabs. */
static const char *log_text(struct event_log *log)
{
	static char raw[1 << 18], text[sizeof(raw)];
	size_t bytes = log->text.length, length = 0;

	assert_true(bytes < sizeof(raw));
	if (bytes > 0)
		memcpy(raw, log->text.bytes, bytes);
	raw[bytes] = '\0';
	for (char *line = raw, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_memory_equal(line, TIME, strlen(TIME));
		for (char *at = line + strlen(TIME); at <= end; at++)
			text[length++] = (char)(*at == '\t' ? '|' : *at);
	}
	text[length] = '\0';
	return text;
}

static void change(struct world *world, const struct agent *before, const struct agent *after)
{
	assert_int_equal(events_changed(world->events, world->record, before, after, WALL_NS), 0);
}

/* Lines */

static void test_each_changed_file_is_a_line_unless_it_is_a_measurement_or_derived(void **state)
{
	static const char *const tasks[] = {"t1", "t2", "t\n3"};
	static const struct agent_gpu gpus[] = {{"H100", "cuda", 100, 60, 40},
	                                        {"A100", NULL, 10, AGENT_ABSENT, AGENT_ABSENT}};
	struct agent before = agents_blank("gpu-01"), after = agents_blank("gpu-02");

	after.status = "busy";
	after.version = "2";
	after.last_heartbeat = "2026-01-31T12:00:00Z";
	after.connected_at = "2026-01-30T12:00:00Z";
	after.platform_arch = "linux/amd64";
	after.tool = "comfyui";
	after.tool_version = "0.3";
	after.comfyui_version = "0.4";
	after.gpu_capacity = 2;
	after.gpu_free = 0;
	after.running_count = 3;
	after.running_tasks = (struct agent_list){tasks, 3};
	after.current_task_id = "t1";
	after.tasks_completed = 17;
	after.sync_phase = "models";
	after.sync_detail = "a b";
	after.sync_percent = 5;
	after.system_stats.comfyui_version = "0.5";
	after.system_stats.pytorch_version = "2.5";
	after.system_stats.os_type = "posix";
	after.gpus = gpus;
	after.gpu_count = 2;
	begin(*state);
	change(*state, &before, &after);
	assert_string_equal(log_text(query(*state)), "gpu-01|id|gpu-01|gpu-02\n"
	                                             "gpu-01|status|-|busy\n"
	                                             "gpu-01|version|-|2\n"
	                                             "gpu-01|connected_at|-|2026-01-30T12:00:00Z\n"
	                                             "gpu-01|platform_arch|-|linux/amd64\n"
	                                             "gpu-01|tool|-|comfyui\n"
	                                             "gpu-01|tool_version|-|0.3\n"
	                                             "gpu-01|comfyui_version|-|0.4\n"
	                                             "gpu-01|gpu_capacity|-|2\n"
	                                             "gpu-01|running_count|-|3\n"
	                                             "gpu-01|running_tasks|-|t1,t2,t\\x0a3\n"
	                                             "gpu-01|current_task_id|-|t1\n"
	                                             "gpu-01|tasks_completed|-|17\n"
	                                             "gpu-01|sync_phase|-|models\n"
	                                             "gpu-01|sync_detail|-|a b\n"
	                                             "gpu-01|system_stats/comfyui_version|-|0.5\n"
	                                             "gpu-01|system_stats/pytorch_version|-|2.5\n"
	                                             "gpu-01|system_stats/os_type|-|posix\n"
	                                             "gpu-01|gpus/0/name|-|H100\n"
	                                             "gpu-01|gpus/1/name|-|A100\n"
	                                             "gpu-01|gpus/0/type|-|cuda\n"
	                                             "gpu-01|gpus/0/vram_total|-|100\n"
	                                             "gpu-01|gpus/1/vram_total|-|10\n");
}

static void test_removed_value_is_followed_by_a_dash(void **state)
{
	static const struct agent_gpu gpus[] = {{"H100", "cuda", 100, 60, 40},
	                                        {"A100", NULL, 10, AGENT_ABSENT, AGENT_ABSENT}};
	static const char *const tasks[] = {"t1", "t2"};
	struct agent before = agents_blank("a"), after = agents_blank("a");

	before.status = "busy";
	before.gpus = gpus;
	before.gpu_count = 2;
	before.running_tasks = (struct agent_list){tasks, 2};
	after.gpus = gpus;
	after.gpu_count = 1;
	after.running_tasks = (struct agent_list){tasks + 1, 1};
	begin(*state);
	change(*state, &before, &after);
	assert_string_equal(log_text(query(*state)), "gpu-01|status|busy|-\n"
	                                             "gpu-01|running_tasks|t1,t2|t2\n"
	                                             "gpu-01|gpus/1/name|A100|-\n"
	                                             "gpu-01|gpus/1/vram_total|10|-\n");
}

static void test_labels_are_compared_by_name(void **state)
{
	static const char *const olds[] = {"a", "b/c", "d"}, *const news[] = {"d", "a", "e\tf"};
	struct agent before = agents_blank("a"), after = agents_blank("a");

	before.labels = (struct agent_list){olds, 3};
	after.labels = (struct agent_list){news, 3};
	begin(*state);
	change(*state, &before, &after);
	assert_string_equal(log_text(query(*state)), "gpu-01|labels/b%2Fc|b/c|-\n"
	                                             "gpu-01|labels/e%09f|-|e\\x09f\n");
}

static void test_same_text_is_no_event(void **state)
{
	static const char *const empty[] = {""};
	struct agent before = agents_blank("a"), after = agents_blank("a");

	before.status = "";
	after.json = "{\"unknown\":1}\n";
	after.json_bytes = 14;
	after.labels = (struct agent_list){empty, 1}; /* an empty file, which counts as missing */
	before.tool = "\x01";
	after.tool = "\\x01";
	begin(*state);
	change(*state, &before, &after);
	assert_int_equal(query(*state)->text.length, 0);
}

static void test_different_text_is_an_event_although_its_line_looks_the_same(void **state)
{
	static const char *const two[] = {"a", "b"}, *const one[] = {"a,b"};
	struct agent before = agents_blank("a"), after = agents_blank("a");

	before.status = "-";
	before.running_tasks = (struct agent_list){two, 2};
	after.running_tasks = (struct agent_list){one, 1};
	begin(*state);
	change(*state, &before, &after);
	assert_string_equal(log_text(query(*state)), "gpu-01|status|-|-\n"
	                                             "gpu-01|running_tasks|a,b|a,b\n");
}

static void test_value_cannot_forge_a_line(void **state)
{
	struct agent before = agents_blank("a"), after = agents_blank("a");

	after.status = "idle\n2023-11-14T22:13:20.250Z\tgpu-01\tstatus\tidle\tunhealthy\n"
		       "\r\x1b[2J\xff\xe2\x80\xae";
	begin(*state);
	change(*state, &before, &after);
	assert_string_equal(
		log_text(query(*state)),
		"gpu-01|status|-|idle\\x0a2023-11-14T22:13:20.250Z\\x09gpu-01\\x09status"
		"\\x09idle\\x09unhealthy\\x0a\\x0d\\x1b[2J\\xff\\xe2\\x80\\xae\n");
}

/* Queries */

static void test_nothing_is_logged_before_the_first_query(void **state)
{
	struct world *world = *state;
	struct agent before = agents_blank("a"), after = agents_blank("a");

	after.status = "busy";
	change(world, &before, &after);
	change(world, NULL, &after);
	begin(world);
	assert_int_equal(query(world)->text.length, 0);
	assert_null(events_previous(world->events));
}

static void test_change_is_logged_whatever_it_was_fetched_for(void **state)
{
	struct world *world = *state;
	struct query other;
	struct record *record;

	begin(world);
	world->now_ms += TTL_MS;
	other = fleet_query(world->fleet);
	assert_int_equal(fleet_find(world->fleet, "gpu-01", &other, &record), -EAGAIN);
	bring(world, "gpu-01", "busy", "b", "idle", (const char *)NULL);
	assert_int_equal(fleet_find(world->fleet, "gpu-01", &other, &record), 0);
	assert_string_equal(log_text(query(world)), "gpu-01|status|idle|busy\n"
	                                            "b|agent|-|joined\n");
	assert_int_equal(world->wants, 2);
}

static void test_departed_agent_is_an_event(void **state)
{
	struct world *world = *state;
	struct query last;
	struct event_log *log;

	begin(world);
	world->now_ms += TTL_MS;
	last = fleet_query(world->fleet);
	assert_int_equal(events_query(world->events, &last, false, &log), -EAGAIN);
	bring(world, "b", "idle", (const char *)NULL);
	assert_int_equal(events_query(world->events, &last, false, &log), -EAGAIN); /* again */
	bring(world, "b", "idle", (const char *)NULL);
	assert_int_equal(events_query(world->events, &last, false, &log), 0);
	assert_string_equal(log_text(log), "b|agent|-|joined\n"
	                                   "gpu-01|agent|left|-\n");
}

static void test_queries_cost_one_list_per_ttl(void **state)
{
	struct world *world = *state;

	begin(world);
	for (int second = 1; second < 35; second++) {
		struct query poll;
		struct event_log *log;

		world->now_ms += 1000;
		poll = fleet_query(world->fleet);
		if (events_query(world->events, &poll, second & 1, &log) == -EAGAIN)
			bring(world, "gpu-01", second & 16 ? "busy" : "idle", (const char *)NULL);
		assert_int_equal(events_query(world->events, &poll, second & 1, &log), 0);
	}
	assert_int_equal(world->wants, 4);
}

/* So cat reaches the end of a log that grows with each query. */
static void test_end_of_read_fetches_no_list(void **state)
{
	struct world *world = *state;
	struct query reading;
	struct event_log *log;

	begin(world);
	fleet_expire(world->fleet);
	reading = fleet_query(world->fleet);
	assert_int_equal(events_query(world->events, &reading, true, &log), 0);
	world->now_ms += 999;
	assert_int_equal(events_query(world->events, &reading, true, &log), 0);
	assert_int_equal(world->wants, 1);
	world->now_ms++;
	assert_int_equal(events_query(world->events, &reading, true, &log), -EAGAIN);
	assert_int_equal(world->wants, 2);
}

/* The list that has gaps only, because pages 1 and 2 stay bad, is not the first list. */
static void test_agent_found_after_a_list_of_gaps_has_not_joined(void **state)
{
	struct world *world = *state;
	struct query first = fleet_query(world->fleet);
	struct event_log *log;

	for (unsigned int page = 1; page <= 2; page++) {
		assert_int_equal(events_query(world->events, &first, false, &log), -EAGAIN);
		assert_int_equal(world->page, page);
		fail_page(world, FAILURE_MALFORMED);
	}
	assert_int_equal(events_query(world->events, &first, false, &log), 0);
	assert_int_equal(log->text.length, 0);
	world->now_ms += TTL_MS;
	assert_string_equal(log_text(query_pages(world, "abc")), "");
	world->now_ms += TTL_MS;
	assert_string_equal(log_text(query_pages(world, "abcd")), "d|agent|-|joined\n");
}

/* Refreshing without a reader */

static void test_log_of_a_fleet_that_is_refreshed_begins_at_the_mount(void **state)
{
	struct world *world = *state;

	fleet_refresh(world->fleet);
	bring(world, "gpu-01", "idle", (const char *)NULL);
	fleet_refresh(world->fleet);
	world->now_ms += TTL_MS;
	fleet_refresh(world->fleet);
	bring(world, "gpu-01", "busy", "b", "idle", (const char *)NULL);
	fleet_refresh(world->fleet);
	assert_int_equal(world->wanted, 0);
	assert_string_equal(log_text(query(world)), "gpu-01|status|idle|busy\n"
	                                            "b|agent|-|joined\n");
}

static void test_change_before_the_first_list_is_complete_is_an_event(void **state)
{
	struct world *world = *state;
	struct query other = fleet_query(world->fleet);
	struct record *record;

	assert_int_equal(fleet_find(world->fleet, "gpu-01", &other, &record), -EAGAIN);
	bring(world, "gpu-01", "idle", (const char *)NULL);
	fleet_expire(world->fleet);
	fleet_refresh(world->fleet);
	bring(world, "gpu-01", "busy", "b", "idle", (const char *)NULL);
	fleet_refresh(world->fleet);
	assert_string_equal(log_text(query(world)), "gpu-01|status|idle|busy\n");
}

static void test_log_of_a_fleet_that_is_refreshed_fails_before_the_first_list(void **state)
{
	struct world *world = *state;
	struct query first = fleet_query(world->fleet);
	struct event_log *log;

	fleet_refresh(world->fleet);
	assert_int_equal(events_query(world->events, &first, false, &log), -EAGAIN);
	fail_page(world, FAILURE_SERVER);
	assert_int_equal(events_query(world->events, &first, false, &log), -EREMOTEIO);
}

/* Failures of the API */

static void test_first_query_fails_without_an_api(void **state)
{
	struct world *world = *state;
	struct query first = fleet_query(world->fleet);
	struct event_log *log;

	assert_int_equal(events_query(world->events, &first, false, &log), -EAGAIN);
	fail_page(world, FAILURE_SERVER);
	assert_int_equal(events_query(world->events, &first, false, &log), -EREMOTEIO);
	world->now_ms += 2000;
	begin(world);
}

static void test_log_is_served_while_the_api_fails(void **state)
{
	struct world *world = *state;
	const int64_t ages_ms[] = {TTL_MS, TTL_MS + STALE_MS};
	struct event_log *now;
	struct query back;

	begin(world);
	for (int i = 0; i < 2; i++) {
		struct query poll;
		struct event_log *log;

		world->now_ms += ages_ms[i];
		poll = fleet_query(world->fleet);
		assert_int_equal(events_query(world->events, &poll, false, &log), -EAGAIN);
		fail_page(world, FAILURE_SERVER);
		assert_int_equal(events_query(world->events, &poll, false, &log), 0);
		query(world);
		assert_int_equal(world->wanted, 0);
	}
	world->now_ms += 40000;
	back = fleet_query(world->fleet);
	assert_int_equal(events_query(world->events, &back, false, &now), -EAGAIN);
	bring(world, "gpu-01", "busy", (const char *)NULL);
	assert_string_equal(log_text(query(world)), "gpu-01|status|idle|busy\n");
}

static void test_query_waits_a_little_for_a_slow_api(void **state)
{
	struct world *world = *state;
	const int64_t ages_ms[] = {TTL_MS, TTL_MS + STALE_MS};

	begin(world);
	for (int i = 0; i < 2; i++) {
		struct query poll;
		struct event_log *log;

		world->now_ms += ages_ms[i];
		poll = fleet_query(world->fleet);
		assert_int_equal(events_query(world->events, &poll, false, &log), -EAGAIN);
		assert_int_equal(poll.wake_ms, world->now_ms + 2000);
		world->now_ms = poll.wake_ms;
		assert_int_equal(events_query(world->events, &poll, false, &log), 0);
		bring(world, "gpu-01", "idle", (const char *)NULL);
	}
}

/* Rotation */

static void fill(struct world *world, uint64_t bytes)
{
	struct agent agents[2] = {agents_blank("a"), agents_blank("a")};
	struct event_log *before = events_previous(world->events);

	agents[0].status = "0";
	agents[1].status = "1";
	for (int i = 0; query(world)->text.length < bytes; i++)
		change(world, &agents[i & 1], &agents[!(i & 1)]);
	assert_ptr_equal(events_previous(world->events), before);
}

static void append_one(struct world *world)
{
	const struct agent before = agents_blank("a");
	struct agent after = agents_blank("a");

	after.status = "one more";
	change(world, &before, &after);
}

/* Lets time pass, with an API that answers each time the list has expired. */
static void pass_time(struct world *world, int64_t ms)
{
	struct query poll;
	struct event_log *log;

	world->now_ms += ms;
	poll = fleet_query(world->fleet);
	if (events_query(world->events, &poll, false, &log) == -EAGAIN)
		bring(world, "gpu-01", "idle", (const char *)NULL);
}

static void test_full_log_becomes_the_previous_log(void **state)
{
	struct world *world = *state;
	const struct agent same = agents_blank("a");
	struct event_log *first, *second;
	uint64_t bytes;

	begin(world);
	fill(world, FULL);
	first = event_log_ref(query(world));
	assert_true(events_is_current(world->events, first));
	pass_time(world, EVENTS_MIN_AGE_MS);
	change(world, &same, &same);
	assert_ptr_equal(query(world), first); /* a new log begins with its first event */
	bytes = first->text.length;
	append_one(world);
	second = query(world);
	assert_ptr_not_equal(second, first);
	assert_string_equal(log_text(second), "gpu-01|status|-|one more\n");
	assert_ptr_equal(events_previous(world->events), first);
	assert_false(events_is_current(world->events, first));
	assert_int_equal(first->text.length, bytes);

	fill(world, FULL);
	pass_time(world, EVENTS_MIN_AGE_MS);
	append_one(world);
	assert_ptr_equal(events_previous(world->events), second);
	assert_int_equal(first->refs, 1); /* only this test refers to it */
	assert_int_equal(first->text.length, bytes);
	event_log_unref(first);
}

static void test_log_is_kept_for_some_seconds_although_full(void **state)
{
	struct world *world = *state;
	struct event_log *first;

	begin(world);
	first = query(world);
	fill(world, 2 * FULL);
	pass_time(world, EVENTS_MIN_AGE_MS - 1);
	append_one(world);
	assert_ptr_equal(query(world), first);
	pass_time(world, 1);
	append_one(world);
	assert_ptr_equal(events_previous(world->events), first);
}

static void test_log_is_replaced_at_the_latest_at_its_maximum(void **state)
{
	struct world *world = *state;
	struct event_log *first;

	begin(world);
	first = query(world);
	fill(world, EVENTS_MAX_FACTOR * FULL);
	append_one(world);
	assert_ptr_equal(events_previous(world->events), first);
	assert_true(first->text.length < EVENTS_MAX_FACTOR * FULL + 200);
}

int main(void)
{
#define TEST(function)    cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define REFRESH(function) cmocka_unit_test_setup_teardown(function, set_up_refresh, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_each_changed_file_is_a_line_unless_it_is_a_measurement_or_derived),
		TEST(test_removed_value_is_followed_by_a_dash),
		TEST(test_labels_are_compared_by_name),
		TEST(test_same_text_is_no_event),
		TEST(test_different_text_is_an_event_although_its_line_looks_the_same),
		TEST(test_value_cannot_forge_a_line),
		TEST(test_nothing_is_logged_before_the_first_query),
		TEST(test_change_is_logged_whatever_it_was_fetched_for),
		TEST(test_departed_agent_is_an_event),
		TEST(test_queries_cost_one_list_per_ttl),
		TEST(test_end_of_read_fetches_no_list),
		TEST(test_agent_found_after_a_list_of_gaps_has_not_joined),
		REFRESH(test_log_of_a_fleet_that_is_refreshed_begins_at_the_mount),
		REFRESH(test_change_before_the_first_list_is_complete_is_an_event),
		REFRESH(test_log_of_a_fleet_that_is_refreshed_fails_before_the_first_list),
		TEST(test_first_query_fails_without_an_api),
		TEST(test_log_is_served_while_the_api_fails),
		TEST(test_query_waits_a_little_for_a_slow_api),
		cmocka_unit_test_setup_teardown(test_query_waits_a_little_for_a_slow_api,
	                                        set_up_no_timeout, tear_down),
		TEST(test_full_log_becomes_the_previous_log),
		TEST(test_log_is_kept_for_some_seconds_although_full),
		TEST(test_log_is_replaced_at_the_latest_at_its_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
