/* SPDX-License-Identifier: MIT */
#include "api/http/diagnose_status.h"

#include <stdio.h>
#include <string.h>

#include "api/json/decode.h"

/* The statuses that an API or a gateway may send. The phrases are ours, since HTTP/2 has none and
 * an HTTP/1 server may send any. Remedy NULL: the remedy of the cause applies. */
static const struct {
	long status;
	const char *phrase, *remedy;
} statuses[] = {
	{204, "No Content", "check the URL: the API's base, without /agents"},
	{301, "Moved Permanently", NULL},
	{302, "Found", NULL},
	{303, "See Other", NULL},
	{304, "Not Modified",
         "ask the operator of the API, or of a cache in front of it: no condition was sent"},
	{307, "Temporary Redirect", NULL},
	{308, "Permanent Redirect", NULL},
	{400, "Bad Request", NULL},
	{401, "Unauthorized", NULL},
	{403, "Forbidden", "the token may not list agents here: an sk- key reads SOURCE/r"},
	{404, "Not Found", "check the URL: the API's base, without /agents"},
	{405, "Method Not Allowed", "check the URL: the API's base, without /agents"},
	{406, "Not Acceptable", "check the URL: the server there offers no JSON"},
	{407, "Proxy Authentication Required",
         "add user and password to the proxy's URL in the environment"},
	{408, "Request Timeout", "try again"},
	{410, "Gone", "check the URL: the API's base, without /agents"},
	{413, "Content Too Large", NULL},
	{421, "Misdirected Request",
         "check the host in the URL: the server there does not know it"},
	{425, "Too Early", "try again"},
	{426, "Upgrade Required", "check the URL: does it say http instead of https?"},
	{429, "Too Many Requests", NULL},
	{431, "Request Header Fields Too Large", "check the token: it is too long for the server"},
	{451, "Unavailable For Legal Reasons", "ask the operator of the API"},
	{500, "Internal Server Error", NULL},
	{501, "Not Implemented", "check the URL: the API's base, without /agents"},
	{502, "Bad Gateway", NULL},
	{503, "Service Unavailable", NULL},
	{504, "Gateway Timeout", NULL},
	{505, "HTTP Version Not Supported", NULL},
	{511, "Network Authentication Required",
         "log in to the network of this machine: a browser shows the page for that"},
};

static enum failure_cause status_cause(long status)
{
	if (status == 401 || status == 403)
		return FAILURE_CREDENTIAL;
	if (status == 413) /* the request has no content, so it is about the response */
		return FAILURE_OVERSIZED;
	if (status == 429)
		return FAILURE_BUSY;
	if (status == 304)
		return FAILURE_MALFORMED;
	if (status >= 300 && status < 400)
		return FAILURE_REDIRECT;
	if (status >= 400 && status < 500)
		return FAILURE_REQUEST;
	return FAILURE_SERVER;
}

/* Returns the remedy for a status that the token or the team explains, else NULL. */
static const char *status_credential_remedy(const struct request *request, long status,
                                            const char *detail)
{
	if (status == 400 && request->lacks_team)
		return "name the team, if the token needs one: team or CYBERUN_TEAM_ID";
	if (status != 403 || !strcasestr(detail, "team"))
		return NULL;
	if (request->sends_team)
		return "check team: the token has no access to it";
	return request->lacks_team ? "name the team: team or CYBERUN_TEAM_ID"
	                           : "use a token of the team: an sk- or dk- key has a fixed one";
}

/* Describes the target of a redirect, without its query, which may contain a token. */
static void status_describe_location(const char *location, char *ret_text, size_t room)
{
	size_t length = strcspn(location, "?#");

	snprintf(ret_text, room, "not followed; it points to %.*s%s",
	         (int)(length < 300 ? length : 300), location, location[length] ? "?..." : "");
}

/* Returns the phrase of a status. Sets its remedy if it is in the table. */
static const char *status_phrase(long status, const char **ret_remedy)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
		if (statuses[i].status == status) {
			*ret_remedy = statuses[i].remedy;
			return statuses[i].phrase;
		}
	return "unexpected status";
}

void diagnose_status(const struct request *request, long status, struct failure *failure)
{
	const struct response *response = &request->response;
	const struct proxy *proxy = &request->connection.proxy;
	enum failure_cause cause = status_cause(status);
	const char *phrase = status_phrase(status, &failure->remedy), *remedy;
	char detail[400];
	char *location = NULL;

	failure->retry_after_ms =
		headers_retry_after_ms(&response->headers, failure->at_ns / 1000000);
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &location);
	if (cause == FAILURE_REDIRECT && location)
		status_describe_location(location, detail, sizeof(detail));
	else
		decode_message(response->body, response->body_bytes, detail, sizeof(detail));
	failure_set(failure, cause, "%ld %s%s%s", status, phrase, *detail ? ": " : "", detail);
	remedy = status_credential_remedy(request, status, detail);
	if (remedy)
		failure->remedy = remedy;
	if (status == 407 && *proxy->url)
		failure->remedy = proxy_remedy(proxy);
}
