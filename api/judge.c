/* SPDX-License-Identifier: MIT */
#include "api/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/decode.h"

void judge_say(struct failure *failure, enum failure_cause cause, const char *format, ...)
{
	va_list args;

	failure->cause = (uint8_t)cause;
	va_start(args, format);
	vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
}

static const char *reason_phrase(long status)
{
	static const struct {
		long status;
		const char *phrase;
	} known[] = {
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{410, "Gone"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};

	/* Ours, since HTTP/2 has none and that of HTTP/1 may say anything. */
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].status == status)
			return known[i].phrase;
	return "unexpected status";
}

static enum failure_cause cause_of_status(long status)
{
	if (status == 401 || status == 403)
		return FAILURE_CREDENTIAL;
	if (status == 429)
		return FAILURE_BUSY;
	if (status == 304)
		return FAILURE_MALFORMED;
	if (status >= 300 && status < 400)
		return FAILURE_REDIRECT;
	if (status >= 400 && status < 500)
		return FAILURE_REQUEST;
	return FAILURE_SERVER;
}

static void judge_status(const struct request *request, long status, struct failure *failure)
{
	enum failure_cause cause = cause_of_status(status);
	char words[400];
	char *location = NULL;
	curl_off_t wait = 0;

	/* 0 is curl's "none" as well as its "now"; less than 0 is a date gone by. */
	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &wait);
	if (wait != 0)
		failure->retry_after_ms =
			wait < 0 ? 0 : 1000 * (wait < INT64_MAX / 1000 ? wait : INT64_MAX / 1000);
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &location);
	if (cause == FAILURE_REDIRECT && location)
		snprintf(words, sizeof(words), "not followed; it points to %.300s", location);
	else
		decode_message(request->body, request->body_bytes, words, sizeof(words));
	judge_say(failure, cause, "%ld %s%s%s", status, reason_phrase(status), *words ? ": " : "",
	          words);
	if (status == 400 && request->lacks_team)
		failure->remedy = "name the team, if the token needs one: team or CYBERUN_TEAM_ID";
	else if (status == 403)
		failure->remedy = "the token may not list agents here: an sk- key reads SOURCE/r";
	else if (status == 404)
		failure->remedy = "check the URL: the API's base, without /agents";
	else if (status == 304)
		failure->remedy =
			"ask who runs the API, or a cache in front of it: it answers what "
			"was not asked";
}

/* Of a connection that was not made, or was lost before an answer began. */
static const char *const remedies[ROUTE_STEPS + 1] = {
	[ROUTE_RESOLVE] = "check the host in the URL, and this machine's name servers",
	[ROUTE_CONNECT] = "check host and port in the URL, and the network: nothing answers there",
	[ROUTE_TLS] = "check the port in the URL: it has to speak https",
	[ROUTE_ANSWER] = "try again; does the URL say http where it has to be https?",
};

static void judge_timeout(const struct request *request, const struct request_settings *settings,
                          const struct route *route, struct failure *failure)
{
	curl_off_t connected_us = 0, total_us = 0;

	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	if (route->reached < ROUTE_ANSWER)
		failure->remedy = remedies[route->reached];
	if (connected_us == 0 && total_us / 1000 < settings->timeout_ms)
		judge_say(failure, FAILURE_UNREACHABLE, "cannot connect within %g s",
		          (double)settings->connect_timeout_ms / 1e3);
	else
		judge_say(failure, FAILURE_TIMEOUT, "no whole answer within %g s",
		          (double)settings->timeout_ms / 1e3);
}

#define CHECK_PROXY "check the proxy that https_proxy or http_proxy names"

/* What curl's codes mean, before an answer began and within one. What is not in here is a
 * connection that could not be made, or was lost: unreachable, truncated. */
static const struct {
	CURLcode code;
	enum failure_cause before, within;
	const char *more, *remedy;
} meanings[] = {
	/* What curl 7.88 also says of a header line beyond 100 kB, which it never shows to
         * on_header(). */
	{CURLE_OUT_OF_MEMORY, FAILURE_MEMORY, FAILURE_OVERSIZED, ", or a header line without end",
         NULL},
	{CURLE_URL_MALFORMAT, FAILURE_REQUEST, FAILURE_REQUEST, "", "check the URL"},
	{CURLE_UNSUPPORTED_PROTOCOL, FAILURE_SERVER, FAILURE_SERVER, "",
         "check the URL: what is there speaks no HTTP"},
	{CURLE_WEIRD_SERVER_REPLY, FAILURE_SERVER, FAILURE_SERVER, "",
         "check the URL: what is there speaks no HTTP"},
	{CURLE_BAD_CONTENT_ENCODING, FAILURE_MALFORMED, FAILURE_MALFORMED, "", NULL},
	{CURLE_SSL_CONNECT_ERROR, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "",
         "check the port in the URL: it has to speak https, with TLS 1.2 or later"},
	{CURLE_COULDNT_RESOLVE_PROXY, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", CHECK_PROXY},
	{CURLE_SSL_CACERT_BADFILE, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "",
         "name a file of certificates (PEM) with cacert"},
};

/* Which of its problems a certificate has, by the words of OpenSSL and curl, a part of which each
 * row is. The first that fits: a host's name may hold any of them. */
static const struct {
	const char *words, *remedy;
} certificates[] = {
	{"subject name",
         "check the host in the URL: the certificate that is shown there is another's"},
	{"not match",
         "check the host in the URL: the certificate that is shown there is another's"},
	{"not yet valid", "check this machine's clock"},
	{"expired",
         "who runs the API has to renew the certificate, if this machine's clock is right"},
	{"", "if the API has a CA of its own, name it with cacert; if not, somebody may listen in"},
};

static const char *certificate_remedy(const char *reason)
{
	size_t i = 0;

	while (!strstr(reason, certificates[i].words))
		i++;
	return certificates[i].remedy;
}

static void judge_code(const struct request *request, CURLcode code, const struct route *route,
                       struct failure *failure)
{
	const char *reason = *request->error ? request->error : curl_easy_strerror(code);
	bool began = request->header_bytes > 0;
	enum failure_cause cause = began ? FAILURE_TRUNCATED : FAILURE_UNREACHABLE;
	const char *more = "";
	long error = 0, proxy_status = 0;

	failure->remedy = remedies[route->reached];
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		failure->remedy = certificate_remedy(reason);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].code == code) {
			cause = began ? meanings[i].within : meanings[i].before;
			more = meanings[i].more;
			failure->remedy = meanings[i].remedy;
		}
	curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
	if (proxy_status > 0 && proxy_status / 100 != 2)
		failure->remedy = CHECK_PROXY;
	/* curl's own words for a failed connect() leave out why. */
	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && error > 0 && strerrordesc_np((int)error))
		judge_say(failure, cause, "%s: %s", reason, strerrordesc_np((int)error));
	else
		judge_say(failure, cause, "%s%s", reason, more);
}

