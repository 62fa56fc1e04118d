/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/http/client.h"
#include "tests/unit/server.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"agent_list\":[]}"
#define EMPTY  "Content-Length: 0\r\n\r\n"
#define TAGGED "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Length: 17\r\n\r\n{\"agent_list\":[]}"

static char token_file[] = "/tmp/fleetfs-client-XXXXXX";

static void write_token(const char *token)
{
	int fd = open(token_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, token, strlen(token)), strlen(token));
	close(fd);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What comes from a cache may be so old; the rest of a config is new_client_at()'s. */
static int64_t ttl_ms = 10000, stale_ms = 300000;
static unsigned int per_page = 100;

static struct client *new_client_at(const char *base, const char *team, int64_t timeout_ms)
{
	const struct client_config config = {
		.base = base,
		.ttl_ms = ttl_ms,
		.stale_ms = stale_ms,
		.timeout_ms = timeout_ms,
		.connect_timeout_ms = 500,
		.per_page = per_page,
		.max_connections = 3,
	};
	struct credential *credential;
	struct client *client;
	struct failure why;

	if (credential_new(token_file, team, &credential, &why) < 0)
		fail_msg("%s", why.message);
	assert_int_equal(client_new(&config, credential, &client), 0);
	return client;
}

static struct client *new_client(const struct server *server)
{
	char base[64];

	snprintf(base, sizeof(base), "http://127.0.0.1:%u/api/v1", server_port(server));
	return new_client_at(base, NULL, 20000);
}

static struct fetch *take(struct client *client)
{
	struct pollfd ready = {.fd = client_fd(client), .events = POLLIN};
	struct fetch *fetch;

	assert_int_equal(poll(&ready, 1, 10000), 1);
	fetch = client_take(client);
	assert_non_null(fetch);
	return fetch;
}

static struct fetch *fetch_one(struct client *client, unsigned int number)
{
	struct fetch *fetch;

	assert_int_equal(client_want(client, number, NULL, false), 0);
	fetch = take(client);
	assert_int_equal(fetch->number, number);
	if (fetch->page && !fetch->page->old)
		assert_int_equal(fetch->failure.message[0], 0);
	else if (!fetch->page)
		assert_true(fetch->failure.message[0] && fetch->failure.at_ns > 0);
	return fetch;
}

