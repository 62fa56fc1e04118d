/* SPDX-License-Identifier: MIT */
#include "api/http/diagnose_transport.h"

#include <stdio.h>
#include <string.h>

#include "api/http/diagnose.h"

#define SPEAKS_HTTPS  "check the port in the URL: it must speak https, with TLS 1.2 or later"
#define SPEAKS_HTTP   "check the URL: the server there does not speak HTTP"
#define FAULTY_HTTP   "ask the operator of the API, or of a proxy before it: its HTTP is faulty"
#define BAD_BUNDLE    "replace it by a file of certificates (PEM), or name one with cacert"
#define BAD_DIRECTORY "remove it from the directory of CAs, or replace it by a certificate (PEM)"
#define LOCAL_TLS     "check this machine's TLS library and its configuration (openssl.cnf)"
#define PROXY_CERTIFICATE                                                                          \
	"check the proxy's certificate: it must be for the proxy's host, not expired, and from a " \
	"CA that the system trusts (cacert, SSL_CERT_FILE and SSL_CERT_DIR are for the API only)"

/* Remedies by the step at which a connection failed or was lost before a response began. */
static const char *const remedies[TRACE_STEPS + 1] = {
	[TRACE_RESOLVE] = "check the host in the URL, and this machine's name servers",
	[TRACE_CONNECT] = "check host and port in the URL, and the network: nothing answers there",
	[TRACE_TLS] = "check the port in the URL: it must speak https",
	[TRACE_RESPONSE] = "try again; does the URL say http instead of https?",
};

/* The same for TRACE_RESPONSE with https. */
#define LOST_HTTPS "try again, or ask the operator of the API: its server ended the connection"

