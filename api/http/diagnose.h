/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_DIAGNOSE_H
#define FLEETFS_API_HTTP_DIAGNOSE_H

/*
 * Turns the outcome of a request into a failure: its cause, a message and a remedy. Reads a request
 * that curl has ended, and does not change it. No state.
 */

#include <curl/curl.h>
#include <stdbool.h>

#include "api/http/request.h"
#include "api/http/request_settings.h"
#include "api/model/failure.h"
#include "api/model/trace.h"

/* The remedy if the server asks for a client certificate. verb: "requires" or "may require". */
#define DIAGNOSE_CLIENT_CERTIFICATE(verb)       \
	"ask the operator of the API: it " verb \
	" a client certificate, which fleetfs does not support"

/*
 * Returns false if the response is complete and its status is 200, or 304 to a request with a
 * condition. The body may still be invalid, since it is decoded later. Otherwise returns true and
 * sets cause, message, remedy and Retry-After of the failure.
 */
bool diagnose_failure(const struct request *request, const struct request_settings *settings,
                      CURLcode code, long status, const struct trace *trace,
                      struct failure *failure);

/* Returns whether a response whose age is at least age_ms is older than the ttl permits. If so,
 * sets cause and message of the failure. */
bool diagnose_age(const struct request_settings *settings, int64_t age_ms, struct failure *failure);

#endif