static void test_page(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch;
	char request[2048];

	(void)state;
	assert_null(client_take(client));
	for (unsigned int number = 1; number <= 3; number++) {
		struct pollfd ready = {.fd = client_fd(client), .events = POLLIN};

		fetch = fetch_one(client, number);
		assert_non_null(fetch->page);
		assert_int_equal(fetch->page->agent_count, 0);
		assert_int_equal(fetch->requests, 1);
		assert_int_equal(fetch->bytes, strlen(OK));
		assert_string_equal(fetch->note, "");
		fetch_free(fetch);
		assert_int_equal(poll(&ready, 1, 0), 0);
		assert_null(client_take(client));
	}
	/* One want, one request, all on one connection. */
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

static void test_team(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	char base[80], request[2048];
	struct client *client;

	(void)state;
	write_token("opaque");
	/* User information and a slash at the end come to nothing. */
	snprintf(base, sizeof(base), "http://user:hidden@127.0.0.1:%u/", server_port(server));
	client = new_client_at(base, "team-1", 20000);
	fetch_free(fetch_one(client, 1));
	server_request(server, 0, request, sizeof(request));
	assert_non_null(strstr(request, "GET /agents?current_page=1"));
	assert_non_null(strstr(request, "\r\nX-Team-ID: team-1\r\n"));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer opaque\r\n"));
	client_free(client);
	server_free(server);
}

/* Answers that are no page, and what comes of each. */
static void test_failures(void **state)
{
	static const struct {
		struct server_step step;
		uint8_t cause;
		uint16_t status;
		int64_t retry_after_ms;
		const char *message;
	} rows[] = {
		{{.text = "HTTP/1.1 400 Bad\r\nContent-Length: 26\r\n\r\n{\"message\":\"team "
	                  "missing\"}\n"},
	         FAILURE_REQUEST,
	         400,
	         -1,
	         "400 Bad Request: team missing"},
		{{.text = "HTTP/1.1 403 Whatever\r\n" EMPTY},
	         FAILURE_CREDENTIAL,
	         403,
	         -1,
	         "403 Forbidden"},
		{{.text = "HTTP/1.1 404 Not Found\r\n" EMPTY},
	         FAILURE_REQUEST,
	         404,
	         -1,
	         "404 Not Found"},
		{{.text = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n" EMPTY},
	         FAILURE_BUSY,
	         429,
	         7000,
	         "429 Too Many Requests"},
		/* Not what the last one said. */
		{{.text = "HTTP/1.1 500 Oops\r\n" EMPTY},
	         FAILURE_SERVER,
	         500,
	         -1,
	         "500 Internal Server Error"},
		{{.text = "HTTP/1.1 503 Busy\r\nRetry-After: 1000000000\r\n" EMPTY},
	         FAILURE_SERVER,
	         503,
	         1000000000000,
	         "503 Service Unavailable"},
		{{.text = "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 "
	                  "GMT\r\n" EMPTY},
	         FAILURE_SERVER,
	         503,
	         0,
	         "503 Service Unavailable"},
		{{.text = "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n" EMPTY},
	         FAILURE_SERVER,
	         503,
	         -1,
	         "503 Service Unavailable"},
		{{.text = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\n" EMPTY},
	         FAILURE_REDIRECT,
	         302,
	         -1,
	         "points to http://127.0.0.1:1/elsewhere"},
		{{.text = "HTTP/1.1 101 Switching\r\n\r\n{\"agent_list\":[]}", .close = true},
	         FAILURE_SERVER,
	         101,
	         -1,
	         "101 unexpected status"},
		{{.text = "HTTP/1.1 204 No Content\r\n\r\n"},
	         FAILURE_SERVER,
	         204,
	         -1,
	         "204 No Content"},
		{{.text = "HTTP/1.1 500 Oops\r\nContent-Length: 90\r\n\r\ncut", .close = true},
	         FAILURE_SERVER,
	         500,
	         -1,
	         "500 Internal Server Error: cut"},
		{{.text = "HTTP/1.1 500 Oops\r\n\r\n", .repeat = "<p>sorry</p>"},
	         FAILURE_SERVER,
	         500,
	         -1,
	         "500 Internal Server Error: <p>sorry</p>"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"},
	         FAILURE_MALFORMED,
	         200,
	         -1,
	         "not JSON at byte 0"},
		{{.text = "HTTP/1.1 200 OK\r\n" EMPTY}, FAILURE_MALFORMED, 200, -1, "empty"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"agent_list\":[]}"},
	         FAILURE_MALFORMED,
	         200,
	         -1,
	         "ends early"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"agent_list\":[]}",
	          .close = true},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "remaining to read"},
		{{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	                  "chunked\r\n\r\n11\r\n{\"agent_list\"",
	          .close = true},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         ""},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
	                  "6\r\n\r\nplain!"},
	         FAILURE_MALFORMED,
	         200,
	         -1,
	         ""},
		/* To curl an end within the headers is the end of them. */
		{{.text = "HTTP/1.1 200 OK\r\nContent-Le", .close = true},
	         FAILURE_MALFORMED,
	         200,
	         -1,
	         "empty"},
		{{.text = "HTTP/1.1 200 OK\r\n\r\n", .repeat = "                                "},
	         FAILURE_OVERSIZED,
	         200,
	         -1,
	         "larger than 8388608"},
		{{.text = "HTTP/1.1 200 OK\r\n",
	          .repeat = "X-More: and more and more and more\r\n"},
	         FAILURE_OVERSIZED,
	         200,
	         -1,
	         "headers are larger"},
		{{.text = "", .repeat = "HTTP/1.1 100 Continue\r\n\r\n"},
	         FAILURE_OVERSIZED,
	         100,
	         -1,
	         "headers are larger"},
		{{.text = "HTTP/1.1 200 OK\r\nX-Long: ", .repeat = "and more and more and more"},
	         FAILURE_OVERSIZED,
	         200,
	         -1,
	         "header"},
		{{.text = "", .close = true},
	         FAILURE_UNREACHABLE,
	         0,
	         -1,
	         "Empty reply from server"},
		{{.text = "", .reset = true}, FAILURE_UNREACHABLE, 0, -1, "reset"},
		{{.text = "SSH-2.0-OpenSSH_9.2\r\n", .close = true},
	         FAILURE_SERVER,
	         0,
	         -1,
	         "HTTP/0.9"},
	};
	struct server_step steps[LENGTH(rows)];
	struct server *server;
	struct client *client;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		steps[i] = rows[i].step;
	per_page = 1; /* a page that is too large cannot be asked for in smaller parts */
	server = server_new(steps, LENGTH(steps));
	client = new_client(server);
	per_page = 100;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct fetch *fetch = fetch_one(client, 1);
		const struct failure *failure = &fetch->failure;

		if (fetch->page || failure->cause != rows[i].cause ||
		    failure->http_status != rows[i].status ||
		    failure->retry_after_ms != rows[i].retry_after_ms ||
		    !strstr(failure->message, rows[i].message))
			fail_msg("row %zu: %s, status %u, retry after %jd: %s", i,
			         failure_word((enum failure_cause)failure->cause),
			         failure->http_status, (intmax_t)failure->retry_after_ms,
			         failure->message);
		assert_non_null(strstr(failure->url, "/api/v1/agents?current_page=1&per_page=1"));
		assert_int_equal(fetch->requests, 1);
		fetch_free(fetch);
	}
	assert_int_equal(server_requests(server), LENGTH(rows));
	client_free(client);
	server_free(server);
}