/* The end of the API's certificate; 0 when curl does not tell. The first is the API's own. */
static int64_t certificate_end(CURL *easy)
{
	static const char key[] = "Expire date:";
	struct curl_certinfo *info = NULL;
	time_t end;

	if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    info->num_of_certs < 1)
		return 0;
	for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
		if (strncmp(line->data, key, sizeof(key) - 1) == 0) {
			end = curl_getdate(line->data + sizeof(key) - 1, NULL);
			return end > 0 ? end : 0;
		}
	return 0;
}

static const char *http_name(CURL *easy)
{
	long version = 0;

	curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	switch (version) {
	case CURL_HTTP_VERSION_1_0:
		return "HTTP/1.0";
	case CURL_HTTP_VERSION_1_1:
		return "HTTP/1.1";
	case CURL_HTTP_VERSION_2_0:
		return "HTTP/2";
	default:
		return NULL;
	}
}

void judge_route(const struct request *request, const struct request_settings *settings,
                 struct route *route)
{
	static const CURLINFO marks[ROUTE_STEPS] = {
		[ROUTE_RESOLVE] = CURLINFO_NAMELOOKUP_TIME_T,
		[ROUTE_CONNECT] = CURLINFO_CONNECT_TIME_T,
		[ROUTE_TLS] = CURLINFO_APPCONNECT_TIME_T,
		[ROUTE_ANSWER] = CURLINFO_STARTTRANSFER_TIME_T,
	};
	CURL *easy = request->easy;
	curl_off_t before_us = 0, total_us = 0;
	long connects = 0, port = 0, local_port = 0;
	char *address = NULL;

	*route = (struct route){.reached = ROUTE_STEPS, .tls = settings->tls};
	curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &total_us);
	curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &local_port);
	for (int step = 0; step < ROUTE_STEPS && route->reached == ROUTE_STEPS; step++) {
		curl_off_t at_us = 0;

		if (step == ROUTE_TLS && !route->tls)
			continue;
		curl_easy_getinfo(easy, marks[step], &at_us);
		/* curl 7.88 marks it only once TLS stands, too. */
		if (step == ROUTE_CONNECT && at_us == 0 && local_port > 0)
			at_us = request->tls_us ? request->tls_us - request->began_us : before_us;
		/* The answer's mark is set by a connection that ends, too. */
		if (at_us == 0 || (step == ROUTE_ANSWER && request->header_bytes == 0)) {
			route->reached = (uint8_t)step;
			at_us = total_us;
		}
		route->step_us[step] = at_us - before_us;
		before_us = at_us;
	}
	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	route->made = connects > 0 || route->reached < ROUTE_ANSWER;
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
	if (address && *address)
		snprintf(route->address, sizeof(route->address), "%.45s port %ld", address, port);
	route->http = http_name(easy);
	memcpy(route->tls_version, request->tls_version, sizeof(route->tls_version));
	route->certificate_end = settings->curious ? certificate_end(easy) : 0;
}

/* Than was asked for. 101 is the one interim answer that nothing else follows. */
static bool is_other_status(const struct request *request, long status)
{
	if (status == 304)
		return !request->conditional;
	return status == 101 || status > 200;
}

bool judge_failure(const struct request *request, const struct request_settings *settings,
                   CURLcode code, long status, const struct route *route, struct failure *failure)
{
	if (request->stop == REQUEST_STOP_MEMORY)
		judge_say(failure, FAILURE_MEMORY, "out of memory");
	else if (request->stop == REQUEST_STOP_HEADERS)
		judge_say(failure, FAILURE_OVERSIZED,
		          "the answer's headers are larger than %u bytes",
		          REQUEST_MAX_HEADER_BYTES);
	else if (is_other_status(request, status))
		judge_status(request, status, failure);
	else if (request->stop == REQUEST_STOP_BODY)
		judge_say(failure, FAILURE_OVERSIZED, "the answer is larger than %u bytes",
		          DECODE_MAX_BYTES);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		judge_timeout(request, settings, route, failure);
	else if (code != CURLE_OK)
		judge_code(request, code, route, failure);
	else
		return false;
	return true;
}

bool judge_age(const struct request_settings *settings, int64_t age_ms, struct failure *failure)
{
	/* Without a ttl whatever comes is too old, and good for who waits for it. */
	if (age_ms == 0 || age_ms < settings->ttl_ms)
		return false;
	judge_say(
		failure, FAILURE_OLD,
		"the answer is %g s old: a cache in front of the API keeps it for longer than %g s",
		(double)age_ms / 1e3, (double)settings->ttl_ms / 1e3);
	return true;
}
