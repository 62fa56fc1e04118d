/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_DIAGNOSE_H
#define FLEETFS_API_HTTP_DIAGNOSE_H

/*
 * What became of a request, in our words: how far it got, which failure it was, and what is to be
 * done about that. Reads a request that curl is through with, and changes nothing of it.
 */

#include <curl/curl.h>
#include <stdbool.h>

#include "api/http/request.h"
#include "api/model/failure.h"
#include "api/model/trace.h"

void diagnose_trace(const struct request *request, const struct request_settings *settings,
                    struct trace *ret_route);

/* Whether it failed, before anybody looks into the body of a 200: then cause, message, remedy and
 * Retry-After are set. */
bool diagnose_failure(const struct request *request, const struct request_settings *settings,
                      CURLcode code, long status, const struct trace *trace,
                      struct failure *failure);

/* Whether an answer that is at least so old is older than it may be: then cause and message are
 * set.
 */
bool diagnose_age(const struct request_settings *settings, int64_t age_ms, struct failure *failure);

/* Sets cause and message. */
__attribute__((format(printf, 3, 4))) void diagnose_say(struct failure *failure,
                                                        enum failure_cause cause,
                                                        const char *format, ...);

#endif
