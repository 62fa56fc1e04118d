/* SPDX-License-Identifier: MIT */
/* The client, when a response is no page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client_fixture.h"

/* A response that is no page, and its failure. */
struct failure_row {
	struct server_step step;
	uint8_t cause;
	uint16_t status;
	int64_t retry_after_ms;
	const char *message; /* a part of it */
};

static void assert_failure(const struct fetch *fetch, const struct failure_row *row)
{
	const struct failure *failure = &fetch->failure;

	if (fetch->page || failure->cause != row->cause || failure->http_status != row->status ||
	    failure->retry_after_ms != row->retry_after_ms ||
	    !strstr(failure->message, row->message))
		fail_msg("%s: %s, status %u, retry after %jd: %s", row->step.text,
		         failure_word((enum failure_cause)failure->cause), failure->http_status,
		         (intmax_t)failure->retry_after_ms, failure->message);
	assert_non_null(strstr(failure->url, "/api/v1/agents?current_page=1&per_page=1"));
	assert_int_equal(fetch->requests, 1);
}

/* Fetches a page for each row, one after the other, with one client. */
static void assert_failures(const struct failure_row *rows, size_t count)
{
	struct server_step *steps = calloc(count, sizeof(*steps));
	struct server *server;
	struct client *client;

	assert_non_null(steps);
	for (size_t i = 0; i < count; i++)
		steps[i] = rows[i].step;
	client_fixture_config.per_page = 1; /* so that a page is not requested in parts */
	server = server_new(steps, count);
	client = client_fixture_new(server);
	for (size_t i = 0; i < count; i++) {
		struct fetch *fetch = client_fixture_fetch(client, 1);

		assert_failure(fetch, &rows[i]);
		fetch_free(fetch);
	}
	assert_int_equal(server_requests(server), count);
	client_free(client);
	server_free(server);
	free(steps);
}

static void test_each_error_status_is_a_failure(void **state)
{
	static const struct failure_row rows[] = {
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
		/* Without the Retry-After of the response before. */
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
	};

	(void)state;
	assert_failures(rows, LENGTH(rows));
}

static void test_each_broken_response_is_a_failure(void **state)
{
	static const struct failure_row rows[] = {
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"},
	         FAILURE_MALFORMED,
	         200,
	         -1,
	         "not JSON at byte 0"},
		{{.text = "HTTP/1.1 200 OK\r\n" EMPTY}, FAILURE_MALFORMED, 200, -1, "empty"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"agent_list\":[]}"},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "the response breaks off after 9"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"agent_list\":[]}",
	          .close = true},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "with 73 bytes"},
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
		/* For curl the headers are complete if the connection ends within them. */
		{{.text = "HTTP/1.1 200 OK\r\nContent-Le", .close = true},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "within the response's headers"},
		/* For curl any beginning of a compressed body is a whole one. */
		{{.text = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "breaks off after 0"},
		{{.text = "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: "
	                  "9\r\n\r\n{\"agent_li"},
	         FAILURE_TRUNCATED,
	         200,
	         -1,
	         "the response breaks off after 9"},
		{{ENDLESS}, FAILURE_OVERSIZED, 200, -1, "larger than 8388608"},
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

	(void)state;
	assert_failures(rows, LENGTH(rows));
}

/* Asserts that after this response no connection is used that was opened before. */
static void assert_pool_is_retired(struct server_step step, enum failure_cause cause)
{
	const struct server_step steps[] = {
		{.text = OK, .delay_ms = 200},
		{.text = OK, .delay_ms = 200},
		step,
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;

	for (unsigned int number = 1; number <= 2; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	for (unsigned int number = 1; number <= 2; number++)
		fetch_free(client_fixture_take(client));
	assert_int_equal(server_connections(server), 2);
	fetch = client_fixture_fetch(client, 3);
	assert_int_equal(fetch->failure.cause, cause);
	fetch_free(fetch);
	fetch = client_fixture_fetch(client, 4);
	assert_non_null(fetch->page);
	fetch_free(fetch);
	assert_int_equal(server_connections(server), 3);
	client_free(client);
	server_free(server);
}

/* curl does not report an error in this case. The other connection of the pool may be affected,
 * too, for example if a gateway restarts. */
static void test_after_headers_that_break_off_no_older_connection_is_used(void **state)
{
	(void)state;
	assert_pool_is_retired(
		(struct server_step){.text = "HTTP/1.1 200 OK\r\nX: 1\r\n", .close = true},
		FAILURE_TRUNCATED);
}

static void test_after_a_connection_was_rejected_no_older_connection_is_used(void **state)
{
	(void)state;
	assert_pool_is_retired((struct server_step){.text = "HTTP/1.1 408 Request Timeout\r\n"
	                                                    "Content-Length: 0\r\n\r\n"},
	                       FAILURE_REQUEST);
	assert_pool_is_retired((struct server_step){.text = "HTTP/1.1 421 Misdirected Request\r\n"
	                                                    "Content-Length: 0\r\n\r\n"},
	                       FAILURE_REQUEST);
}

/* A load balancer that forwards connections may have assigned this one to a gateway that has lost
 * its server. It assigns a new connection to another. */
static void test_after_a_gateway_failed_no_older_connection_is_used(void **state)
{
	static const char *const statuses[] = {"502 Bad Gateway", "503 Service Unavailable",
	                                       "504 Gateway Timeout"};
	char text[100];

	(void)state;
	for (size_t i = 0; i < LENGTH(statuses); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
		         statuses[i]);
		assert_pool_is_retired((struct server_step){.text = text}, FAILURE_SERVER);
	}
}

/* The API may ignore per_page. A part that has more agents than were requested ends the attempt,
 * and the failure is that of the whole page. */
static void test_a_part_with_too_many_agents_ends_the_attempt(void **state)
{
	static const struct server_step steps[] = {
		{ENDLESS},
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
	                 "{\"agent_list\":[{\"agent_id\":\"a\"},{\"agent_id\":\"b\"}]}"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	struct fetch *fetch;
	char request[2048];

	(void)state;
	client_fixture_config.per_page = 4;
	client = client_fixture_new(server);
	fetch = client_fixture_fetch(client, 3);
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

/* A line that begins with a space continues the line before. If it is the first line of a response,
 * curl 7.88 continues the last line of the previous response, which it has freed, if the same
 * handle received both. */
static void test_a_folded_first_header_is_harmless(void **state)
{
	static const struct server_step steps[] = {
		{.text = TAGGED}, {.text = "HTTP/1.1 200 OK\r\n X: 1\r\n" EMPTY},
		{.text = TAGGED}, {.text = "HTTP/1.1 200 OK\r\n\tX: 1\r\n" EMPTY},
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);

	(void)state;
	for (size_t i = 0; i < LENGTH(steps); i++) {
		struct fetch *fetch = client_fixture_fetch(client, 1);

		/* Whether a folded response is valid depends on curl's version. */
		if (i % 2 == 0)
			assert_non_null(fetch->page);
		fetch_free(fetch);
	}
	client_free(client);
	server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_each_error_status_is_a_failure),
		CLIENT_TEST(test_each_broken_response_is_a_failure),
		CLIENT_TEST(test_after_headers_that_break_off_no_older_connection_is_used),
		CLIENT_TEST(test_after_a_connection_was_rejected_no_older_connection_is_used),
		CLIENT_TEST(test_after_a_gateway_failed_no_older_connection_is_used),
		CLIENT_TEST(test_a_part_with_too_many_agents_ends_the_attempt),
		CLIENT_TEST(test_a_folded_first_header_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
