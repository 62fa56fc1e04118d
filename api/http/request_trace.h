/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REQUEST_TRACE_H
#define FLEETFS_API_HTTP_REQUEST_TRACE_H

/* Reads how far a request got, how long each step took, and over which connection. No state. */

#include "api/http/request.h"
#include "api/http/request_settings.h"
#include "api/model/trace.h"

/* Sets *ret_trace to the steps and the connection of a request. Call it after curl has ended the
 * request, and before request_release_handle(). */
void request_trace_read(const struct request *request, const struct request_settings *settings,
                        struct trace *ret_trace);

#endif
