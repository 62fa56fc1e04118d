/* SPDX-License-Identifier: MIT */
/* The client, when the token is replaced or missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/client_fixture.h"

static void test_the_token_is_read_again_when_its_file_changes(void **state)
{
	static const struct server_step steps[] = {
		{.text = OK},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY},
		{.text = OK},
		{.text = "HTTP/1.1 401 No\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch = client_fixture_fetch(client, 1);
	char request[2048];

	(void)state;
	assert_non_null(fetch->page);
	fetch_free(fetch);

	/* The token is read again before the request. The API rejects it, too, and it has not
	 * changed since, so there is no second request. */
	client_fixture_write_token("sk-secret-2");
	fetch = client_fixture_fetch(client, 2);
	assert_null(fetch->page);
	assert_int_equal(fetch->requests, 1);
	assert_int_equal(fetch->failure.http_status, 401);
	assert_non_null(strstr(fetch->note, "token read again from /tmp/fleetfs-client-"));
	assert_null(strstr(fetch->note, "sk-secret"));
	fetch_free(fetch);
	server_request(server, 1, request, sizeof(request));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer sk-secret-2\r\n"));

	fetch = client_fixture_fetch(client, 3);
	assert_non_null(fetch->page);
	assert_string_equal(fetch->note, "");
	fetch_free(fetch);

	fetch = client_fixture_fetch(client, 4);
	assert_int_equal(fetch->failure.cause, FAILURE_CREDENTIAL);
	assert_string_equal(fetch->failure.message, "401 Unauthorized: no");
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

/* The token is replaced while requests are under way. Each is sent again with the new token, also
 * those for which it has already been read. */
