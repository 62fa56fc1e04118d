/* SPDX-License-Identifier: MIT */
/*
 * A file as the source of pages. With a ttl of 0 it is checked for each page, with a ttl of a day
 * only for the first one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/http/client.h"
#include "api/replay/replay.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define DAY_MS        86400000

static char directory[] = "/tmp/fleetfs-replay-XXXXXX";
static char file[64], spare[64];

/* Writes a new file, and renames it to the file of the test, as mv does. */
static void replace(const char *other, const char *text)
{
	int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(rename(other, file), 0);
}

static void put(const char *text)
{
	replace(spare, text);
}

/* Returns a list of `count` agents a0, a1, ... of a status, whose total_count is `total`; to be
 * freed. */
static char *list_of(size_t count, const char *status, int64_t total)
{
	char *text = malloc(200 + count * (60 + strlen(status))), *end = text;

	if (!text)
		abort();
	end += sprintf(end, "{\"agent_list\":[");
	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "%s{\"agent_id\":\"a%zu\",\"agent_status\":\"%s\"}",
		               i ? ",\n" : "", i, status);
	sprintf(end, "],\"page_meta\":{\"per_page\":%" PRId64 ",\"total_count\":%" PRId64 "}}\n",
	        total, total);
	return text;
}

static void put_list(size_t count, const char *status, int64_t total)
{
	char *text = list_of(count, status, total);

	put(text);
	free(text);
}

static struct replay *new_replay(int64_t ttl_ms)
{
	struct replay *replay = replay_new(file, 100, ttl_ms);

	assert_non_null(replay);
	return replay;
}

/* Returns a page, to be freed, and the note in ret_note unless that is NULL. */
static struct page *get_page(struct replay *replay, unsigned int number, bool again, char *ret_note)
{
	struct fetch fetch = {.number = number};

	replay_fetch(replay, again, &fetch);
	if (!fetch.page)
		fail_msg("page %u: %s", number, fetch.failure.message);
	assert_string_equal(fetch.failure.message, "");
	assert_int_equal(fetch.page->per_page, 100);
	assert_true(fetch.page->age_ms >= 0 && fetch.page->age_ms < 60000);
	if (ret_note)
		strcpy(ret_note, fetch.note);
	return fetch.page;
}

static void assert_status(struct replay *replay, bool again, const char *status)
{
	struct page *page = get_page(replay, 1, again, NULL);

	assert_true(page->agent_count > 0);
	assert_string_equal(page->agents[0]->status, status);
	page_free(page);
}

/* The first page fails. reason: the message after the name of the file. */
static void assert_failure(struct replay *replay, enum failure_cause cause, const char *reason)
{
	struct fetch fetch = {.number = 1};
	char expected[600];

	replay_fetch(replay, false, &fetch);
	assert_null(fetch.page);
	snprintf(expected, sizeof(expected), "%s: %s", file, reason);
	assert_string_equal(fetch.failure.message, expected);
	assert_string_equal(fetch.failure.url, file);
	assert_int_equal(fetch.failure.cause, cause);
	assert_int_equal(fetch.failure.http_status, 0);
	assert_int_equal(fetch.failure.retry_after_ms, -1);
	assert_true(fetch.failure.at_ns > 0);
}

static void test_pages_are_slices_of_the_list(void **state)
{
	struct replay *replay;
	struct page *page;
	char note[256], id[16];

	(void)state;
	put_list(1042, "idle", 1042);
	replay = new_replay(DAY_MS);
	for (unsigned int number = 11; number >= 1; number--) {
		page = get_page(replay, number, false, note);
		assert_string_equal(note, "");
		assert_int_equal(page->total_count, 1042);
		assert_int_equal(page->agent_count, number < 11 ? 100 : 42);
		for (size_t i = 0; i < page->agent_count; i++) {
			snprintf(id, sizeof(id), "a%zu", (number - 1) * 100 + i);
			assert_string_equal(page->agents[i]->id, id);
		}
		page_free(page);
	}
	page = get_page(replay, 12, false, NULL);
	assert_int_equal(page->agent_count, 0);
	page_free(page);
	page = get_page(replay, UINT32_MAX, false, NULL);
	assert_int_equal(page->agent_count, 0);
	page_free(page);
	replay_free(replay);
	replay_free(NULL);
}

