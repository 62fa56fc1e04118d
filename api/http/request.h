/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REQUEST_H
#define FLEETFS_API_HTTP_REQUEST_H

/*
 * One GET of a page, or of a part of one. This file configures curl for it; request_result.h reads
 * the outcome; fetcher.c decides when to send which request. A request is reused for the next page,
 * with its buffers. Fetching thread only.
 */

#include <curl/curl.h>
#include <stdbool.h>

#include "api/http/connection.h"
#include "api/http/credential.h"
#include "api/http/fetch_job.h"
#include "api/http/request_settings.h"
#include "api/http/response.h"
#include "api/http/token.h"

/* Format of a request's URL. Arguments: the API's base URL, the page's number, the page size. */
#define REQUEST_URL_FORMAT "%s/agents?current_page=%u&per_page=%u"

/* Plain data; all zeroes: idle. A request is idle while its job is NULL. */
struct request {
	struct fetch_job *job;     /* set by the caller, which owns it */
	unsigned int token_number; /* set by the caller */
	CURLSH *share; /* the connections that easy uses (pool.h); the caller releases it */

	CURL *easy; /* NULL when idle; its CURLINFO_PRIVATE is the request */
	struct curl_slist *headers;
	bool lacks_team; /* no team is set, though one could be sent */
	bool sends_team; /* X-Team-ID is sent */
	enum token_kind token_kind;
	bool conditional; /* a validator is sent, so the response may be 304 */
	struct connection connection;
	struct response response;
	char error[CURL_ERROR_SIZE]; /* curl's message; "": none */
};

/*
 * Makes request->easy, for curl_multi_add_handle(), to send the request that a job needs next. The
 * request must be idle. settings must outlive the easy handle. share: the connections that it may
 * use (pool_share()). Returns 0; or -ENOMEM, also if share is NULL. After a failure request_done()
 * must follow.
 *
 * The caller must release the share handle (pool_release()) after request_release_handle() or
 * request_done().
 */
int request_prepare(struct request *request, const struct request_settings *settings,
                    const struct fetch_job *job, const struct credential *credential,
                    CURLSH *share);

/* Frees the easy handle, after curl_multi_remove_handle(), and wipes the token in the headers.
 * Retains the response's buffer. job and share stay as they are. */
void request_release_handle(struct request *request);

/* Ends a request, frees all that it owns, and makes it idle. job and share are set to NULL, but
 * remain the caller's to free or release. */
void request_done(struct request *request);

#endif
