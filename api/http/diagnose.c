/* SPDX-License-Identifier: MIT */
#include "api/http/diagnose.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/json/decode.h"

void diagnose_say(struct failure *failure, enum failure_cause cause, const char *format, ...)
{
	va_list args;

	failure->cause = (uint8_t)cause;
	va_start(args, format);
	vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
}

/* The statuses that an API or a gateway may send. The phrases are ours, since HTTP/2 has none and
 * an HTTP/1 server may send any. Remedy NULL: the remedy of the cause applies. */
static const struct {
	long status;
	const char *phrase, *remedy;
} statuses[] = {
	{204, "No Content", "check the URL: the API's base, without /agents"},
	{301, "Moved Permanently", NULL},
	{302, "Found", NULL},
	{303, "See Other", NULL},
	{304, "Not Modified",
         "ask the operator of the API, or of a cache in front of it: no condition was sent"},
	{307, "Temporary Redirect", NULL},
	{308, "Permanent Redirect", NULL},
	{400, "Bad Request", NULL},
	{401, "Unauthorized", NULL},
	{403, "Forbidden", "the token may not list agents here: an sk- key reads SOURCE/r"},
	{404, "Not Found", "check the URL: the API's base, without /agents"},
	{405, "Method Not Allowed", "check the URL: the API's base, without /agents"},
	{406, "Not Acceptable", "check the URL: the server there offers no JSON"},
	{407, "Proxy Authentication Required",
         "add user and password to the proxy's URL in the environment"},
	{408, "Request Timeout", "try again"},
	{410, "Gone", "check the URL: the API's base, without /agents"},
	{413, "Content Too Large", NULL},
	{421, "Misdirected Request",
         "check the host in the URL: the server there does not know it"},
	{425, "Too Early", "try again"},
	{426, "Upgrade Required", "check the URL: does it say http where it has to be https?"},
	{429, "Too Many Requests", NULL},
	{431, "Request Header Fields Too Large", "check the token: it is too long for the server"},
	{451, "Unavailable For Legal Reasons", "ask the operator of the API"},
	{500, "Internal Server Error", NULL},
	{501, "Not Implemented", "check the URL: the API's base, without /agents"},
	{502, "Bad Gateway", NULL},
	{503, "Service Unavailable", NULL},
	{504, "Gateway Timeout", NULL},
	{505, "HTTP Version Not Supported", NULL},
	{511, "Network Authentication Required",
         "log in to the network of this machine: a browser shows the page for that"},
};

static enum failure_cause cause_of_status(long status)
{
	if (status == 401 || status == 403)
		return FAILURE_CREDENTIAL;
	if (status == 413) /* the request has no content, so it is about the response */
		return FAILURE_OVERSIZED;
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

/* Returns the remedy for a status that the token or the team explains, else NULL. */
static const char *credential_remedy(const struct request *request, long status, const char *words)
{
	if (status == 400 && request->lacks_team)
		return "name the team, if the token needs one: team or CYBERUN_TEAM_ID";
	if (status != 403 || !strcasestr(words, "team"))
		return NULL;
	if (request->sends_team)
		return "check team: the token has no access to it";
	return request->lacks_team ? "name the team: team or CYBERUN_TEAM_ID"
	                           : "use a token of the team: an sk- or dk- key has a fixed one";
}

/* Describes the target of a redirect, without its query, which may contain a token. */
static void describe_location(const char *location, char *ret_words, size_t room)
{
	size_t length = strcspn(location, "?#");

	snprintf(ret_words, room, "not followed; it points to %.*s%s",
	         (int)(length < 300 ? length : 300), location, location[length] ? "?..." : "");
}

static void diagnose_status(const struct request *request, long status, struct failure *failure)
{
	enum failure_cause cause = cause_of_status(status);
	const char *phrase = "unexpected status", *remedy;
	char words[400];
	char *location = NULL;

	failure->retry_after_ms =
		headers_retry_after_ms(&request->answer_headers, failure->at_ns / 1000000);
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &location);
	if (cause == FAILURE_REDIRECT && location)
		describe_location(location, words, sizeof(words));
	else
		decode_message(request->body, request->body_bytes, words, sizeof(words));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
		if (statuses[i].status == status) {
			phrase = statuses[i].phrase;
			failure->remedy = statuses[i].remedy;
		}
	diagnose_say(failure, cause, "%ld %s%s%s", status, phrase, *words ? ": " : "", words);
	remedy = credential_remedy(request, status, words);
	if (remedy)
		failure->remedy = remedy;
	if (status == 407 && *request->proxy.url)
		failure->remedy = proxy_remedy(&request->proxy);
}

