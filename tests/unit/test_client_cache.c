/* SPDX-License-Identifier: MIT */
/* The client behind a cache: age, Cache-Control and validators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/client_fixture.h"

static void test_cache_control_states_ttl_and_stale(void **state)
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

		client_fixture_config.ttl_ms = rows[i].ttl_ms;
		client_fixture_config.stale_ms = rows[i].stale_ms;
		client = client_fixture_new(server);
		fetch_free(client_fixture_fetch(client, 1));
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

static void test_a_response_has_the_age_that_the_cache_reports(void **state)
{
	static const struct {
		struct server_step steps[2];
		int64_t least_ms; /* age of the page; -1: no page */
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
		/* Older than the ttl: a page, and the reason why it is old. */
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
		/* Older than ttl and stale: requested again, bypassing caches. */
		{{{.text = AGED("310")}, {.text = OK}}, 0, "", 2},
		{{{.text = AGED("310")}, {.text = AGED("20.5")}},
	         20500,
	         "the response is 20.5 s old: a cache in front of the API keeps it for longer than "
	         "10 "
	         "s",
	         2},
		{{{.text = AGED("310")}, {.text = AGED("99999999999999999999")}},
	         -1,
	         "the response is 2147483648 s old: a cache in front of the API keeps it for "
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
		struct client *client = client_fixture_new(server);
		struct fetch *fetch = client_fixture_fetch(client, 1);
		char request[2048];

		assert_string_equal(fetch->failure.message, rows[i].message);
		if (rows[i].least_ms < 0) {
			assert_null(fetch->page);
		} else {
			assert_non_null(fetch->page);
			/* The request's time is added, up to 900 ms on a busy machine. */
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
		/* Only that request bypasses caches, not the ones after it. */
		if (rows[i].requests == 2) {
			fetch_free(client_fixture_fetch(client, 2));
			server_request(server, 2, request, sizeof(request));
			assert_non_null(strstr(request, "\r\nCache-Control: max-age=10,"));
		}
		client_free(client);
		server_free(server);
	}
}

#define PART(headers)                 \
	"HTTP/1.1 200 OK\r\n" headers \
	"Content-Length: 33\r\n\r\n{\"agent_list\":[{\"agent_id\":\"a\"}]}"
#define TOO_LARGE "HTTP/1.1 413 No\r\n" EMPTY

/* A page of two agents is fetched in two parts. */
static void test_a_divided_page_with_an_old_part_is_old(void **state)
{
	static const char old[] =
		"the response is 20.5 s old: a cache in front of the API keeps it for longer than "
		"10 s";
	static const struct {
		struct server_step steps[3];
		size_t agents;
		const char *message;
	} rows[] = {
		{{{.text = TOO_LARGE}, {.text = PART("Age: 20.5\r\n")}, {.text = PART("")}},
	         2,
	         old},
		{{{.text = TOO_LARGE}, {.text = PART("")}, {.text = PART("Age: 20.5\r\n")}},
	         2,
	         old},
		{{{.text = TOO_LARGE}, {.text = PART("Age: 20.5\r\n")}, {.text = TOO_LARGE}},
	         1,
	         old},
		{{{.text = TOO_LARGE}, {.text = PART("")}, {.text = TOO_LARGE}}, 1, ""},
	};

	(void)state;
	client_fixture_config.per_page = 2;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct server *server = server_new(rows[i].steps, LENGTH(rows[i].steps));
		struct client *client = client_fixture_new(server);
		struct fetch *fetch = client_fixture_fetch(client, 1);

		assert_non_null(fetch->page);
		assert_int_equal(fetch->page->agent_count, rows[i].agents);
		assert_int_equal(fetch->page->old, *rows[i].message != '\0');
		assert_string_equal(fetch->failure.message, rows[i].message);
		if (fetch->page->old)
			assert_int_equal(fetch->failure.cause, FAILURE_OLD);
		assert_int_equal(fetch->requests, 3);
		fetch_free(fetch);
		client_free(client);
		server_free(server);
	}
}