/* The number of agents in the file is not its total_count, or there is no total_count. */
static void test_a_part_of_a_list_is_noted_once(void **state)
{
	static const struct {
		const char *text, *note;
	} rows[] = {
		{"{\"agent_list\":[{\"agent_id\":\"a\"}],\"page_meta\":{\"total_count\":1042}}",
	         "the file has 1 agents, but its total_count is 1042"},
		{"{\"agent_list\":[{\"agent_id\":\"a\"}],\"page_meta\":{\"total_count\":0}}",
	         "the file has 1 agents, but its total_count is 0"},
		{"{\"agent_list\":[{\"agent_id\":\"a\"}]}",
	         "the file has 1 agents, and no total_count to compare with"},
		{"{\"agent_list\":[{\"agent_id\":\"a\"}],\"page_meta\":{\"total_count\":1e400}}",
	         "the file has 1 agents, and no total_count to compare with"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct replay *replay;
		struct page *page;
		char note[256];

		put(rows[i].text);
		replay = new_replay(0);
		page = get_page(replay, 1, false, note);
		assert_string_equal(note, rows[i].note);
		assert_int_equal(page->agent_count, 1);
		assert_int_equal(page->total_count, AGENT_ABSENT);
		page_free(page);
		/* There is one note per number of agents. */
		page_free(get_page(replay, 1, false, note));
		assert_string_equal(note, "");
		put_list(2, "idle", 3);
		page_free(get_page(replay, 1, false, note));
		assert_string_equal(note, "the file has 2 agents, but its total_count is 3");
		replay_free(replay);
	}
}

static void test_a_changed_file_is_read_again_after_the_ttl(void **state)
{
	struct replay *replay;

	(void)state;
	put_list(3, "old", 3);
	replay = new_replay(DAY_MS);
	assert_status(replay, false, "old");
	put_list(3, "new", 3);
	assert_status(replay, false, "old");
	assert_status(replay, true, "new");
	unlink(file);
	assert_status(replay, false, "new");
	replay_free(replay);

	put_list(3, "one", 3);
	replay = new_replay(0);
	assert_status(replay, false, "one");
	put_list(3, "two", 3);
	assert_status(replay, false, "two");
	/* Written in place with the same size, so quickly that the times may not change. */
	for (int i = 0; i < 100; i++) {
		int fd = open(file, O_WRONLY);
		char *text = list_of(3, i % 2 ? "odd" : "eve", 3);

		assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
		close(fd);
		free(text);
		assert_status(replay, false, i % 2 ? "odd" : "eve");
	}
	replay_free(replay);
}

static void test_a_file_that_is_no_list_fails_with_the_reason(void **state)
{
	struct replay *replay = new_replay(DAY_MS);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	unlink(file);
	assert_failure(replay, FAILURE_UNREACHABLE, "No such file or directory");
	put("");
	assert_failure(replay, FAILURE_MALFORMED, "empty");
	put("<html>\n");
	assert_failure(replay, FAILURE_MALFORMED, "not JSON at line 1, column 1: no value");
	put("{\"agent_list\":\n  [{\"agent_id\":\"a\"]}");
	assert_failure(replay, FAILURE_MALFORMED, "not JSON at line 2, column 19: no comma");
	put("{\"agents\":[]}");
	assert_failure(replay, FAILURE_MALFORMED,
	               "no agent_list in it: it is not a response of GET /agents");
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_failure(replay, FAILURE_MALFORMED, "is a directory, not a file");
	rmdir(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_failure(replay, FAILURE_MALFORMED, "is a pipe, not a file");
	unlink(file);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, file);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_failure(replay, FAILURE_MALFORMED, "is a socket, not a file");
	close(fd);
	unlink(file);
	assert_int_equal(symlink("/dev/null", file), 0);
	assert_failure(replay, FAILURE_MALFORMED, "is a device, not a file");
	unlink(file);
	assert_int_equal(symlink(file, file), 0);
	assert_failure(replay, FAILURE_UNREACHABLE, "Too many levels of symbolic links");
	unlink(file);
	/* A sparse file, of which nothing is read. */
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (INT64_C(512) << 20) + 1), 0);
	close(fd);
	assert_failure(replay, FAILURE_OVERSIZED, "larger than 512 MiB");
	unlink(file);
	/* A list that can be read again is served at once. A symlink is followed. */
	put_list(3, "well", 3);
	assert_int_equal(rename(file, spare), 0);
	assert_int_equal(symlink(spare, file), 0);
	assert_status(replay, false, "well");
	unlink(file);
	unlink(spare);
	replay_free(replay);
}

