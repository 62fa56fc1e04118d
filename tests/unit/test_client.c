/* SPDX-License-Identifier: MIT */
/* The client: one request per wanted page, timeouts, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/client_fixture.h"

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void test_each_wanted_page_is_one_request_on_one_connection(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;
	char request[2048];

	(void)state;
	assert_null(client_take(client));
	for (unsigned int number = 1; number <= 3; number++) {
		struct pollfd ready = {.fd = client_fd(client), .events = POLLIN};

		fetch = client_fixture_fetch(client, number);
		assert_non_null(fetch->page);
		assert_int_equal(fetch->page->agent_count, 0);
		assert_int_equal(fetch->requests, 1);
		assert_int_equal(fetch->bytes, strlen(OK));
		assert_string_equal(fetch->note, "");
		fetch_free(fetch);
		assert_int_equal(poll(&ready, 1, 0), 0);
		assert_null(client_take(client));
	}
	assert_int_equal(server_requests(server), 3);
	assert_int_equal(server_connections(server), 1);
	server_request(server, 1, request, sizeof(request));
	assert_non_null(
		strstr(request, "GET /api/v1/agents?current_page=2&per_page=100 HTTP/1.1\r\n"));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer sk-secret\r\n"));
	assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
	assert_non_null(strstr(request, "\r\nAccept-Encoding: gzip\r\n"));
	assert_non_null(strstr(request, "\r\nUser-Agent: fleetfs/" FLEETFS_VERSION "\r\n"));
	assert_null(strstr(request, "X-Team-ID"));
	client_free(client);
	server_free(server);
	fetch_free(NULL);
	client_free(NULL);
}

static void test_the_team_is_sent_and_user_information_in_the_url_is_not(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	char base[80], request[2048];
	struct client *client;

	(void)state;
	client_fixture_write_token("opaque");
	snprintf(base, sizeof(base), "http://user:hidden@127.0.0.1:%u/", server_port(server));
	client = client_fixture_new_at(base, "team-1");
	fetch_free(client_fixture_fetch(client, 1));
	server_request(server, 0, request, sizeof(request));
	assert_non_null(strstr(request, "GET /agents?current_page=1"));
	assert_non_null(strstr(request, "\r\nX-Team-ID: team-1\r\n"));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer opaque\r\n"));
	client_free(client);
	server_free(server);
}

static void test_requests_at_once_are_limited(void **state)
{
	static const struct server_step steps[] = {{.text = OK, .delay_ms = 50}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	bool seen[13] = {false};

	(void)state;
	for (unsigned int number = 1; number <= 12; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	for (int i = 0; i < 12; i++) {
		struct fetch *fetch = client_fixture_take(client);

		assert_non_null(fetch->page);
		assert_true(fetch->number >= 1 && fetch->number <= 12);
		assert_false(seen[fetch->number]);
		seen[fetch->number] = true;
		fetch_free(fetch);
	}
	assert_null(client_take(client));
	assert_int_equal(server_requests(server), 12);
	assert_int_equal(server_most_at_once(server), 3);
	client_free(client);
	server_free(server);
}

static void test_a_refused_connection_is_unreachable(void **state)
{
	struct server *server = server_new(NULL, 0);
	char base[64];
	struct client *client;
	struct fetch *fetch;

	(void)state;
	snprintf(base, sizeof(base), "http://user:hidden@127.0.0.1:%u", server_port(server));
	server_free(server);
	client_fixture_config.timeout_ms = 2000;
	client = client_fixture_new_at(base, NULL);
	fetch = client_fixture_fetch(client, 1);
	assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
	assert_int_equal(fetch->failure.http_status, 0);
	assert_non_null(strstr(fetch->failure.message, "Connection refused"));
	assert_null(strstr(fetch->failure.url, "user"));
	assert_null(strstr(fetch->failure.url, "hidden"));
	fetch_free(fetch);
	client_free(client);
}

static void test_a_silent_server_is_a_timeout(void **state)
{
	static const struct server_step steps[] = {
		{.text = "", .delay_ms = 60000},
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", .stall = true},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	char base[64];

	(void)state;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", server_port(server));
	client_fixture_config.timeout_ms = 400;
	client = client_fixture_new_at(base, NULL);
	for (unsigned int number = 1; number <= 2; number++) {
		double begun = seconds();
		struct fetch *fetch = client_fixture_fetch(client, number);

		assert_int_equal(fetch->failure.cause, FAILURE_TIMEOUT);
		assert_non_null(strstr(fetch->failure.message, "within 0.4 s"));
		assert_true(seconds() - begun > 0.35 && seconds() - begun < 2);
		fetch_free(fetch);
	}
	client_free(client);
	server_free(server);
}

static void test_freeing_a_client_aborts_its_requests(void **state)
{
	static const struct server_step steps[] = {{.text = "", .delay_ms = 60000}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	char base[64];
	double begun;

	(void)state;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", server_port(server));
	client_fixture_config.timeout_ms = 60000;
	client = client_fixture_new_at(base, NULL);
	for (unsigned int number = 1; number <= 9; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	usleep(100000);
	begun = seconds();
	client_free(client);
	assert_true(seconds() - begun < 1);
	server_free(server);
}

/*
 * Replaces the resolver of the C library by one that does not respond in time. curl calls it in a
 * thread of its own. The client must not wait for that thread, neither at the timeout nor at the
 * end.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)ret;
	sleep(3);
	return EAI_AGAIN;
}

static void test_dead_resolver(void **state)
{
	struct client *client;
	struct fetch *fetch;
	double begun = seconds();

	(void)state;
	client_fixture_config.timeout_ms = 60000;
	client = client_fixture_new_at("http://dead.example/api", NULL);
	fetch = client_fixture_fetch(client, 1);
	assert_true(seconds() - begun < 1.5);
	assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
	assert_string_equal(fetch->failure.message, "cannot connect within 0.5 s");
	fetch_free(fetch);
	assert_int_equal(client_request_page(client, 2, NULL, false), 0);
	usleep(100000);
	begun = seconds();
	client_free(client);
	assert_true(seconds() - begun < 1);
	sleep(4); /* until the resolver's threads end, else they would be reported as a leak */
}

static void test_an_unusable_base_url_is_rejected(void **state)
{
	static const char *const bases[] = {"",
	                                    "127.0.0.1",
	                                    "ftp://127.0.0.1",
	                                    "file:///",
	                                    "http://",
	                                    "http://127.0.0.1/?key=secret",
	                                    "http://127.0.0.1/#x"};
	struct credential *credential;
	struct failure why;

	(void)state;
	assert_int_equal(credential_new(client_fixture_token_file(), NULL, &credential, &why), 0);
	for (size_t i = 0; i < LENGTH(bases); i++) {
		const struct client_config config = {.base = bases[i], .max_connections = 1};
		struct client *client = NULL;

		assert_int_equal(client_new(&config, credential, &client), -EINVAL);
		assert_null(client);
	}
	credential_free(credential);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_each_wanted_page_is_one_request_on_one_connection),
		CLIENT_TEST(test_the_team_is_sent_and_user_information_in_the_url_is_not),
		CLIENT_TEST(test_requests_at_once_are_limited),
		CLIENT_TEST(test_a_refused_connection_is_unreachable),
		CLIENT_TEST(test_a_silent_server_is_a_timeout),
		CLIENT_TEST(test_freeing_a_client_aborts_its_requests),
		CLIENT_TEST(test_dead_resolver),
		CLIENT_TEST(test_an_unusable_base_url_is_rejected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