#define SPEAKS_HTTPS "check the port in the URL: it has to speak https, with TLS 1.2 or later"
#define SPEAKS_HTTP  "check the URL: the server there does not speak HTTP"
#define FAULTY_HTTP  "ask the operator of the API, or of a proxy in front of it: its HTTP is faulty"
#define BAD_BUNDLE   "name a file of certificates (PEM) with cacert"
#define LOCAL_TLS    "check this machine's TLS library and its configuration (openssl.cnf)"

/* Remedies by the step at which a connection failed or was lost before a response began. */
static const char *const remedies[TRACE_STEPS + 1] = {
	[TRACE_RESOLVE] = "check the host in the URL, and this machine's name servers",
	[TRACE_CONNECT] = "check host and port in the URL, and the network: nothing answers there",
	[TRACE_TLS] = "check the port in the URL: it has to speak https",
	[TRACE_ANSWER] = "try again; does the URL say http where it has to be https?",
};

/* Codes that curl 7.88 does not have yet. */
#define CODE_UNRECOVERABLE_POLL ((CURLcode)99)
#define CODE_TOO_LARGE          ((CURLcode)100)

/*
 * The cause of a failure by curl's code: before a response began and within one. `more` is appended
 * to curl's message. Remedy NULL: the remedy of the cause applies.
 *
 * A code that is not listed means that a connection could not be made or was lost:
 * FAILURE_UNREACHABLE, with the remedy of the step that was reached, or FAILURE_TRUNCATED.
 */
