/* SPDX-License-Identifier: MIT */
/*
 * Out of memory in decoding, text, options, the token, the client and replay. Whichever allocation
 * fails, the result is the right one or -ENOMEM, and the right one when there is memory again.
 * Nothing is leaked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "api/json/decode.h"
#include "api/replay/replay.h"
#include "fs/program/options.h"
#include "fs/tree/names.h"
#include "fs/tree/text.h"
#include "tests/unit/allocation.h"

/* Decoding */

static const char example[] =
	"{\"agent_list\":[{\"agent_id\":\"gpu-node-01\",\"agent_status\":\"idle\","
	"\"agent_labels\":[\"gpu\",\"a100\"],\"gpu_capacity\":8,\"running_count\":3,"
	"\"running_tasks\":[\"019abc12\"],\"system_stats\":{\"os_type\":\"posix\",\"gpu_devices\":"
	"[{\"device_name\":\"RTX 4090\",\"vram_total\":25769803776,\"vram_free\":22548578304}]}}],"
	"\"page_meta\":{\"current_page\":1,\"per_page\":20,\"total_count\":42}}";

static const char hostile[] =
	" { \"agent_list\" : [ {\"agent_id\":\"../\\u001b\",\"agent_status\":1},"
	"7, {\"agent_id\":\"\xff\\ud800\\u001B\",\"gpu_capacity\":1e400,\"agent_labels\":"
	"[\"\",\"\",7,\"\xc2\x9b\"]}, {}, {\"agent_id\":\"\",\"system_stats\":{\"gpu_devices\":"
	"[7,{},{\"vram_total\":9007199254740993}]}} ],\"page_meta\":{\"total_count\":-1}}";

static const struct body {
	const char *text;
	size_t bytes;
} bodies[] = {{example, sizeof(example) - 1}, {hostile, sizeof(hostile) - 1}};

static const struct body *body;
static struct page *right;

static void decode(void)
{
	struct failure failure = {0};
	struct page *page = NULL;
	int err = decode_page(body->text, body->bytes, &page, &failure);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(failure.cause, FAILURE_MEMORY);
		assert_null(page);
		allocation_expect_failed();
		assert_int_equal(decode_page(body->text, body->bytes, &page, &failure), 0);
	}
	assert_int_equal(page->agent_count, right->agent_count);
	assert_int_equal(page->dropped, right->dropped);
	assert_int_equal(page->total_count, right->total_count);
	for (size_t i = 0; i < page->agent_count; i++)
		for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++)
			if (agent_fields[field].place != AGENT_PLACE_GPU)
				assert_true(agent_field_equal(page->agents[i], right->agents[i],
				                              field, 0));
	page_free(page);
}

static void test_page_is_decoded_or_enomem(void **state)
{
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		body = &bodies[i];
		if (decode_page(body->text, body->bytes, &right, &failure) < 0)
			fail_msg("%s", failure.message);
		allocation_fail_each(decode, 3);
		page_free(right);
	}
}

/* Without memory to decode an error, its beginning is shown; without memory to decode a token, it
 * has no expiry. */
static void decode_words(void)
{
	static const char words[] = "{\"message\":\"no team\"}", token[] = "{\"exp\":7}";
	char text[64];
	int64_t expiry;

	decode_message(words, sizeof(words) - 1, text, sizeof(text));
	if (strcmp(text, "no team") != 0)
		assert_string_equal(text, words);
	expiry = decode_jwt_expiry(token, sizeof(token) - 1);
	if (expiry != 7)
		assert_int_equal(expiry, 0);
}

static void test_error_is_decoded_or_shown_raw(void **state)
{
	(void)state;
	allocation_fail_each(decode_words, 2);
}

/* Text, names and options */

