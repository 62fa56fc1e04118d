/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REQUEST_RESULT_H
#define FLEETFS_API_HTTP_REQUEST_RESULT_H

/* Turns the outcome of a request into a page or a failure. Fetching thread only. */

#include <curl/curl.h>

#include "api/http/fetch_job.h"
#include "api/http/request.h"
#include "api/http/request_settings.h"

/* Sets the page or the failure of the job's fetch (both for an old page), and its trace, and adds
 * to its bytes. Sets divisible and cut_hash of the job. code: with which curl ended the request.
 * Call it before request_release_handle(). */
void request_result_read(const struct request *request, const struct request_settings *settings,
                         CURLcode code, struct fetch_job *job);

/* Sets the failure of a request that could not be sent because there is no memory. */
void request_result_no_memory(const struct request_settings *settings, struct fetch_job *job);

#endif