static const struct {
	CURLcode code;
	enum failure_cause before, within;
	const char *more, *remedy;
} meanings[] = {
	{CURLE_UNSUPPORTED_PROTOCOL, FAILURE_SERVER, FAILURE_SERVER, "", SPEAKS_HTTP},
	{CURLE_FAILED_INIT, FAILURE_MEMORY, FAILURE_MEMORY, "", NULL},
	{CURLE_URL_MALFORMAT, FAILURE_REQUEST, FAILURE_REQUEST, "", "check the URL"},
	{CURLE_WEIRD_SERVER_REPLY, FAILURE_SERVER, FAILURE_SERVER, "", SPEAKS_HTTP},
	/* A protocol error or a reset of the stream: the server is reachable, but faulty. */
	{CURLE_HTTP2, FAILURE_SERVER, FAILURE_TRUNCATED, "", FAULTY_HTTP},
	{CURLE_HTTP2_STREAM, FAILURE_SERVER, FAILURE_TRUNCATED, "", FAULTY_HTTP},
	/* curl could not decode the body. Errors of our own callbacks do not get here:
         * judge_failure() handles request->stop first. */
	{CURLE_WRITE_ERROR, FAILURE_MALFORMED, FAILURE_MALFORMED, "", FAULTY_HTTP},
	/* Within a response: curl 7.88 reports a header line of more than 100 kB in this way, and
         * does not pass it to on_header(). */
	{CURLE_OUT_OF_MEMORY, FAILURE_MEMORY, FAILURE_OVERSIZED, ", or a header line without end",
         NULL},
	{CODE_TOO_LARGE, FAILURE_OVERSIZED, FAILURE_OVERSIZED, "", NULL},
	{CURLE_FILESIZE_EXCEEDED, FAILURE_OVERSIZED, FAILURE_OVERSIZED, "", NULL},
	{CURLE_BAD_CONTENT_ENCODING, FAILURE_MALFORMED, FAILURE_MALFORMED, "",
         "ask the operator of the API: its compression is faulty, or not the one asked for (gzip)"},
	{CURLE_BAD_FUNCTION_ARGUMENT, FAILURE_MEMORY, FAILURE_MEMORY, "", NULL},
	{CODE_UNRECOVERABLE_POLL, FAILURE_MEMORY, FAILURE_MEMORY, "", NULL},
	{CURLE_COULDNT_RESOLVE_HOST, FAILURE_UNREACHABLE, FAILURE_TRUNCATED, "",
         "check the host in the URL, and this machine's name servers"},
	{CURLE_SSL_CONNECT_ERROR, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", SPEAKS_HTTPS},
	{CURLE_SSL_CACERT_BADFILE, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", BAD_BUNDLE},
	{CURLE_SSL_CLIENTCERT, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "",
         "ask the operator of the API: it requires a client certificate, which fleetfs does not "
         "support"},
	{CURLE_SSL_ENGINE_NOTFOUND, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_ENGINE_SETFAILED, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_ENGINE_INITFAILED, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_CERTPROBLEM, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_CIPHER, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
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
         "ask the operator of the API to renew the certificate, if this machine's clock is right"},
	{"", "if the API has a CA of its own, name it with cacert; if not, somebody may listen in"},
};

static const char *certificate_remedy(const char *reason)
{
	size_t i = 0;

	while (!strstr(reason, certificates[i].words))
		i++;
	return certificates[i].remedy;
}

/* Whether a failure occurred at the proxy or on the way to it, not on the way from it to the API.
 */
static bool is_proxys_fault(const struct request *request, CURLcode code, const struct trace *trace)
{
	long status = 0;

	if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY)
		return true;
	if (!*request->proxy.url)
		return false;
	if (proxy_is_socks(&request->proxy) || !trace->tls)
		return trace->reached <= TRACE_CONNECT;
	curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status / 100 != 2 && trace->reached < TRACE_ANSWER;
}

/* Adds the proxy to the message: curl may name its host, but not say that it is a proxy. */
static void blame_proxy(const struct request *request, struct failure *failure)
{
	size_t length = strlen(failure->message);

	failure->remedy = proxy_remedy(&request->proxy);
	if (*request->proxy.url)
		snprintf(failure->message + length, sizeof(failure->message) - length,
		         ", by the proxy %s", request->proxy.url);
}

static void diagnose_timeout(const struct request *request, const struct request_settings *settings,
                             const struct trace *trace, struct failure *failure)
{
	curl_off_t total_us = 0;

	/* Curl 8.20 lets a silent resolver take all of the timeout. */
	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	if (trace->reached == TRACE_RESOLVE && !request->dialed) {
		/* Over HTTP/2 a request waits for a connection that others use. */
		diagnose_say(failure, FAILURE_TIMEOUT, "no connection was free within %g s",
		             (double)settings->timeout_ms / 1e3);
	} else if (trace->reached < TRACE_ANSWER) {
		bool all = total_us / 1000 >= settings->timeout_ms;

		failure->remedy = remedies[trace->reached];
		diagnose_say(failure, FAILURE_UNREACHABLE, "cannot connect within %g s",
		             (double)(all ? settings->timeout_ms : settings->connect_timeout_ms) /
		                     1e3);
	} else {
		diagnose_say(failure, FAILURE_TIMEOUT, "no whole answer within %g s",
		             (double)settings->timeout_ms / 1e3);
	}
}

/* Corrects the code of two failures over HTTP/2. curl 7.88 reports a protocol error of the
 * connection as an empty reply; curl 8 reports the end of the connection as a faulty stream. */
static CURLcode http2_code(const struct request *request, CURLcode code, const char **reason)
{
	if (code == CURLE_GOT_NOTHING && request->http2) {
		*reason = curl_easy_strerror(CURLE_HTTP2);
		return CURLE_HTTP2;
	}
	if (code == CURLE_HTTP2_STREAM && strstr(*reason, "before end of the underlying stream"))
		return CURLE_PARTIAL_FILE;
	return code;
}

static void diagnose_code(const struct request *request, CURLcode code, const struct trace *trace,
                          struct failure *failure)
{
	const char *reason = *request->error ? request->error : curl_easy_strerror(code);
	bool began = request->header_bytes > 0;
	enum failure_cause cause = began ? FAILURE_TRUNCATED : FAILURE_UNREACHABLE;
	const char *more = "";
	long error = 0;

	code = http2_code(request, code, &reason);
	failure->remedy = began ? NULL : remedies[trace->reached];
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		failure->remedy = certificate_remedy(reason);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].code == code) {
			cause = began ? meanings[i].within : meanings[i].before;
			more = meanings[i].more;
			failure->remedy = meanings[i].remedy;
		}
	/* curl's own words for a failed connect() leave out why. */
	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && error > 0 && strerrordesc_np((int)error))
		diagnose_say(failure, cause, "%s: %s", reason, strerrordesc_np((int)error));
	else
		diagnose_say(failure, cause, "%s%s", reason, more);
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

