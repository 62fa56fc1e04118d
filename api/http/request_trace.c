/* SPDX-License-Identifier: MIT */
#include "api/http/request_trace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Returns when the API's own certificate, the first of its chain, expires; 0: not known. */
static int64_t trace_certificate_end(CURL *easy)
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

static const char *trace_http_name(CURL *easy)
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

/*
 * Returns when a step ended, in us since the request began; -1: it has not ended. before_us: when
 * the step before it ended.
 */
static curl_off_t trace_step_end_us(const struct request *request, enum trace_step step,
                                    curl_off_t before_us)
{
	static const CURLINFO marks[TRACE_STEPS] = {
		[TRACE_RESOLVE] = CURLINFO_NAMELOOKUP_TIME_T,
		[TRACE_CONNECT] = CURLINFO_CONNECT_TIME_T,
		[TRACE_TLS] = CURLINFO_APPCONNECT_TIME_T,
		[TRACE_RESPONSE] = CURLINFO_STARTTRANSFER_TIME_T,
	};
	const struct connection *connection = &request->connection;
	curl_off_t at_us = 0;
	long local_port = 0;

	curl_easy_getinfo(request->easy, marks[step], &at_us);
	/* curl sets this mark also if the connection ends without a response. */
	if (step == TRACE_RESPONSE)
		return request->response.header_bytes > 0 ? at_us : -1;
	/* With TLS, curl sets this mark only after the handshake. Until then, TLS data (with
	 * OpenSSL only) or a local port (not in curl 8.10 to 8.20) shows that TCP is connected.
	 * Without TLS, only a SOCKS proxy can delay the mark after TCP is connected. */
	curl_easy_getinfo(request->easy, CURLINFO_LOCAL_PORT, &local_port);
	if (step == TRACE_CONNECT && at_us == 0 && connection->tls_us)
		return connection->tls_us - connection->began_us;
	if (step == TRACE_CONNECT && at_us == 0 && local_port > 0 && connection->settings->tls)
		return before_us;
	/* For a connection of the pool curl sets no marks: its steps ended before. */
	if (at_us == 0)
		return connection->established ? before_us : -1;
	return at_us;
}

static void trace_read_steps(const struct request *request, struct trace *trace)
{
	curl_off_t before_us = 0, total_us = 0;

	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	trace->reached = TRACE_STEPS;
	for (enum trace_step step = 0; step < TRACE_STEPS && trace->reached == TRACE_STEPS;
	     step++) {
		curl_off_t at_us;

		if (step == TRACE_TLS && !trace->tls)
			continue;
		at_us = trace_step_end_us(request, step, before_us);
		if (at_us < 0) {
			trace->reached = (uint8_t)step;
			at_us = total_us;
		}
		trace->step_us[step] = at_us - before_us;
		before_us = at_us;
	}
}

static void trace_read_address(const struct request *request, struct trace *trace)
{
	char *address = NULL;
	long port = 0;

	curl_easy_getinfo(request->easy, CURLINFO_PRIMARY_IP, &address);
	curl_easy_getinfo(request->easy, CURLINFO_PRIMARY_PORT, &port);
	if (address && *address)
		snprintf(trace->address, sizeof(trace->address), "%.45s port %ld", address, port);
	else
		memcpy(trace->address, request->connection.address, sizeof(trace->address));
}

void request_trace_read(const struct request *request, const struct request_settings *settings,
                        struct trace *ret_trace)
{
	const struct connection *connection = &request->connection;
	struct trace trace = {.tls = settings->tls};
	long connects = 0;

	trace_read_steps(request, &trace);
	trace_read_address(request, &trace);
	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
	trace.is_new_connection = connects > 0 || trace.reached < TRACE_RESPONSE;
	trace.http = trace_http_name(request->easy);
	trace.certificate_end = settings->diagnostics ? trace_certificate_end(request->easy) : 0;
	memcpy(trace.proxy, connection->proxy.url, sizeof(trace.proxy));
	memcpy(trace.tls_version, connection->tls_version, sizeof(trace.tls_version));
	*ret_trace = trace;
}