/* A code that curl 7.88 does not have yet. */
#define CODE_TOO_LARGE ((CURLcode)100)

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
	/* curl could not decode the body. Responses that a callback stopped do not get
         * here: diagnose_failure() handles them first. */
	{CURLE_WRITE_ERROR, FAILURE_MALFORMED, FAILURE_MALFORMED, "", FAULTY_HTTP},
	/* Within a response: curl 7.88 reports a header line of more than 100 kB in this way, and
         * does not pass it to response_on_header(). */
	{CURLE_OUT_OF_MEMORY, FAILURE_MEMORY, FAILURE_OVERSIZED, ", or a header line without end",
         NULL},
	{CODE_TOO_LARGE, FAILURE_OVERSIZED, FAILURE_OVERSIZED, "", NULL},
	{CURLE_FILESIZE_EXCEEDED, FAILURE_OVERSIZED, FAILURE_OVERSIZED, "", NULL},
	{CURLE_BAD_CONTENT_ENCODING, FAILURE_MALFORMED, FAILURE_MALFORMED, "",
         "ask the operator of the API: its compression is faulty, or not the one asked for (gzip)"},
	/* A trailer without a colon, or a first header line that begins with a space. */
	{CURLE_BAD_FUNCTION_ARGUMENT, FAILURE_SERVER, FAILURE_MALFORMED, "", FAULTY_HTTP},
	{CURLE_UNRECOVERABLE_POLL, FAILURE_MEMORY, FAILURE_MEMORY, "", NULL},
	{CURLE_COULDNT_RESOLVE_HOST, FAILURE_UNREACHABLE, FAILURE_TRUNCATED, "",
         "check the host in the URL, and this machine's name servers"},
	{CURLE_SSL_CONNECT_ERROR, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", SPEAKS_HTTPS},
	{CURLE_SSL_CACERT_BADFILE, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", BAD_BUNDLE},
	{CURLE_SSL_CLIENTCERT, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "",
         DIAGNOSE_CLIENT_CERTIFICATE("requires")},
	{CURLE_SSL_ENGINE_NOTFOUND, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_ENGINE_SETFAILED, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_ENGINE_INITFAILED, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_CERTPROBLEM, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
	{CURLE_SSL_CIPHER, FAILURE_UNREACHABLE, FAILURE_UNREACHABLE, "", LOCAL_TLS},
};

/* Remedies for a certificate that fails verification, by a part of the message of OpenSSL or curl.
 * The first match counts. The messages that contain the name of a host come first, since that name
 * may contain the other parts. */
static const struct {
	const char *part, *remedy;
} certificates[] = {
	{"subject name",
         "check the host in the URL: the certificate of the server there is for another host"},
	{"not match",
         "check the host in the URL: the certificate of the server there is for another host"},
	{"not yet valid", "check this machine's clock"},
	{"expired",
         "ask the operator of the API to renew the certificate, if this machine's clock is right"},
	{"", "if a private CA signed the API's certificate, name that CA with cacert; otherwise do "
             "not connect: the server there may not be the API"},
};

static const char *transport_certificate_remedy(const char *reason)
{
	size_t i = 0;

	while (!strstr(reason, certificates[i].part))
		i++;
	return certificates[i].remedy;
}

/* Whether a code only means that a connection was not made or was lost, and does not state the
 * cause. */
static bool transport_is_lost(CURLcode code)
{
	return code == CURLE_OPERATION_TIMEDOUT || code == CURLE_COULDNT_CONNECT ||
	       code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR;
}

/*
 * Whether a failure occurred at the proxy or on the way to it, not on the way from it to the API.
 * With a tunnel (https, or SOCKS) the step that failed shows this. Without a tunnel the proxy
 * itself responds, so it is at fault if there is no response, or if the response is not HTTP.
 */
static bool transport_is_proxy_failure(const struct request *request, CURLcode code,
                                       const struct trace *trace)
{
	const struct connection *connection = &request->connection;
	long status = 0;

	if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY)
		return true;
	if (!*connection->proxy.url)
		return false;
	if (proxy_is_socks(&connection->proxy))
		return trace->reached <= TRACE_CONNECT ||
		       (!connection->established && !connection->tls_us && transport_is_lost(code));
	if (!trace->tls)
		return !connection->established || request->response.header_bytes == 0;
	curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return !connection->established && !(request->response.connect_ended && status / 100 == 2);
}

/* Adds the proxy to the message: curl may name its host, but does not say that it is a proxy. curl
 * only trusts the system's CAs for the proxy itself. */
static void transport_add_proxy(const struct request *request, CURLcode code,
                                struct failure *failure)
{
	size_t length = strlen(failure->message);

	failure->remedy = code == CURLE_PEER_FAILED_VERIFICATION
	                          ? PROXY_CERTIFICATE
	                          : proxy_remedy(&request->connection.proxy);
	if (*request->connection.proxy.url)
		snprintf(failure->message + length, sizeof(failure->message) - length,
		         " (proxy %s)", request->connection.proxy.url);
}

/* Returns the remedy for a connection that failed or was lost before a response began. */
static const char *transport_step_remedy(const struct trace *trace)
{
	return trace->tls && trace->reached == TRACE_RESPONSE ? LOST_HTTPS
	                                                      : remedies[trace->reached];
}

/* Whether the server seems to require a client certificate: it asked for one, and then ended the
 * connection before a response. With TLS 1.3 that comes after the handshake. */
static bool transport_lacks_certificate(const struct request *request, CURLcode code)
{
	return request->connection.asks_certificate && request->response.header_bytes == 0 &&
	       code != CURLE_OPERATION_TIMEDOUT &&
	       (code == CURLE_SSL_CONNECT_ERROR || transport_is_lost(code));
}

/* Returns the timeout that expired: timeout, or connect_timeout for a request without a connection.
 * In curl 8.20 a resolver that does not respond takes the whole timeout. */
static int64_t transport_expired_timeout_ms(const struct request *request,
                                            const struct request_settings *settings,
                                            const struct trace *trace)
{
	curl_off_t total_us = 0;

	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	if (trace->reached >= TRACE_RESPONSE || total_us / 1000 >= settings->timeout_ms)
		return settings->timeout_ms;
	return settings->connect_timeout_ms;
}

static void transport_diagnose_timeout(const struct request *request,
                                       const struct request_settings *settings,
                                       const struct trace *trace, struct failure *failure)
{
	int64_t limit_ms = transport_expired_timeout_ms(request, settings, trace);
	double limit_s = (double)limit_ms / 1e3;

	if (trace->reached == TRACE_RESOLVE && !request->connection.dialed) {
		/* Over HTTP/2 a request waits for a connection that others use. */
		failure_set(failure, FAILURE_TIMEOUT, "no connection was free within %g s",
		            limit_s);
		if (limit_ms < settings->timeout_ms)
			failure->remedy = "try again, or raise connect_timeout";
	} else if (trace->reached < TRACE_RESPONSE) {
		failure->remedy = remedies[trace->reached];
		failure_set(failure, FAILURE_UNREACHABLE, "cannot connect within %g s", limit_s);
	} else {
		/* Without TLS and SOCKS the proxy itself sends the response. Whether it or the API
		 * is slow is not known. */
		const struct proxy *proxy = &request->connection.proxy;
		bool named = *proxy->url && !trace->tls && !proxy_is_socks(proxy);

		failure_set(failure, FAILURE_TIMEOUT, "no complete response within %g s%s%s",
		            limit_s, named ? " from the proxy " : "", named ? proxy->url : "");
	}
}

/* Corrects the code of failures over HTTP/2. curl 7.88 reports a protocol error of the connection
 * as an empty reply; curl 8 reports the end of the connection as a faulty stream. What nghttp2 does
 * not accept, such as headers without end, is a failed read. */
static CURLcode transport_http2_code(const struct request *request, CURLcode code,
                                     const char **reason)
{
	if ((code == CURLE_GOT_NOTHING && request->connection.http2) ||
	    (code == CURLE_RECV_ERROR && strstr(*reason, "nghttp2"))) {
		*reason = curl_easy_strerror(CURLE_HTTP2);
		return CURLE_HTTP2;
	}
	if (code == CURLE_HTTP2_STREAM && strstr(*reason, "before end of the underlying stream"))
		return CURLE_PARTIAL_FILE;
	return code;
}

static void transport_diagnose_code(const struct request *request, CURLcode code,
                                    const struct trace *trace, struct failure *failure)
{
	const char *reason = *request->error ? request->error : curl_easy_strerror(code);
	bool began = request->response.header_bytes > 0;
	enum failure_cause cause = began ? FAILURE_TRUNCATED : FAILURE_UNREACHABLE;
	bool lacks_certificate = transport_lacks_certificate(request, code);
	const char *more = "";
	long error = 0;

	code = transport_http2_code(request, code, &reason);
	if (code == CODE_TOO_LARGE) /* curl 8 does not say what it is */
		reason = "a header of the response is too large";
	failure->remedy = began ? NULL : transport_step_remedy(trace);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		failure->remedy = transport_certificate_remedy(reason);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].code == code) {
			cause = began ? meanings[i].within : meanings[i].before;
			more = meanings[i].more;
			failure->remedy = meanings[i].remedy;
		}
	if (lacks_certificate)
		failure->remedy = DIAGNOSE_CLIENT_CERTIFICATE("may require");
	/* curl's message about a failed connect() lacks the reason. */
	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && error > 0)
		failure_set(failure, cause, "%s: %s", reason, strerror((int)error));
	else
		failure_set(failure, cause, "%s%s", reason, more);
}

void diagnose_transport(const struct request *request, const struct request_settings *settings,
                        CURLcode code, const struct trace *trace, struct failure *failure)
{
	const struct ca_fault *fault = &request->connection.ca_fault;

	if (*fault->path) {
		failure->remedy = fault->bundle ? BAD_BUNDLE : BAD_DIRECTORY;
		failure_set(failure, FAILURE_UNREACHABLE, "the CA %s %s is no regular file",
		            fault->bundle ? "bundle" : "certificate", fault->path);
		return;
	}
	if (request->response.stop == RESPONSE_PROXY_HEADERS_TOO_LARGE)
		failure_set(failure, FAILURE_UNREACHABLE,
		            "the response's headers are larger than %u bytes",
		            RESPONSE_MAX_HEADER_BYTES);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		transport_diagnose_timeout(request, settings, trace, failure);
	else
		transport_diagnose_code(request, code, trace, failure);
	if (failure->cause != FAILURE_TIMEOUT && failure->cause != FAILURE_MEMORY &&
	    transport_is_proxy_failure(request, code, trace))
		transport_add_proxy(request, code, failure);
}