void diagnose_trace(const struct request *request, const struct request_settings *settings,
                    struct trace *trace)
{
	static const CURLINFO marks[TRACE_STEPS] = {
		[TRACE_RESOLVE] = CURLINFO_NAMELOOKUP_TIME_T,
		[TRACE_CONNECT] = CURLINFO_CONNECT_TIME_T,
		[TRACE_TLS] = CURLINFO_APPCONNECT_TIME_T,
		[TRACE_ANSWER] = CURLINFO_STARTTRANSFER_TIME_T,
	};
	CURL *easy = request->easy;
	curl_off_t before_us = 0, total_us = 0;
	long connects = 0, port = 0, local_port = 0;
	char *address = NULL;

	*trace = (struct trace){.reached = TRACE_STEPS, .tls = settings->tls};
	curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &total_us);
	curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &local_port);
	for (int step = 0; step < TRACE_STEPS && trace->reached == TRACE_STEPS; step++) {
		curl_off_t at_us = 0;

		if (step == TRACE_TLS && !trace->tls)
			continue;
		curl_easy_getinfo(easy, marks[step], &at_us);
		/* curl sets this mark only after the TLS handshake. Until then, TCP is known to be
		 * connected by the first data of TLS (with OpenSSL only) or by a local port (not in
		 * curl 8.10 to 8.20). */
		if (step == TRACE_CONNECT && at_us == 0 && (request->tls_us || local_port > 0))
			at_us = request->tls_us ? request->tls_us - request->began_us : before_us;
		/* A connection of the pool has no marks: its steps were done before. */
		if (step < TRACE_ANSWER && at_us == 0 && request->connected)
			at_us = before_us;
		/* The answer's mark is set by a connection that ends, too. */
		if (at_us == 0 || (step == TRACE_ANSWER && request->header_bytes == 0)) {
			trace->reached = (uint8_t)step;
			at_us = total_us;
		}
		trace->step_us[step] = at_us - before_us;
		before_us = at_us;
	}
	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	trace->made = connects > 0 || trace->reached < TRACE_ANSWER;
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
	if (address && *address)
		snprintf(trace->address, sizeof(trace->address), "%.45s port %ld", address, port);
	else
		memcpy(trace->address, request->address, sizeof(trace->address));
	memcpy(trace->proxy, request->proxy.url, sizeof(trace->proxy));
	trace->http = http_name(easy);
	memcpy(trace->tls_version, request->tls_version, sizeof(trace->tls_version));
	trace->certificate_end = settings->diagnostics ? certificate_end(easy) : 0;
}

/* Than was asked for. 101 is the one interim answer that nothing else follows. */
static bool is_other_status(const struct request *request, long status)
{
	if (status == 304)
		return !request->conditional;
	return status == 101 || status > 200;
}

bool diagnose_failure(const struct request *request, const struct request_settings *settings,
                      CURLcode code, long status, const struct trace *trace,
                      struct failure *failure)
{
	if (request->stop == REQUEST_STOP_MEMORY)
		diagnose_say(failure, FAILURE_MEMORY, "out of memory");
	else if (request->stop == REQUEST_STOP_HEADERS)
		diagnose_say(failure, FAILURE_OVERSIZED,
		             "the answer's headers are larger than %u bytes",
		             REQUEST_MAX_HEADER_BYTES);
	else if (is_other_status(request, status))
		diagnose_status(request, status, failure);
	else if (request->stop == REQUEST_STOP_BODY)
		diagnose_say(failure, FAILURE_OVERSIZED, "the answer is larger than %u bytes",
		             DECODE_MAX_BYTES);
	else if (code == CURLE_OK)
		return false;
	else if (request->stop == REQUEST_STOP_BUNDLE) {
		failure->remedy = BAD_BUNDLE;
		diagnose_say(failure, FAILURE_UNREACHABLE, "the CA bundle %s is no regular file",
		             settings->cacert);
	} else {
		if (code == CURLE_OPERATION_TIMEDOUT)
			diagnose_timeout(request, settings, trace, failure);
		else
			diagnose_code(request, code, trace, failure);
		if (failure->cause != FAILURE_TIMEOUT && is_proxys_fault(request, code, trace))
			blame_proxy(request, failure);
	}
	return true;
}

bool diagnose_age(const struct request_settings *settings, int64_t age_ms, struct failure *failure)
{
	/* Without a ttl whatever comes is too old, and good for who waits for it. */
	if (age_ms == 0 || age_ms < settings->ttl_ms)
		return false;
	diagnose_say(
		failure, FAILURE_OLD,
		"the answer is %g s old: a cache in front of the API keeps it for longer than %g s",
		(double)age_ms / 1e3, (double)settings->ttl_ms / 1e3);
	return true;
}
