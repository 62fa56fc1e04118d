/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_TRACE_H
#define FLEETFS_API_MODEL_TRACE_H

/*
 * How far a request got on its way to the API, and what was met there. Made by the fetching thread,
 * shown by --check. Plain data; zeroes are a request that made no connection of its own.
 */

#include <stdbool.h>
#include <stdint.h>

enum trace_step {
	TRACE_RESOLVE,
	TRACE_CONNECT,
	TRACE_TLS,    /* of https alone */
	TRACE_ANSWER, /* until the first byte of it */
	TRACE_STEPS
};

struct trace {
	bool made;                    /* it tried to connect, instead of using what was there */
	bool tls;                     /* https */
	uint8_t reached;              /* enum route_step: where it failed; ROUTE_STEPS: answered */
	int64_t step_us[TRACE_STEPS]; /* how long each took, the one that failed included */
	char address[64];        /* "192.0.2.1 port 443", a proxy's if there is one; "": none */
	char proxy[128];         /* "http://proxy.example:3128", without a password; "": none */
	const char *http;        /* "HTTP/2"; static; NULL: no answer */
	char tls_version[16];    /* "TLSv1.3", as the library calls it; "": not known */
	int64_t certificate_end; /* of the API's own, seconds since 1970; 0: not known */
};

#endif