static void write_text(void)
{
	char expected[512] = "";
	struct text text;
	bool again;

	for (int i = 0; i < 20; i++)
		strcat(expected, "\\x1b[31m 7\n");
	text_init(&text, 1 << 16);
	do {
		for (int i = 0; i < 20; i++) {
			text_escaped(&text, "\x1b[31m");
			text_printf(&text, " %d", 7);
			text_bytes(&text, "\n", 1);
		}
		again = text_error(&text) < 0;
		if (again) {
			assert_int_equal(text_error(&text), -ENOMEM);
			allocation_expect_failed();
			text_clear(&text);
		}
	} while (again);
	assert_int_equal(text.length, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.length);
	text_done(&text);
}

static void write_name(void)
{
	char name[NAME_BYTES];

	name_encode("../\x1b", name);
	assert_string_equal(name, "%2E.%2F%1B");
}

static void test_text_is_written_or_enomem(void **state)
{
	(void)state;
	allocation_fail_each(write_text, 2);
	allocation_fail_each(write_name, 0);
}

static void parse(void)
{
	static const char *const words[] = {"fleetfs",
	                                    "--token-file=t",
	                                    "-ottl=5,allow_other,fsname=a\\,b",
	                                    "--team",
	                                    "x",
	                                    "https://127.0.0.1/",
	                                    "m"};
	char *const *argv = (char *const *)(uintptr_t)words;
	char why[OPTIONS_WHY_BYTES] = "";
	struct options options;
	struct text text;
	int status = options_parse(7, argv, &options, why);

	if (status != 0) {
		assert_int_equal(status, 1);
		assert_true(*why);
		allocation_expect_failed();
		assert_int_equal(options_parse(7, argv, &options, why), 0);
	}
	assert_string_equal(options.source, "https://127.0.0.1");
	assert_string_equal(options.cacert, "/ca.pem");
	assert_string_equal(strrchr(options.ca_dirs, '/'), "/b");
	assert_string_equal(options.mountpoint, "m");
	assert_string_equal(options.team, "x");
	assert_string_equal(options.fuse, "allow_other,fsname=a\\,b");
	assert_string_equal(strrchr(options.token_file, '/'), "/t");
	assert_int_equal(options.ttl_ms, 5000);
	text_init(&text, 1 << 16);
	options_text(&options, options.mountpoint, &text);
	if (text_error(&text))
		allocation_expect_failed();
	text_done(&text);
	options_done(&options);
}

static void test_options_are_parsed_or_rejected(void **state)
{
	(void)state;
	setenv("SSL_CERT_FILE", "/ca.pem", 1);
	setenv("SSL_CERT_DIR", "a:b", 1);
	allocation_fail_each(parse, 8);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
}

/* The token and the fetching thread */

static struct credential *find_token(void)
{
	struct failure failure = {0};
	struct credential *credential = NULL;
	int err = credential_new(NULL, "team", &credential, &failure);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		assert_null(credential);
		allocation_expect_failed();
		assert_int_equal(credential_new(NULL, "team", &credential, &failure), 0);
	}
	assert_string_equal(credential_token(credential), getenv("FLEETFS_TOKEN"));
	assert_string_equal(credential_team(credential), "team");
	return credential;
}

static struct client *start_client(const char *base)
{
	const struct client_config config = {
		.base = base,
		.cacert = "/ca.pem",
		.ca_dirs = "/cas",
		.timeout_ms = 5000,
		.connect_timeout_ms = 5000,
		.per_page = 20,
		.max_connections = 2,
	};
	struct credential *credential = find_token();
	struct client *client = NULL;
	int err = client_new(&config, credential, &client);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		allocation_expect_failed();
		assert_int_equal(client_new(&config, credential, &client), 0);
	}
	return client;
}

static struct fetch *next_fetch(struct client *client)
{
	struct fetch *fetch;

	while (!(fetch = client_take(client))) {
		struct pollfd polled = {.fd = client_fd(client), .events = POLLIN};

		assert_int_equal(poll(&polled, 1, 20000), 1);
	}
	return fetch;
}

