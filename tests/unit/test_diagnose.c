/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/http/diagnose.h"

static const struct request_settings settings = {
	.base = (char *)(uintptr_t) "https://api.example",
	.tls = true,
	.timeout_ms = 10000,
	.connect_timeout_ms = 3000,
};

static void diagnose_over(struct request *request, bool tls, CURLcode code, long status,
                          uint8_t reached, struct failure *ret_failure)
{
	const struct trace trace = {.reached = reached, .tls = tls};

	*ret_failure = (struct failure){.retry_after_ms = -1};
	request->easy = curl_easy_init();
	assert_true(diagnose_failure(request, &settings, code, status, &trace, ret_failure));
	curl_easy_cleanup(request->easy);
	assert_true(strlen(failure_remedy(ret_failure)) > 5);
	assert_true(strlen(ret_failure->message) > 3);
}

static void diagnose(struct request *request, CURLcode code, long status, uint8_t reached,
                     struct failure *ret_failure)
{
	diagnose_over(request, true, code, status, reached, ret_failure);
}

/* The errno before a response began and within one. The last row, code 0, is for all codes that are
 * not listed. */
static void test_each_code_of_curl_has_its_errno(void **state)
{
	static const struct {
		int code, before, within;
	} rows[] = {
		{CURLE_UNSUPPORTED_PROTOCOL, EREMOTEIO, EREMOTEIO},
		{CURLE_FAILED_INIT, ENOMEM, ENOMEM},
		{CURLE_URL_MALFORMAT, EINVAL, EINVAL},
		{CURLE_WEIRD_SERVER_REPLY, EREMOTEIO, EREMOTEIO},
		{CURLE_HTTP2, EREMOTEIO, EREMOTEIO},
		{CURLE_WRITE_ERROR, EREMOTEIO, EREMOTEIO},
		{CURLE_OUT_OF_MEMORY, ENOMEM, EREMOTEIO},
		{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, ETIMEDOUT},
		{CURLE_SSL_CONNECT_ERROR, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_BAD_FUNCTION_ARGUMENT, EREMOTEIO, EREMOTEIO},
		{CURLE_SSL_ENGINE_NOTFOUND, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_SSL_ENGINE_SETFAILED, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_SSL_CERTPROBLEM, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_SSL_CIPHER, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_BAD_CONTENT_ENCODING, EREMOTEIO, EREMOTEIO},
		{CURLE_FILESIZE_EXCEEDED, EREMOTEIO, EREMOTEIO},
		{CURLE_SSL_ENGINE_INITFAILED, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_SSL_CACERT_BADFILE, EHOSTUNREACH, EHOSTUNREACH},
		{CURLE_HTTP2_STREAM, EREMOTEIO, EREMOTEIO},
		{CURLE_SSL_CLIENTCERT, EHOSTUNREACH, EHOSTUNREACH},
		{99 /* UNRECOVERABLE_POLL */, ENOMEM, ENOMEM},
		{100 /* TOO_LARGE */, EREMOTEIO, EREMOTEIO},
		{0, EHOSTUNREACH, EREMOTEIO},
	};

	(void)state;
	for (int code = 1; code <= 105; code++)
		for (int within = 0; within <= 1; within++) {
			struct request request = {.response.header_bytes = within ? 17 : 0};
			struct failure failure;
			size_t i = 0;
			int expected;

			while (rows[i].code != 0 && rows[i].code != code)
				i++;
			expected = within ? rows[i].within : rows[i].before;
			diagnose(&request, (CURLcode)code, within ? 200 : 0,
			         within ? TRACE_STEPS : TRACE_RESPONSE, &failure);
			if (failure_errno(failure.cause) != expected)
				fail_msg("code %d, %s: errno %d instead of %d", code,
				         within ? "within" : "before", failure_errno(failure.cause),
				         expected);
		}
}

static void test_each_status_has_its_errno(void **state)
{
	(void)state;
	for (long status = 101; status <= 999; status++) {
		struct request request = {.response.header_bytes = 17};
		struct failure failure;
		int expected = EREMOTEIO;
		char begin[8];

		if (status >= 102 && status <= 200)
			continue; /* 1xx and 200 are no failures */
		if (status == 401 || status == 403)
			expected = EACCES;
		else if (status == 429)
			expected = EBUSY;
		else if (status >= 400 && status < 500 && status != 413)
			expected = EINVAL;
		diagnose(&request, CURLE_OK, status, TRACE_STEPS, &failure);
		if (failure_errno(failure.cause) != expected)
			fail_msg("%ld: %s", status, strerror(failure_errno(failure.cause)));
		snprintf(begin, sizeof(begin), "%ld ", status);
		assert_int_equal(strncmp(failure.message, begin, strlen(begin)), 0);
	}
}

