/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_TRACE_H
#define FLEETFS_API_MODEL_TRACE_H

/*
 * The steps of one request, for --check: how far it got, how long each step took, and details of
 * the connection. The fetching thread fills it in. Plain data; all zeroes: there was no request.
 */

#include <stdbool.h>
#include <stdint.h>

enum trace_step {
	TRACE_RESOLVE,
	TRACE_CONNECT,
	TRACE_TLS,      /* https only */
	TRACE_RESPONSE, /* from the request to the first byte of the response */
	TRACE_STEPS
};

struct trace {
	bool is_new_connection;       /* opened a connection instead of reusing one */
	bool tls;                     /* https */
	uint8_t reached;              /* enum trace_step that failed; TRACE_STEPS if none did */
	int64_t step_us[TRACE_STEPS]; /* duration of each step, also of the one that failed */
	char address[64];        /* of the API or the proxy: "192.0.2.1 port 443"; "" if unknown */
	char proxy[128];         /* "http://proxy.example:3128", without a password; "" if none */
	const char *http;        /* "HTTP/2", static; NULL if there was no response */
	char tls_version[16];    /* "TLSv1.3", as the TLS library calls it; "" if unknown */
	int64_t certificate_end; /* when the API's certificate expires, seconds since 1970; 0 if
	                            unknown */
};

#endif