static void fetch_one(void)
{
	struct client *client = start_client("http://127.0.0.1:1/api"); /* no server */

	for (unsigned int number = 1; number <= 3; number++) {
		struct fetch *fetch;

		if (client_request_page(client, number, NULL, false) < 0) {
			allocation_expect_failed();
			assert_int_equal(client_request_page(client, number, NULL, false), 0);
		}
		fetch = next_fetch(client);
		assert_int_equal(fetch->number, number);
		assert_null(fetch->page);
		if (fetch->failure.cause == FAILURE_MEMORY)
			allocation_expect_failed();
		else
			assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
		fetch_free(fetch);
	}
	client_free(client);
}

/* Starts an API that replies 304 to every request, in a process of its own: its allocations must
 * not fail. Returns the process, and its URL. */
static pid_t serve(char *ret_base, size_t room)
{
	static const char unchanged[] = "HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n";
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char head[2048];
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &bytes);
	snprintf(ret_base, room, "http://127.0.0.1:%u/api", ntohs(address.sin_port));
	pid = fork();
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0 && (fd = accept(listener, NULL, NULL)) >= 0) {
		while (recv(fd, head, sizeof(head), 0) > 0)
			send(fd, unchanged, sizeof(unchanged) - 1, MSG_NOSIGNAL);
		close(fd);
	}
	close(listener);
	return pid;
}

static char unchanging[64]; /* the URL of serve() */

static void fetch_unchanged(void)
{
	const struct validator condition = {.etag = "\"a\"",
	                                    .last_modified = "Tue, 14 Nov 2023 22:13:10 GMT"};
	struct client *client = start_client(unchanging);

	for (int i = 0; i < 2; i++) {
		struct fetch *fetch;

		if (client_request_page(client, 1, &condition, false) < 0) {
			allocation_expect_failed();
			assert_int_equal(client_request_page(client, 1, &condition, false), 0);
		}
		fetch = next_fetch(client);
		if (!fetch->page) {
			assert_int_equal(fetch->failure.cause, FAILURE_MEMORY);
			allocation_expect_failed();
		} else {
			assert_true(fetch->page->unchanged);
			assert_string_equal(fetch->page->validator.etag, "\"b\"");
		}
		fetch_free(fetch);
	}
	client_free(client);
}

static void test_unchanged_page_is_fetched_or_enomem(void **state)
{
	pid_t server = serve(unchanging, sizeof(unchanging));

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	setenv("FLEETFS_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjU2MDB9.x", 1);
	allocation_fail_each(fetch_unchanged, 5);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static void test_fetch_is_unreachable_or_enomem(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	setenv("FLEETFS_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjU2MDB9.x", 1);
	allocation_fail_each(fetch_one, 5);
}

static char saved[] = "/tmp/fleetfs-memory-XXXXXX";

static void replay(void)
{
	struct replay *replay = replay_new(saved, 1, 0);

	if (!replay) {
		allocation_expect_failed();
		replay = replay_new(saved, 1, 0);
		assert_non_null(replay);
	}
	for (unsigned int number = 1; number <= 3; number++) {
		struct fetch fetch = {.number = number};

		replay_fetch(replay, false, &fetch);
		if (!fetch.page) {
			assert_int_equal(fetch.failure.cause, FAILURE_MEMORY);
			allocation_expect_failed();
			replay_fetch(replay, false, &fetch);
			assert_non_null(fetch.page);
		}
		assert_int_equal(fetch.page->agent_count + fetch.page->dropped, 1);
		page_free(fetch.page);
	}
	replay_free(replay);
}

static void test_saved_page_is_returned_or_enomem(void **state)
{
	int fd = mkstemp(saved);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, hostile, sizeof(hostile) - 1), sizeof(hostile) - 1);
	close(fd);
	allocation_fail_each(replay, 10);
	unlink(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_decoded_or_enomem),
		cmocka_unit_test(test_error_is_decoded_or_shown_raw),
		cmocka_unit_test(test_text_is_written_or_enomem),
		cmocka_unit_test(test_options_are_parsed_or_rejected),
		cmocka_unit_test(test_fetch_is_unreachable_or_enomem),
		cmocka_unit_test(test_unchanged_page_is_fetched_or_enomem),
		cmocka_unit_test(test_saved_page_is_returned_or_enomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