static void test_a_timeout_before_a_connection_is_unreachable(void **state)
{
	(void)state;
	for (int reached = TRACE_RESOLVE; reached <= TRACE_STEPS; reached++) {
		struct request request = {.connection.dialed = true};
		bool connected = reached >= TRACE_RESPONSE;
		struct failure failure;

		diagnose(&request, CURLE_OPERATION_TIMEDOUT, 0, (uint8_t)reached, &failure);
		assert_int_equal(failure.cause, connected ? FAILURE_TIMEOUT : FAILURE_UNREACHABLE);
		assert_string_equal(failure.message, connected ? "no complete response within 10 s"
		                                               : "cannot connect within 3 s");
	}
}

/* It may be the proxy or the API that is slow, so the remedy is that of a timeout. */
static void test_a_timeout_names_the_proxy_that_sends_the_responses(void **state)
{
	static const struct {
		const char *proxy;
		bool tls, named;
	} rows[] = {
		{"http://p:1", false, true},
		{"http://p:1", true, false},
		{"socks5://p:1", false, false},
		{"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request request = {.connection = {.dialed = true, .established = true}};
		struct failure failure;

		snprintf(request.connection.proxy.url, sizeof(request.connection.proxy.url), "%s",
		         rows[i].proxy);
		diagnose_over(&request, rows[i].tls, CURLE_OPERATION_TIMEDOUT, 0, TRACE_RESPONSE,
		              &failure);
		assert_int_equal(failure.cause, FAILURE_TIMEOUT);
		assert_string_equal(
			failure.message,
			rows[i].named ? "no complete response within 10 s from the proxy http://p:1"
				      : "no complete response within 10 s");
		assert_non_null(strstr(failure_remedy(&failure), "raise timeout"));
	}
}

static void test_a_request_that_waits_for_another_connection_times_out(void **state)
{
	struct request request = {.connection.proxy = {.url = "http://p", .variable = 3}};
	struct failure failure;

	(void)state;
	diagnose(&request, CURLE_OPERATION_TIMEDOUT, 0, TRACE_RESOLVE, &failure);
	assert_int_equal(failure.cause, FAILURE_TIMEOUT);
	assert_string_equal(failure.message, "no connection was free within 3 s");
	assert_non_null(strstr(failure_remedy(&failure), "connect_timeout"));
}

static void test_the_remedy_names_what_the_credential_lacks(void **state)
{
	static char body[] = "{\"message\": \"not a member of this team\"}";
	static const struct {
		struct request request;
		long status;
		const char *remedy;
	} rows[] = {
		{{.lacks_team = false}, 401, "check the token"},
		{{.sends_team = true}, 403, "check team"},
		{{.lacks_team = true}, 403, "name the team"},
		{{.lacks_team = false}, 403, "use a token of the team"},
		{{.lacks_team = true}, 400, "name the team"},
		{{.sends_team = true}, 400, "check team"},
		{{.token_kind = TOKEN_DEVICE}, 400, "X-Team-ID is not sent"},
		{{.connection.proxy = {.url = "http://p", .variable = 3}}, 407, "all_proxy"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request request = rows[i].request;
		struct failure failure;

		request.response.body = body;
		request.response.body_bytes = strlen(body);
		diagnose(&request, CURLE_OK, rows[i].status, TRACE_STEPS, &failure);
		if (!strstr(failure_remedy(&failure), rows[i].remedy))
			fail_msg("row %zu: %s", i, failure_remedy(&failure));
	}
}

static void test_the_remedy_fits_the_message_and_the_kind_of_token(void **state)
{
	static const struct {
		long status;
		enum token_kind kind;
		bool sends_team;
		const char *body, *remedy;
	} rows[] = {
		{403, TOKEN_INTEGRATION, false, "no", "add /r to the source"},
		{403, TOKEN_DEVICE, false, "no", "use one that may"},
		{403, TOKEN_OTHER, false, "no", "use one that may"},
		{403, TOKEN_JWT, true, "no", "check team"},
		{402, TOKEN_DEVICE, false, "", "account"},
		{400, TOKEN_OTHER, true, "per_page must be at most 50", "per_page"},
		{422, TOKEN_DEVICE, false, "[\"query\", \"per_page\"]", "per_page"},
		{400, TOKEN_DEVICE, false, "bad URL: /agents?per_page=100", "check the URL"},
		{400, TOKEN_DEVICE, false, "No required SSL certificate was sent",
	         "requires a client cert"},
		{426, TOKEN_DEVICE, false, "", "check the URL (the API's base"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request request = {.token_kind = rows[i].kind,
		                          .sends_team = rows[i].sends_team};
		struct failure failure;

		request.response.body = (char *)(uintptr_t)rows[i].body;
		request.response.body_bytes = strlen(rows[i].body);
		diagnose(&request, CURLE_OK, rows[i].status, TRACE_STEPS, &failure);
		if (!strstr(failure_remedy(&failure), rows[i].remedy) ||
		    (rows[i].kind != TOKEN_INTEGRATION &&
		     strstr(failure_remedy(&failure), "add /r to the source")))
			fail_msg("row %zu: %s", i, failure_remedy(&failure));
	}
}

static void test_a_lost_https_connection_is_not_asked_for_http(void **state)
{
	static const struct {
		CURLcode code;
		uint8_t reached;
		bool asks_certificate;
		const char *remedy;
	} rows[] = {
		{CURLE_GOT_NOTHING, TRACE_RESPONSE, false, "its server ended the connection"},
		{CURLE_RECV_ERROR, TRACE_RESPONSE, false, "its server ended the connection"},
		{CURLE_GOT_NOTHING, TRACE_RESPONSE, true, "may require a client certificate"},
		{CURLE_SEND_ERROR, TRACE_RESPONSE, true, "may require a client certificate"},
		{CURLE_SSL_CONNECT_ERROR, TRACE_TLS, true, "may require a client certificate"},
		{CURLE_SSL_CONNECT_ERROR, TRACE_TLS, false, "it must speak https"},
		{CURLE_PEER_FAILED_VERIFICATION, TRACE_TLS, true, "cacert"},
		{CURLE_OPERATION_TIMEDOUT, TRACE_TLS, true, "it must speak https"},
		{CURLE_SSL_CLIENTCERT, TRACE_RESPONSE, true, "it requires a client certificate"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request request = {
			.connection = {.dialed = true,
		                       .asks_certificate = rows[i].asks_certificate}};
		struct failure failure;

		diagnose(&request, rows[i].code, 0, rows[i].reached, &failure);
		if (!strstr(failure_remedy(&failure), rows[i].remedy) ||
		    strstr(failure_remedy(&failure), "instead of https"))
			fail_msg("row %zu: %s", i, failure_remedy(&failure));
	}
}

static void test_a_proxy_is_blamed_for_what_happens_on_the_way_to_it(void **state)
{
	static const struct {
		const char *proxy;
		CURLcode code;
		uint8_t reached;
		bool blamed, plain;
	} rows[] = {
		{"http://p:1", CURLE_COULDNT_RESOLVE_PROXY, TRACE_RESOLVE, true, false},
		{"http://p:1", CURLE_COULDNT_CONNECT, TRACE_CONNECT, true, false},
		{"http://p:1", CURLE_OPERATION_TIMEDOUT, TRACE_CONNECT, true, false},
		{"https://p:1", CURLE_SSL_CONNECT_ERROR, TRACE_TLS, true, false},
		{"http://p:1", CURLE_RECV_ERROR, TRACE_RESPONSE, false, false},
		{"socks5://p:1", CURLE_COULDNT_CONNECT, TRACE_CONNECT, true, false},
		{"socks5://p:1", CURLE_PROXY, TRACE_TLS, true, false},
		{"socks5://p:1", CURLE_PEER_FAILED_VERIFICATION, TRACE_TLS, false, false},
		{"socks5://p:1", CURLE_SSL_CACERT_BADFILE, TRACE_TLS, false, false},
		{"socks5://p:1", CURLE_OPERATION_TIMEDOUT, TRACE_TLS, true, false},
		{"socks5://p:1", CURLE_GOT_NOTHING, TRACE_RESPONSE, false, false},
		{"http://p:1", CURLE_RECV_ERROR, TRACE_TLS, true, false},
		{"http://p:1", CURLE_WRITE_ERROR, TRACE_TLS, true, false},
		{"http://p:1", CURLE_GOT_NOTHING, TRACE_RESPONSE, true, true},
		{"http://p:1", CURLE_WEIRD_SERVER_REPLY, TRACE_RESPONSE, true, true},
		{"http://p:1", CURLE_OUT_OF_MEMORY, TRACE_CONNECT, false, false},
		{"", CURLE_COULDNT_CONNECT, TRACE_CONNECT, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request request = {
			.connection = {.dialed = true,
		                       .proxy = {.variable = 1},
		                       .established = rows[i].reached >= TRACE_RESPONSE},
			.response = {.stop = rows[i].code == CURLE_WRITE_ERROR
		                                     ? RESPONSE_PROXY_HEADERS_TOO_LARGE
		                                     : RESPONSE_NOT_STOPPED}};
		struct failure failure;

		snprintf(request.connection.proxy.url, sizeof(request.connection.proxy.url), "%s",
		         rows[i].proxy);
		diagnose_over(&request, !rows[i].plain, rows[i].code, 0, rows[i].reached, &failure);
		if (!strstr(failure_remedy(&failure), "https_proxy") == rows[i].blamed ||
		    (*rows[i].proxy && !strstr(failure.message, rows[i].proxy) == rows[i].blamed))
			fail_msg("row %zu: %s: %s", i, failure.message, failure_remedy(&failure));
	}
}

static void test_the_remedy_for_an_unknown_proxy_names_every_variable(void **state)
{
	static const char *const variables[] = {"https_proxy", "http_proxy", "all_proxy"};
	struct request request = {.lacks_team = false};
	struct failure failure;

	(void)state;
	diagnose(&request, CURLE_COULDNT_RESOLVE_PROXY, 0, TRACE_RESOLVE, &failure);
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		assert_non_null(strstr(failure_remedy(&failure), variables[i]));
}

static void test_a_status_that_has_a_remedy_has_a_phrase(void **state)
{
	static const long statuses[] = {400, 403, 422, 426};

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		struct request request = {.lacks_team = false};
		struct failure failure;

		diagnose(&request, CURLE_OK, statuses[i], TRACE_STEPS, &failure);
		assert_null(strstr(failure.message, "unexpected status"));
	}
}

static void test_the_url_of_a_proxy_is_kept_without_user_and_password(void **state)
{
	static const struct {
		const char *message, *url;
		int variable;
	} rows[] = {
		{"Uses proxy env variable https_proxy == 'http://ann:pw@p.example:3128'\n",
	         "http://p.example:3128", 1},
		{"Uses proxy env variable all_proxy == 'ann:p@/w@p:1/x'", "p:1", 3},
		{"Uses proxy env variable https_proxy == 'socks5h://p'", "socks5h://p", 1},
		{"Uses proxy env variable https_proxy == '", "", 0},
		{"Uses proxy env variable ", "", 0},
		{"Connected to p (127.0.0.1) port 3128 (#0)", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct proxy proxy = {0};

		proxy_read(rows[i].message, strlen(rows[i].message), &proxy);
		assert_string_equal(proxy.url, rows[i].url);
		assert_int_equal(proxy.variable, rows[i].variable);
	}
}

static void test_no_proxy_is_not_a_proxy(void **state)
{
	static const char *const messages[] = {
		"Uses proxy env variable no_proxy == 'localhost,.corp.example'\n",
		"Uses proxy env variable NO_PROXY == '*'\n",
		"Uses proxy env variable no_proxy == ''\n",
		"Uses proxy env variable other == 'http://p:1'\n",
	};
	static const char proxy_message[] =
		"Uses proxy env variable https_proxy == 'http://p.example:3128'\n";

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		struct proxy proxy = {0};

		proxy_read(messages[i], strlen(messages[i]), &proxy);
		assert_string_equal(proxy.url, "");
		proxy_read(proxy_message, strlen(proxy_message), &proxy);
		proxy_read(messages[i], strlen(messages[i]), &proxy);
		assert_string_equal(proxy.url, "http://p.example:3128");
		assert_int_equal(proxy.variable, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_code_of_curl_has_its_errno),
		cmocka_unit_test(test_each_status_has_its_errno),
		cmocka_unit_test(test_a_timeout_before_a_connection_is_unreachable),
		cmocka_unit_test(test_a_timeout_names_the_proxy_that_sends_the_responses),
		cmocka_unit_test(test_a_request_that_waits_for_another_connection_times_out),
		cmocka_unit_test(test_the_remedy_names_what_the_credential_lacks),
		cmocka_unit_test(test_the_remedy_fits_the_message_and_the_kind_of_token),
		cmocka_unit_test(test_a_lost_https_connection_is_not_asked_for_http),
		cmocka_unit_test(test_a_proxy_is_blamed_for_what_happens_on_the_way_to_it),
		cmocka_unit_test(test_the_remedy_for_an_unknown_proxy_names_every_variable),
		cmocka_unit_test(test_a_status_that_has_a_remedy_has_a_phrase),
		cmocka_unit_test(test_the_url_of_a_proxy_is_kept_without_user_and_password),
		cmocka_unit_test(test_no_proxy_is_not_a_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