static void test_denied_requests_are_sent_again_with_the_new_token(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 350},
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 400},
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	int notes = 0;

	(void)state;
	for (unsigned int number = 1; number <= 3; number++)
		assert_int_equal(client_request_page(client, number, NULL, false), 0);
	usleep(150000);
	client_fixture_write_token("sk-secret-2");
	for (int i = 0; i < 3; i++) {
		struct fetch *fetch = client_fixture_take(client);

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

/* The token is replaced repeatedly, and the API always rejects it. */
static void test_a_denied_request_is_sent_again_once(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;

	(void)state;
	assert_int_equal(client_request_page(client, 1, NULL, false), 0);
	usleep(150000);
	client_fixture_write_token("sk-secret-2");
	usleep(300000);
	client_fixture_write_token("sk-secret-3");
	fetch = client_fixture_take(client);
	assert_null(fetch->page);
	assert_int_equal(fetch->requests, 2);
	assert_int_equal(server_requests(server), 2);
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

static void test_a_denied_request_says_why_the_new_token_was_not_read(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}"},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);

	(void)state;
	assert_int_equal(chmod(client_fixture_token_file(), 0644), 0);
	/* Also when the file has not changed since the last attempt. */
	for (unsigned int number = 1; number <= 2; number++) {
		struct fetch *fetch = client_fixture_fetch(client, number);

		assert_int_equal(fetch->failure.cause, FAILURE_CREDENTIAL);
		assert_memory_equal(fetch->failure.message, "401 Unauthorized: no; ", 22);
		assert_non_null(strstr(fetch->failure.message, "not read again: token file"));
		assert_non_null(strstr(fetch->failure.message, "chmod 600"));
		assert_string_equal(failure_remedy(&fetch->failure), "correct the token file");
		fetch_free(fetch);
	}
	client_free(client);
	server_free(server);
}

static void test_the_old_token_stays_in_use_while_its_file_is_missing(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct fetch *fetch;

	(void)state;
	unlink(client_fixture_token_file());
	fetch = client_fixture_fetch(client, 1);
	assert_non_null(fetch->page);
	assert_non_null(strstr(fetch->note, "the old token stays in use"));
	fetch_free(fetch);
	fetch = client_fixture_fetch(client, 1);
	assert_string_equal(fetch->note, "");
	fetch_free(fetch);
	client_reread(client);
	fetch = client_fixture_fetch(client, 1);
	assert_non_null(strstr(fetch->note, "No such file"));
	fetch_free(fetch);
	client_free(client);
	server_free(server);
}

/* Each result has one note. That the token was read again must not take the place of the warning.
 */
static void test_the_warning_about_a_proxy_survives_a_replaced_token(void **state)
{
	static const struct server_step steps[] = {
		{.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
		{.text = OK},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client;
	struct fetch *fetch;
	char proxy[40];

	(void)state;
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server_port(server));
	setenv("http_proxy", proxy, 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	client = client_fixture_new_at("http://api.example/api/v1", NULL);
	assert_int_equal(client_request_page(client, 1, NULL, false), 0);
	usleep(150000);
	client_fixture_write_token("sk-secret-2");
	fetch = client_fixture_take(client);
	assert_non_null(fetch->page);
	assert_non_null(strstr(fetch->note, "token read again"));
	fetch_free(fetch);
	fetch = client_fixture_fetch(client, 2);
	assert_non_null(strstr(fetch->note, "can read the token"));
	fetch_free(fetch);
	fetch = client_fixture_fetch(client, 3);
	assert_string_equal(fetch->note, "");
	fetch_free(fetch);
	client_free(client);
	unsetenv("http_proxy");
	server_free(server);
}

/* Another token may be of another team. Its list may have the same ETag, if that is a number of
 * changes, or be older than Last-Modified. */
static void test_a_validator_is_not_sent_with_another_token(void **state)
{
	static const struct server_step steps[] = {
		{.text = TAGGED}, {.text = "HTTP/1.1 304 Not Modified\r\nETag: \"7\"\r\n\r\n"},
		{.text = TAGGED}, {.text = "HTTP/1.1 401 No\r\n" EMPTY, .delay_ms = 300},
		{.text = TAGGED},
	};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	struct validator validator = {.etag = ""};
	char request[2048];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		const bool asks = i == 1 || i == 3;
		struct fetch *fetch;

		if (i == 2)
			client_fixture_write_token("sk-secret-2");
		assert_int_equal(client_request_page(client, 1, &validator, false), 0);
		if (i == 3) {
			usleep(150000);
			client_fixture_write_token("sk-secret-3");
		}
		fetch = client_fixture_take(client);
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

/* This thread searches the secrets while the fetching thread adds to them. */
static void test_text_is_redacted_while_tokens_are_replaced(void **state)
{
	static const struct server_step steps[] = {{.text = OK}};
	struct server *server = server_new(steps, LENGTH(steps));
	struct client *client = client_fixture_new(server);
	char token[40], before[40] = "sk-secret";

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		struct fetch *fetch = NULL;

		/* The length differs, since the times of two files may be equal. */
		snprintf(token, sizeof(token), "sk-%.*s", (int)(8 + i % 16),
		         &"abcdefghijklmnopqrstuvwxyz"[i % 3]);
		client_fixture_write_token(token);
		assert_int_equal(client_request_page(client, 1, NULL, false), 0);
		while (!fetch) {
			char text[64];

			snprintf(text, sizeof(text), "old %s", before);
			client_redact(client, text, sizeof(text));
			assert_string_equal(text, "old [secret]");
			fetch = client_take(client);
		}
		fetch_free(fetch);
		strcpy(before, token);
	}
	client_free(client);
	server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_the_token_is_read_again_when_its_file_changes),
		CLIENT_TEST(test_denied_requests_are_sent_again_with_the_new_token),
		CLIENT_TEST(test_a_denied_request_is_sent_again_once),
		CLIENT_TEST(test_a_denied_request_says_why_the_new_token_was_not_read),
		CLIENT_TEST(test_the_old_token_stays_in_use_while_its_file_is_missing),
		CLIENT_TEST(test_the_warning_about_a_proxy_survives_a_replaced_token),
		CLIENT_TEST(test_a_validator_is_not_sent_with_another_token),
		CLIENT_TEST(test_text_is_redacted_while_tokens_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
