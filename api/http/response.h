/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_RESPONSE_H
#define FLEETFS_API_HTTP_RESPONSE_H

/*
 * Receives the response to a request from curl: its body and its headers, each up to a ceiling. The
 * buffer of the body is retained for the next response. Fetching thread only.
 */

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/http/connection.h"
#include "api/http/headers.h"

#define RESPONSE_MAX_HEADER_BYTES (64u << 10) /* of all headers of a response */

/* Why a callback made curl end a request. */
enum response_stop {
	RESPONSE_NOT_STOPPED,
	RESPONSE_BODY_TOO_LARGE,
	RESPONSE_HEADERS_TOO_LARGE,
	RESPONSE_PROXY_HEADERS_TOO_LARGE,
	RESPONSE_NO_MEMORY
};

/* Plain data; all zeroes: nothing was received. */
struct response {
	CURL *easy;                          /* borrowed */
	const struct connection *connection; /* borrowed */
	char *body;                          /* decompressed; not terminated by NUL */
	size_t body_bytes;
	size_t body_room;
	size_t header_bytes; /* of all header lines, interim responses and trailers included */
	struct headers headers;
	size_t proxy_header_bytes; /* of the proxy's responses to CONNECT */
	bool connect_ended; /* the proxy's response to CONNECT is complete, whatever its status */
	enum response_stop stop;
};

/* Makes the response empty, and makes curl write the response to a request into it. It must not
 * move until the request has ended. connection: that of the request (connection_attach()). */
void response_receive(struct response *response, CURL *easy, const struct connection *connection);

/* Frees the buffer of the body if it is larger than most bodies need. */
void response_trim(struct response *response);

/* Frees the buffer of the body. */
void response_done(struct response *response);

#endif
