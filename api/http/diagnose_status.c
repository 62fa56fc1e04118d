/* SPDX-License-Identifier: MIT */
#include "api/http/diagnose_status.h"

#include <stdio.h>
#include <string.h>

#include "api/http/diagnose.h"
#include "api/json/decode.h"

/* The statuses that an API or a gateway may send. The phrases are ours, since HTTP/2 has none and
 * an HTTP/1 server may send any. Remedy NULL: the remedy of the cause applies. */
static const struct {
	long status;
	const char *phrase, *remedy;
} statuses[] = {
	{204, "No Content", FAILURE_WRONG_BASE},
	{301, "Moved Permanently", NULL},
	{302, "Found", NULL},
	{303, "See Other", NULL},
	{304, "Not Modified",
         "ask the operator of the API, or of a cache in front of it: no condition was sent"},
	{307, "Temporary Redirect", NULL},
	{308, "Permanent Redirect", NULL},
	{400, "Bad Request", NULL},
	{401, "Unauthorized", NULL},
	{402, "Payment Required",
         "ask the operator of the API: the account or its quota has ended"},
	{403, "Forbidden", "the token may not list agents here: use one that may"},
	{404, "Not Found", FAILURE_WRONG_BASE},
	{405, "Method Not Allowed", FAILURE_WRONG_BASE},
	{406, "Not Acceptable", "check the URL: the server there offers no JSON"},
	{407, "Proxy Authentication Required",
         "add user and password to the proxy's URL in the environment"},
	{408, "Request Timeout", "try again"},
	{410, "Gone", FAILURE_WRONG_BASE},
	{413, "Content Too Large", NULL},
	{421, "Misdirected Request",
         "check the host in the URL: the server there does not know it"},
	{422, "Unprocessable Content", NULL},
	{425, "Too Early", "try again"},
	{426, "Upgrade Required", NULL},
	{429, "Too Many Requests", NULL},
	{431, "Request Header Fields Too Large", "check the token: it is too long for the server"},
	{451, "Unavailable For Legal Reasons", "ask the operator of the API"},
	{500, "Internal Server Error", NULL},
	{501, "Not Implemented", FAILURE_WRONG_BASE},
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

/* Whether the API's message is about per_page, and does not only quote the URL (`per_page=100`). */
static bool status_is_about_per_page(const char *detail)
{
	static const char name[] = "per_page";

	for (const char *at = detail; (at = strcasestr(at, name)); at++)
		if (at[strlen(name)] != '=')
			return true;
	return false;
}

/* Returns the remedy for 403, by what the token is and whether the message is about a team. */
static const char *status_forbidden_remedy(const struct request *request, bool about_team)
{
	if (about_team && request->lacks_team)
		return "name the team: team or CYBERUN_TEAM_ID";
	if (request->sends_team)
		return about_team ? "check team: the token has no access to it"
		                  : "check team, and whether the token may list its agents";
	if (about_team)
		return "use a token of the team: an sk- or dk- key has a fixed one";
	return request->token_kind == TOKEN_INTEGRATION
	               ? "add /r to the source: an sk- key reads the API there"
	               : NULL;
}

/* Returns the remedy for a bad request, by the API's message. */
static const char *status_bad_request_remedy(const struct request *request, const char *detail)
{
	if (status_is_about_per_page(detail))
		return "set another per_page: the API does not accept this one";
	if (strcasestr(detail, "SSL certificate was sent")) /* nginx */
		return DIAGNOSE_CLIENT_CERTIFICATE("requires");
	if (request->lacks_team)
		return "name the team, if the token needs one: team or CYBERUN_TEAM_ID";
	if (!strcasestr(detail, "team"))
		return NULL;
	return request->sends_team ? "check team"
	                           : "check the URL and the token: an sk- or dk- key has a fixed "
	                             "team, so X-Team-ID is not sent";
}

/* Returns the remedy for a status if it depends on the request or on the API's message, else NULL.
 */
static const char *status_remedy(const struct request *request,
                                 const struct request_settings *settings, long status,
                                 const char *detail)
{
	switch (status) {
	case 401:
		return request->token_kind == TOKEN_INTEGRATION
		               ? "check the token: fleetfs --check names its source; an sk- key "
		                 "needs "
		                 "a URL that ends in /r"
		               : NULL;
	case 400:
	case 422:
		return status_bad_request_remedy(request, detail);
	case 403:
		return status_forbidden_remedy(request, strcasestr(detail, "team"));
	case 426:
		return settings->tls ? NULL : "check the URL: does it say http instead of https?";
	default:
		return NULL;
	}
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

void diagnose_status(const struct request *request, const struct request_settings *settings,
                     long status, struct failure *failure)
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
	remedy = status_remedy(request, settings, status, detail);
	if (remedy)
		failure->remedy = remedy;
	if (status == 407 && *proxy->url)
		failure->remedy = proxy_remedy(proxy);
}
