/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_DIAGNOSE_TRANSPORT_H
#define FLEETFS_API_HTTP_DIAGNOSE_TRANSPORT_H

/* Part of diagnose.h: turns curl's error into a failure: of name resolution, of the connection, of
 * TLS, of a proxy, or within a response. No state. */

#include <curl/curl.h>

#include "api/http/request.h"
#include "api/http/request_settings.h"
#include "api/model/failure.h"
#include "api/model/trace.h"

/* Sets cause, message and remedy for a request that curl ended with a code other than CURLE_OK. */
void diagnose_transport(const struct request *request, const struct request_settings *settings,
                        CURLcode code, const struct trace *trace, struct failure *failure);

#endif