/* The message states where the file ends. */
static void test_a_truncated_list_fails_with_the_place_of_its_end(void **state)
{
	char *text = list_of(3, "idle", 3);
	size_t bytes = strlen(text) - 1; /* without the line end */
	struct replay *replay = new_replay(0);

	(void)state;
	for (size_t i = 1; i < bytes; i++) {
		char *cut = strndup(text, i), expected[80];
		const char *line = strrchr(cut, '\n');
		size_t lines = 1;

		for (const char *at = cut; *at; at++)
			lines += *at == '\n';
		snprintf(expected, sizeof(expected),
		         "not JSON at line %zu, column %zu: it ends early", lines,
		         line ? strlen(line) : i + 1);
		put(cut);
		assert_failure(replay, FAILURE_MALFORMED, expected);
		free(cut);
	}
	replay_free(replay);
	free(text);
}

static atomic_bool stop;

/* Replaces the file continually by rename(), by one of two lists that differ in every agent. */
static void *replacer(void *data)
{
	char *texts[] = {list_of(450, "even", 450), list_of(450, "odd-and-longer", 450)};
	char other[80];

	(void)data;
	snprintf(other, sizeof(other), "%s/other", directory);
	for (unsigned int i = 0; !stop; i++)
		replace(other, texts[i % 2]);
	free(texts[0]);
	free(texts[1]);
	return NULL;
}

/* The file is checked for page 1 only, so the other pages are from the same list. */
static void test_all_pages_are_of_one_list_while_it_is_replaced(void **state)
{
	unsigned int seen[2] = {0};
	struct replay *replay;
	pthread_t thread;

	(void)state;
	put_list(450, "even", 450);
	replay = new_replay(DAY_MS);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, replacer, NULL), 0);
	for (int i = 0; i < 100000 && (i < 300 || !seen[0] || !seen[1]); i++) {
		const char *status = NULL;
		bool odd = false;

		for (unsigned int number = 1; number <= 5; number++) {
			struct fetch fetch = {.number = number};

			replay_fetch(replay, number == 1, &fetch);
			if (!fetch.page)
				fail_msg("%s", fetch.failure.message);
			assert_int_equal(fetch.page->agent_count, number < 5 ? 100 : 50);
			for (size_t j = 0; j < fetch.page->agent_count; j++) {
				if (!status)
					odd = *fetch.page->agents[j]->status == 'o';
				status = odd ? "odd-and-longer" : "even";
				assert_string_equal(fetch.page->agents[j]->status, status);
			}
			page_free(fetch.page);
		}
		seen[odd]++;
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(seen[0] > 0 && seen[1] > 0);
	replay_free(replay);
}

/* The client with a file as its source needs no token and makes no request. */
static void test_a_client_with_a_file_needs_no_token(void **state)
{
	const struct client_config config = {
		.file = file, .ttl_ms = DAY_MS, .per_page = 100, .max_connections = 6};
	struct client *client;
	struct fetch *fetch;
	bool seen[12] = {false};

	(void)state;
	put_list(1042, "idle", 1042);
	assert_int_equal(client_new(&config, NULL, &client), 0);
	for (unsigned int number = 1; number <= 11; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	for (unsigned int i = 0; i < 11; i++) {
		struct pollfd ready = {.fd = client_fd(client), .events = POLLIN};

		assert_int_equal(poll(&ready, 1, 10000), 1);
		fetch = client_take(client);
		assert_non_null(fetch);
		assert_non_null(fetch->page);
		assert_int_equal(fetch->requests, 0);
		assert_int_equal(fetch->token_expiry, 0);
		assert_false(seen[fetch->number]);
		seen[fetch->number] = true;
		fetch_free(fetch);
	}
	assert_null(client_take(client));
	/* SIGHUP */
	put_list(1042, "busy", 1042);
	client_reread(client);
	assert_int_equal(client_request_page(client, 2, NULL, false), 0);
	while (!(fetch = client_take(client)))
		poll(&(struct pollfd){.fd = client_fd(client), .events = POLLIN}, 1, 10000);
	assert_string_equal(fetch->page->agents[0]->status, "busy");
	fetch_free(fetch);
	/* The client is freed while pages are wanted. */
	for (unsigned int number = 1; number <= 11; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	client_free(client);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(file, sizeof(file), "%s/fleet.json", directory);
	snprintf(spare, sizeof(spare), "%s/spare", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_are_slices_of_the_list),
		cmocka_unit_test(test_a_part_of_a_list_is_noted_once),
		cmocka_unit_test(test_a_changed_file_is_read_again_after_the_ttl),
		cmocka_unit_test(test_a_file_that_is_no_list_fails_with_the_reason),
		cmocka_unit_test(test_a_truncated_list_fails_with_the_place_of_its_end),
		cmocka_unit_test(test_all_pages_are_of_one_list_while_it_is_replaced),
		cmocka_unit_test(test_a_client_with_a_file_needs_no_token),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