/* The API answered for the whole page, so the source, the token and the team are right. */
static void test_a_refused_part_is_the_failure_of_its_page_only(void **state)
{
	static const struct {
		const char *refusal;
		uint8_t cause;
		bool other_remedy; /* than that of the cause */
	} rows[] = {
		{"HTTP/1.1 500 No\r\n" EMPTY, FAILURE_SERVER, false},
		{"HTTP/1.1 403 No\r\n" EMPTY, FAILURE_CREDENTIAL, true},
		{"HTTP/1.1 404 No\r\n" EMPTY, FAILURE_REQUEST, true},
	};

	(void)state;
	client_fixture_config.per_page = 2;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct server_step steps[] = {
			{.text = TOO_LARGE}, {.text = PART("")}, {.text = rows[i].refusal}};
		struct server *server = server_new(steps, LENGTH(steps));
		struct client *client = client_fixture_new(server);
		struct fetch *fetch = client_fixture_fetch(client, 1);

		assert_null(fetch->page);
		assert_int_equal(fetch->failure.cause, rows[i].cause);
		assert_true(fetch->failure.page_only);
		assert_int_equal(!!strstr(failure_remedy(&fetch->failure), "if other pages"),
		                 rows[i].other_remedy);
		assert_int_equal(fetch->requests, 3);
		fetch_free(fetch);
		/* a request of a whole page may be refused because the API fails */
		fetch = client_fixture_fetch(client, 1);
		assert_false(fetch->failure.page_only);
		fetch_free(fetch);
		client_free(client);
		server_free(server);
	}
}

/* A second request that bypasses caches would have the same result. */
static void test_a_request_that_bypasses_caches_is_sent_once(void **state)
{
	static const struct server_step steps[] = {{.text = AGED("310")}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;

	(void)state;
	assert_int_equal(client_request_page(client, 1, NULL, true), 0);
	fetch = client_fixture_take(client);
	assert_null(fetch->page);
	assert_int_equal(fetch->failure.cause, FAILURE_OLD);
	assert_int_equal(fetch->requests, 1);
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

static struct fetch *fetch_if(struct client *client, const struct validator *condition)
{
	assert_int_equal(client_request_page(client, 1, condition, false), 0);
	return client_fixture_take(client);
}

#define DATED "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"

static void test_an_unchanged_page_is_recognised_by_its_validators(void **state)
{
	static const struct validator both = {.etag = "W/\"a\"",
	                                      .last_modified = "Tue, 14 Nov 2023 22:13:10 GMT"};
	static const struct validator neither;
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 200 OK\r\nETag: \"b\"\r\n" DATED
	                 "Last-Modified: Tue, 14 Nov 2023 22:13:11 GMT\r\nContent-Length: "
	                 "17\r\n\r\n{\"agent_list\":[]}"},
		/* Content-Length is that of the 200 response, which RFC 9110 permits. */
		{.text = "HTTP/1.1 304 Not Modified\r\nETag: \"c\"\r\nAge: 2.5\r\nContent-Length: "
	                 "17\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\nAge: 400\r\n\r\n"},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{.text = "HTTP/1.1 304 Not Modified\r\n\r\n"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;
	char request[2048];

	(void)state;
	/* The page has changed. */
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
	/* It has not changed: there is no body, but an age and another validator. */
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
	assert_false(validator_is_present(&fetch->page->validator));
	server_request(server, 2, request, sizeof(request));
	assert_null(strstr(request, "If-Modified-Since"));
	fetch_free(fetch);
	/* The 304 is too old, and the second request is denied; both have the condition. */
	fetch = fetch_if(client, &both);
	assert_null(fetch->page);
	assert_int_equal(fetch->failure.http_status, 401);
	server_request(server, 4, request, sizeof(request));
	assert_non_null(strstr(request, "\r\nIf-None-Match: W/\"a\"\r\n"));
	assert_non_null(strstr(request, "\r\nCache-Control: no-cache\r\n"));
	fetch_free(fetch);
	/* A 304 without a condition. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_cache_control_states_ttl_and_stale),
		CLIENT_TEST(test_a_response_has_the_age_that_the_cache_reports),
		CLIENT_TEST(test_a_divided_page_with_an_old_part_is_old),
		CLIENT_TEST(test_a_refused_part_is_the_failure_of_its_page_only),
		CLIENT_TEST(test_a_request_that_bypasses_caches_is_sent_once),
		CLIENT_TEST(test_an_unchanged_page_is_recognised_by_its_validators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
