/* SPDX-License-Identifier: MIT */
#include "api/http/response.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/json/decode.h"

#define MAX_ERROR_BYTES     (64u << 10) /* of a body that is no page, but may explain why */
#define FIRST_BODY_BYTES    (64u << 10)
#define RETAINED_BODY_BYTES (1u << 20) /* a larger buffer is not retained */

static bool response_make_room(struct response *response, size_t bytes)
{
	size_t room = response->body_room ? response->body_room : FIRST_BODY_BYTES;
	char *larger;

	while (room < bytes)
		room *= 2;
	if (room == response->body_room)
		return true;
	larger = realloc(response->body, room);
	if (!larger)
		return false;
	response->body = larger;
	response->body_room = room;
	return true;
}

/* Returning less than `bytes` makes curl end the request. The data is decompressed, so the ceiling
 * also holds for a compressed or endless body, unlike CURLOPT_MAXFILESIZE. */
static size_t response_on_body(char *data, size_t one, size_t bytes, void *user)
{
	struct response *response = user;
	size_t left;
	long status = 0;

	(void)one;
	curl_easy_getinfo(response->easy, CURLINFO_RESPONSE_CODE, &status);
	left = (status == 200 ? DECODE_MAX_BYTES : MAX_ERROR_BYTES) - response->body_bytes;
	if (bytes > left) {
		response->stop = RESPONSE_BODY_TOO_LARGE;
		bytes = left;
	}
	if (!response_make_room(response, response->body_bytes + bytes)) {
		response->stop = RESPONSE_NO_MEMORY;
		return 0;
	}
	memcpy(response->body + response->body_bytes, data, bytes);
	response->body_bytes += bytes;
	return response->stop ? 0 : bytes;
}

/* Counts a header line of a proxy's response to CONNECT. curl's own ceiling is
 * 300 kB. It reads these headers byte by byte, without a timeout: 300 kB take 2 s of processor
 * time. */
static size_t response_on_proxy_header(struct response *response, const char *data, size_t bytes)
{
	response->connect_ended = *data == '\r' || *data == '\n';
	response->proxy_header_bytes += bytes;
	if (response->proxy_header_bytes <= RESPONSE_MAX_HEADER_BYTES)
		return bytes;
	response->stop = RESPONSE_PROXY_HEADERS_TOO_LARGE;
	return 0;
}

/* The ceiling counts all header lines, those of any number of 1xx responses and the trailers
 * included. */
static size_t response_on_header(char *data, size_t one, size_t bytes, void *user)
{
	struct response *response = user;

	(void)one;
	if (!response->connection->established && bytes > 0)
		return response_on_proxy_header(response, data, bytes);
	response->header_bytes += bytes;
	headers_line(&response->headers, data, bytes);
	if (response->header_bytes <= RESPONSE_MAX_HEADER_BYTES)
		return bytes;
	response->stop = RESPONSE_HEADERS_TOO_LARGE;
	return 0;
}

void response_receive(struct response *response, CURL *easy, const struct connection *connection)
{
	response->easy = easy;
	response->connection = connection;
	response->proxy_header_bytes = 0;
	response->connect_ended = false;
	response->body_bytes = 0;
	response->header_bytes = 0;
	response->stop = RESPONSE_NOT_STOPPED;
	headers_begin(&response->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, response_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, response);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, response_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, response);
}

void response_trim(struct response *response)
{
	if (response->body_room > RETAINED_BODY_BYTES)
		response_done(response);
}

void response_done(struct response *response)
{
	free(response->body);
	response->body = NULL;
	response->body_room = 0;
}