/* The API may ignore per_page. A part that has more agents than were requested ends the attempt,
 * and the failure is that of the whole page. */
static void test_a_part_with_too_many_agents_ends_the_attempt(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 200 OK\r\n\r\n", .repeat = "                                "},
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
	                 "{\"agent_list\":[{\"agent_id\":\"a\"},{\"agent_id\":\"b\"}]}"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	struct fetch *fetch;
	char request[2048];

	(void)state;
	per_page = 4;
	client = new_client(server);
	per_page = 100;
	fetch = fetch_one(client, 3);
	assert_null(fetch->page);
	assert_int_equal(fetch->failure.cause, FAILURE_OVERSIZED);
	assert_int_equal(fetch->requests, 2);
	assert_non_null(strstr(fetch->failure.url, "?current_page=3&per_page=4"));
	server_request(server, 1, request, sizeof(request));
	assert_non_null(strstr(request, "?current_page=9&per_page=1 "));
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

/* An answer whose first line goes on with one before, of which there is none: curl 7.88 went on
 * with that of the answer before, which it had freed, if both came by one handle. */
static void test_folded(void **state)
{
	static const struct server_step steps[] = {
		{.text = TAGGED}, {.text = "HTTP/1.1 200 OK\r\n X: 1\r\n" EMPTY},
		{.text = TAGGED}, {.text = "HTTP/1.1 200 OK\r\n\tX: 1\r\n" EMPTY},
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);

	(void)state;
	for (size_t i = 0; i < LENGTH(steps); i++) {
		struct fetch *fetch = fetch_one(client, 1);

		/* Of the odd ones versions of curl think differently. */
		if (i % 2 == 0)
			assert_non_null(fetch->page);
		fetch_free(fetch);
	}
	client_free(client);
	server_free(server);
}

static void test_rotated_token(void **state)
{
	static const struct server_step steps[] = {
		{.text = OK},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY},
		{.text = OK},
		{.text = "HTTP/1.1 401 No\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch = fetch_one(client, 1);
	char request[2048];

	(void)state;
	assert_non_null(fetch->page);
	fetch_free(fetch);

	/* Noticed by the file's state, before the request that the API refuses all the same; the
	 * token is no other then, so it is asked once. */
	write_token("sk-secret-2");
	fetch = fetch_one(client, 2);
	assert_null(fetch->page);
	assert_int_equal(fetch->requests, 1);
	assert_int_equal(fetch->failure.http_status, 401);
	assert_non_null(strstr(fetch->note, "token read again from /tmp/fleetfs-client-"));
	assert_null(strstr(fetch->note, "sk-secret"));
	fetch_free(fetch);
	server_request(server, 1, request, sizeof(request));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer sk-secret-2\r\n"));

	fetch = fetch_one(client, 3);
	assert_non_null(fetch->page);
	assert_string_equal(fetch->note, "");
	fetch_free(fetch);

	fetch = fetch_one(client, 4);
	assert_int_equal(fetch->failure.cause, FAILURE_CREDENTIAL);
	assert_string_equal(fetch->failure.message, "401 Unauthorized: no");
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

/* The token is replaced while requests are under way: each is asked again with the new one, also
 * those that find it read already. */
static void test_rotated_in_flight(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 350},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 400},
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	int notes = 0;

	(void)state;
	for (unsigned int number = 1; number <= 3; number++)
		assert_int_equal(client_want(client, number, NULL, false), 0);
	usleep(150000);
	write_token("sk-secret-2");
	for (int i = 0; i < 3; i++) {
		struct fetch *fetch = take(client);

		assert_non_null(fetch->page);
		assert_int_equal(fetch->requests, 2);
		notes += fetch->note[0] != '\0';
		fetch_free(fetch);
	}
	assert_int_equal(notes, 1);
	assert_int_equal(server_requests(server), 6);
	client_free(client);
	server_free(server);
}

/* Replaced again and again, and never right: asked twice, no more. */
static void test_rotated_twice(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch;

	(void)state;
	assert_int_equal(client_want(client, 1, NULL, false), 0);
	usleep(150000);
	write_token("sk-secret-2");
	usleep(300000);
	write_token("sk-secret-3");
	fetch = take(client);
	assert_null(fetch->page);
	assert_int_equal(fetch->requests, 2);
	assert_int_equal(server_requests(server), 2);
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

static void test_reread(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch;

	(void)state;
	unlink(token_file);
	fetch = fetch_one(client, 1);
	assert_non_null(fetch->page);
	assert_non_null(strstr(fetch->note, "the old token stays in use"));
	fetch_free(fetch);
	fetch = fetch_one(client, 1);
	assert_string_equal(fetch->note, "");
	fetch_free(fetch);
	client_reread(client);
	fetch = fetch_one(client, 1);
	assert_non_null(strstr(fetch->note, "No such file"));
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

/* Twelve wants at once: all answered, never more than three at a time. */
static void test_parallel(void **state)
{
	static const struct server_step steps[] = {{.text = OK, .delay_ms = 50}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	bool seen[13] = {false};

	(void)state;
	for (unsigned int number = 1; number <= 12; number++)
		assert_int_equal(client_want(client, number, NULL, false), 0);
	for (int i = 0; i < 12; i++) {
		struct fetch *fetch = take(client);

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

static void test_unreachable(void **state)
{
	struct server *server = server_new(NULL, 0);
	char base[64];
	struct client *client;
	struct fetch *fetch;

	(void)state;
	snprintf(base, sizeof(base), "http://user:hidden@127.0.0.1:%u", server_port(server));
	server_free(server);
	client = new_client_at(base, NULL, 2000);
	fetch = fetch_one(client, 1);
	assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
	assert_int_equal(fetch->failure.http_status, 0);
	assert_non_null(strstr(fetch->failure.message, "Connection refused"));
	assert_null(strstr(fetch->failure.url, "user"));
	assert_null(strstr(fetch->failure.url, "hidden"));
	fetch_free(fetch);
	client_free(client);
}

static void test_timeout(void **state)
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
	client = new_client_at(base, NULL, 400);
	for (unsigned int number = 1; number <= 2; number++) {
		double begun = seconds();
		struct fetch *fetch = fetch_one(client, number);

		assert_int_equal(fetch->failure.cause, FAILURE_TIMEOUT);
		assert_non_null(strstr(fetch->failure.message, "within 0.4 s"));
		assert_true(seconds() - begun > 0.35 && seconds() - begun < 2);
		fetch_free(fetch);
	}
	client_free(client);
	server_free(server);
}

static void test_free_in_flight(void **state)
{
	static const struct server_step steps[] = {{.text = "", .delay_ms = 60000}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	char base[64];
	double begun;

	(void)state;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", server_port(server));
	client = new_client_at(base, NULL, 60000);
	for (unsigned int number = 1; number <= 9; number++)
		assert_int_equal(client_want(client, number, NULL, false), 0);
	usleep(100000);
	begun = seconds();
	client_free(client);
	assert_true(seconds() - begun < 1);
	server_free(server);
}

/*
 * A resolver that never answers in time, in place of the C library's: curl calls it from a thread
 * of its own, which must be waited for neither at the timeout nor at the end.
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
	struct client *client = new_client_at("http://dead.example/api", NULL, 60000);
	struct fetch *fetch;
	double begun = seconds();

	(void)state;
	fetch = fetch_one(client, 1);
	assert_true(seconds() - begun < 1.5);
	assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
	assert_string_equal(fetch->failure.message, "cannot connect within 0.5 s");
	fetch_free(fetch);
	assert_int_equal(client_want(client, 2, NULL, false), 0);
	usleep(100000);
	begun = seconds();
	client_free(client);
	assert_true(seconds() - begun < 1);
	sleep(4); /* the resolver's threads end, lest they count as a leak */
}

/* What a request says that a cache may answer with. */
static void test_cache_control(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	static const struct {
		int64_t ttl_ms, stale_ms;
		const char *line;
	} rows[] = {
		{10000, 300000, "\r\nCache-Control: max-age=10, stale-if-error=300\r\n"},
		{10999, 0, "\r\nCache-Control: max-age=10\r\n"},
		{100, 999, "\r\nCache-Control: max-age=0\r\n"},
		{86400000, INT64_C(2592000000),
	         "\r\nCache-Control: max-age=86400, stale-if-error=2592000\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct server *server = server_new(steps, LENGTH(steps));
		struct client *client;
		char request[2048];

		ttl_ms = rows[i].ttl_ms;
		stale_ms = rows[i].stale_ms;
		client = new_client(server);
		fetch_free(fetch_one(client, 1));
		server_request(server, 0, request, sizeof(request));
		assert_non_null(strstr(request, rows[i].line));
		client_free(client);
		server_free(server);
	}
}

#define AGED(age) "HTTP/1.1 200 OK\r\nAge: " age "\r\nContent-Length: 17\r\n\r\n{\"agent_list\":[]}"
#define AGED_TRAILER                                                        \
	"HTTP/1.1 200 OK\r\nAge: 3.5\r\nTransfer-Encoding: chunked\r\n\r\n" \
	"11\r\n{\"agent_list\":[]}\r\n0\r\nHTTP/1.1: 200\r\nAge: 400\r\n\r\n"

/* Of what comes from a cache. */
static void test_age(void **state)
{
	static const struct {
		struct server_step steps[2];
		int64_t least_ms; /* of the page; -1: none */
		const char *message;
		unsigned int requests;
	} rows[] = {
		{{{.text = OK, .delay_ms = 100}}, 0, "", 1},
		{{{.text = AGED("3.5")}}, 3500, "", 1},
		{{{.text = AGED("3.5"), .delay_ms = 100}}, 3600, "", 1},
		{{{.text = AGED("3")}}, 4000, "", 1},
		{{{.text = AGED("1\r\n \r\nAge: 3")}}, 4000, "", 1},
		{{{.text = AGED_TRAILER}}, 3500, "", 1},
		{{{.text = "HTTP/1.1 103 Early\r\nAge: 400\r\n\r\n" AGED("3.5")}}, 3500, "", 1},
		{{{.text = AGED("9")}}, 10000, "", 1},
		/* A page all the same, and why it is no better. */
		{{{.text = AGED("10")}},
	         11000,
	         "the response is 10 s old: a cache in front of the API keeps it for longer than "
	         "10 "
	         "s",
	         1},
		{{{.text = AGED("309")}},
	         310000,
	         "the response is 309 s old: a cache in front of the API keeps it for longer than "
	         "10 "
	         "s",
	         1},
		/* No use to anybody: asked for again, past the caches. */
		{{{.text = AGED("310")}, {.text = OK}}, 0, "", 2},
		{{{.text = AGED("310")}, {.text = AGED("20.5")}},
	         20500,
	         "the response is 20.5 s old: a cache in front of the API keeps it for longer than "
	         "10 "
	         "s",
	         2},
		{{{.text = AGED("310")}, {.text = AGED("99999999999999999999")}},
	         -1,
	         "the response is 2.14748e+09 s old: a cache in front of the API keeps it for "
	         "longer "
	         "than 10 s",
	         2},
		{{{.text = AGED("310")}, {.text = "HTTP/1.1 504 No\r\n" EMPTY}},
	         -1,
	         "504 Gateway Timeout",
	         2},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct server *server = server_new(rows[i].steps, 2);
		struct client *client = new_client(server);
		struct fetch *fetch = fetch_one(client, 1);
		char request[2048];

		assert_string_equal(fetch->failure.message, rows[i].message);
		if (rows[i].least_ms < 0) {
			assert_null(fetch->page);
		} else {
			assert_non_null(fetch->page);
			/* The top is for a machine that is busy, the arrival's age exact but for
			 * the time that the request took. */
			assert_in_range(fetch->page->age_ms, rows[i].least_ms,
			                rows[i].least_ms + (rows[i].least_ms ? 900 : 0));
			if (*rows[i].message)
				assert_int_equal(fetch->failure.cause, FAILURE_OLD);
		}
		assert_int_equal(fetch->requests, rows[i].requests);
		for (unsigned int n = 0; n < rows[i].requests; n++) {
			server_request(server, n, request, sizeof(request));
			assert_non_null(strstr(
				request,
				n == 0 ? "\r\nCache-Control: max-age=10, stale-if-error=300\r\n"
				       : "\r\nCache-Control: no-cache\r\n"));
		}
		fetch_free(fetch);
		/* It is the request that goes past them, not those after it. */
		if (rows[i].requests == 2) {
			fetch_free(fetch_one(client, 2));
			server_request(server, 2, request, sizeof(request));
			assert_non_null(strstr(request, "\r\nCache-Control: max-age=10,"));
		}
		client_free(client);
		server_free(server);
	}
}

/* Who asked past them the first time would hear no other thing the second time. */
static void test_past_caches_once(void **state)
{
	static const struct server_step steps[] = {{.text = AGED("310")}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch;

	(void)state;
	assert_int_equal(client_want(client, 1, NULL, true), 0);
	fetch = take(client);
	assert_null(fetch->page);
	assert_int_equal(fetch->failure.cause, FAILURE_OLD);
	assert_int_equal(fetch->requests, 1);
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

static struct fetch *fetch_if(struct client *client, const struct validator *condition)
{
	assert_int_equal(client_want(client, 1, condition, false), 0);
	return take(client);
}

#define DATED "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"

static void test_conditions(void **state)
{
	static const struct validator both = {.etag = "W/\"a\"",
	                                      .last_modified = "Tue, 14 Nov 2023 22:13:10 GMT"};
	static const struct validator neither;
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 200 OK\r\nETag: \"b\"\r\n" DATED
	                 "Last-Modified: Tue, 14 Nov 2023 22:13:11 GMT\r\nContent-Length: "
	                 "17\r\n\r\n{\"agent_list\":[]}"},
		/* A length that is of what is not sent, which is right. */
		{.text = "HTTP/1.1 304 Not Modified\r\nETag: \"c\"\r\nAge: 2.5\r\nContent-Length: "
	                 "17\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\nAge: 400\r\n\r\n"},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct fetch *fetch;
	char request[2048];

	(void)state;
	/* It has changed. */
	fetch = fetch_if(client, &both);
	server_request(server, 0, request, sizeof(request));
	assert_non_null(strstr(request, "\r\nIf-None-Match: W/\"a\"\r\n"));
	assert_non_null(
		strstr(request, "\r\nIf-Modified-Since: Tue, 14 Nov 2023 22:13:10 GMT\r\n"));
	assert_non_null(fetch->page);
	assert_false(fetch->page->unchanged);
	assert_string_equal(fetch->page->validator.etag, "\"b\"");
	assert_string_equal(fetch->page->validator.last_modified, "Tue, 14 Nov 2023 22:13:11 GMT");
	fetch_free(fetch);
	/* It has not: no body, but an age, and perhaps another validator. */
	fetch = fetch_if(client, &both);
	assert_non_null(fetch->page);
	assert_true(fetch->page->unchanged);
	assert_int_equal(fetch->page->agent_count, 0);
	assert_in_range(fetch->page->age_ms, 2500, 3400);
	assert_string_equal(fetch->page->validator.etag, "\"c\"");
	assert_string_equal(fetch->failure.message, "");
	fetch_free(fetch);
	fetch = fetch_if(client, &(const struct validator){.etag = "\"a\""});
	assert_true(fetch->page->unchanged);
	assert_false(validator_is_there(&fetch->page->validator));
	server_request(server, 2, request, sizeof(request));
	assert_null(strstr(request, "If-Modified-Since"));
	fetch_free(fetch);
	/* Too old, too; then refused; the condition goes along each time. */
	fetch = fetch_if(client, &both);
	assert_null(fetch->page);
	assert_int_equal(fetch->failure.http_status, 401);
	server_request(server, 4, request, sizeof(request));
	assert_non_null(strstr(request, "\r\nIf-None-Match: W/\"a\"\r\n"));
	assert_non_null(strstr(request, "\r\nCache-Control: no-cache\r\n"));
	fetch_free(fetch);
	/* Nobody asked. */
	for (int i = 0; i < 2; i++) {
		fetch = fetch_if(client, i ? &neither : NULL);
		assert_null(fetch->page);
		assert_int_equal(fetch->failure.cause, FAILURE_MALFORMED);
		assert_string_equal(fetch->failure.message, "304 Not Modified");
		server_request(server, 5 + (unsigned int)i, request, sizeof(request));
		assert_null(strstr(request, "If-"));
		fetch_free(fetch);
	}
	assert_int_equal(server_connections(server), 1);
	client_free(client);
	server_free(server);
}

/* Another token may be of another team, whose list its ETag may take for unchanged, too, if it is
 * no more than a count of changes; and Last-Modified is a time. */
static void test_conditions_end_with_the_token(void **state)
{
	static const struct server_step steps[] = {
		{.text = TAGGED}, {.text = "HTTP/1.1 304 Not Modified\r\nETag: \"7\"\r\n\r\n"},
		{.text = TAGGED}, {.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
		{.text = TAGGED},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = new_client(server);
	struct validator validator = {.etag = ""};
	char request[2048];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		const bool asks = i == 1 || i == 3;
		struct fetch *fetch;

		if (i == 2)
			write_token("sk-secret-2");
		assert_int_equal(client_want(client, 1, &validator, false), 0);
		if (i == 3) {
			usleep(150000);
			write_token("sk-secret-3");
		}
		fetch = take(client);
		assert_non_null(fetch->page);
		assert_string_equal(fetch->page->validator.etag, "\"7\"");
		assert_int_equal(fetch->page->unchanged, i == 1);
		validator = fetch->page->validator;
		server_request(server, i, request, sizeof(request));
		assert_int_equal(strstr(request, "\r\nIf-None-Match: \"7\"\r\n") != NULL, asks);
		fetch_free(fetch);
	}
	server_request(server, 4, request, sizeof(request));
	assert_null(strstr(request, "If-"));
	client_free(client);
	server_free(server);
}

static void test_bad_base(void **state)
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
	assert_int_equal(credential_new(token_file, NULL, &credential, &why), 0);
	for (size_t i = 0; i < LENGTH(bases); i++) {
		const struct client_config config = {.base = bases[i], .max_connections = 1};
		struct client *client = NULL;

		assert_int_equal(client_new(&config, credential, &client), -EINVAL);
		assert_null(client);
	}
	credential_free(credential);
}

static int set_up(void **state)
{
	(void)state;
	write_token("sk-secret");
	ttl_ms = 10000;
	stale_ms = 300000;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_page),          TEST(test_team),
		TEST(test_failures),      TEST(test_folded),
		TEST(test_rotated_token), TEST(test_rotated_in_flight),
		TEST(test_rotated_twice), TEST(test_reread),
		TEST(test_parallel),      TEST(test_unreachable),
		TEST(test_timeout),       TEST(test_free_in_flight),
		TEST(test_dead_resolver), TEST(test_cache_control),
		TEST(test_age),           TEST(test_past_caches_once),
		TEST(test_conditions),    TEST(test_conditions_end_with_the_token),
		TEST(test_bad_base),      TEST(test_a_part_with_too_many_agents_ends_the_attempt),
	};
	int failed;

	close(mkstemp(token_file));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(token_file);
	return failed;
}
