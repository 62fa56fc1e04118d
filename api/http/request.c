/* SPDX-License-Identifier: MIT */
#include "api/http/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/split.h"

#define CONNECTION_LIFE_S 600 /* so that a change in DNS takes effect */

/* Sets the CAs to trust. Debian's curl has a default directory of CAs, and trusts it in addition to
 * the bundle unless CURLOPT_CAPATH is set to NULL. A TLS library that does not support
 * directories of CAs returns CURLE_NOT_BUILT_IN; it has no default directory to replace, either. */
static CURLcode request_set_cas(CURL *easy, const struct request_settings *settings)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_bundle);

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, settings->ca_directories);
	return code == CURLE_NOT_BUILT_IN && !settings->ca_directories ? CURLE_OK : code;
}

/*
 * Makes curl send the token only to the host of the API, after its verification: no redirect (on
 * which curl would send X-Team-ID), no other protocol, and no credentials from elsewhere. With
 * https, a proxy gets a CONNECT without headers of fleetfs. With plain http, a proxy gets the whole
 * request.
 */
static CURLcode request_set_security(CURL *easy, const struct request_settings *settings)
{
	CURLcode code;

	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* Each new connection reads the CA bundle, which curl would cache for 24 hours, and
	 * verifies the certificate, which a resumed TLS session would not. So a CA that was removed
	 * from the bundle is no longer trusted. Measured with OpenSSL 3.0 and the 145 CAs of Debian
	 * 12: a connection takes 17 ms of processor time instead of 1 ms. With the system's CAs it
	 * takes that anyway, because curl does not cache a directory of CAs. Resuming would save
	 * 0.3 ms.
	 */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	/* curl copies the proxy and the paths of CAs, which fails without memory. The request must
	 * not be sent without them. Of the other strings only the URL is copied and essential;
	 * request_prepare() checks it. */
	code = settings->direct ? curl_easy_setopt(easy, CURLOPT_PROXY, "") : CURLE_OK;
	return code == CURLE_OK ? request_set_cas(easy, settings) : code;
}

/* Returns a handle with the options that are the same for all requests; NULL without memory. */
static CURL *request_new_handle(struct request *request, const struct request_settings *settings)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "fleetfs/" FLEETFS_VERSION);
	/* curl also decodes an encoding that was not requested. Measured with zstd and a window of
	 * 128 MiB: 9 MiB of memory, since response.c ends the request after 8 MiB. */
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_LIFE_S);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Without it, curl goes on waiting for an unresponsive resolver after the request has timed
	 * out: with connect_timeout=1 a request took 9 s instead of 1 s. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	if (settings->diagnostics)
		curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
	if (request_set_security(easy, settings) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

__attribute__((format(printf, 2, 3))) static int request_add_header(struct request *request,
                                                                    const char *format, ...)
{
	struct curl_slist *longer = NULL;
	va_list args;
	char *line;
	int bytes;

	va_start(args, format);
	bytes = vasprintf(&line, format, args);
	va_end(args);
	if (bytes < 0)
		return -ENOMEM;
	longer = curl_slist_append(request->headers, line);
	explicit_bzero(line, (size_t)bytes);
	free(line);
	if (!longer)
		return -ENOMEM;
	request->headers = longer;
	return 0;
}

/* Asks a cache in front of the API to send a response older than the ttl only if the API fails. The
 * header has whole seconds, so times are rounded down, and a stale below 1 s is left out. */
static int request_add_cache_control(struct request *request,
                                     const struct request_settings *settings,
                                     const struct fetch *fetch)
{
	int64_t ttl_s = settings->ttl_ms / 1000, stale_s = settings->stale_ms / 1000;

	if (fetch->no_cache)
		return request_add_header(request, "Cache-Control: no-cache");
	if (stale_s == 0)
		return request_add_header(request, "Cache-Control: max-age=%" PRId64, ttl_s);
	return request_add_header(request,
	                          "Cache-Control: max-age=%" PRId64 ", stale-if-error=%" PRId64,
	                          ttl_s, stale_s);
}

/* Each request has its own list, because curl reads it again when it sends a request again on
 * another connection, and the token may have changed by then. */
static int request_set_headers(struct request *request, const struct request_settings *settings,
                               const struct fetch *fetch, const struct credential *credential)
{
	const struct validator *condition = &fetch->condition;
	const char *team = credential_team(credential);

	if (request_add_header(request, "Authorization: Bearer %s", credential_token(credential)) <
	            0 ||
	    request_add_header(request, "Accept: application/json") < 0 ||
	    request_add_cache_control(request, settings, fetch) < 0 ||
	    (team && request_add_header(request, "X-Team-ID: %s", team) < 0) ||
	    (*condition->etag &&
	     request_add_header(request, "If-None-Match: %s", condition->etag) < 0) ||
	    (*condition->last_modified &&
	     request_add_header(request, "If-Modified-Since: %s", condition->last_modified) < 0))
		return -ENOMEM;
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	request->conditional = validator_is_present(condition);
	request->lacks_team = credential_lacks_team(credential);
	request->sends_team = team;
	request->token_kind = credential_kind(credential);
	return 0;
}

int request_prepare(struct request *request, const struct request_settings *settings,
                    const struct fetch_job *job, const struct credential *credential, CURLSH *share)
{
	const struct split_part part = split_part(job, settings->per_page);
	CURLcode code;
	char *url;

	request->share = share;
	request->error[0] = '\0';
	request->easy = share ? request_new_handle(request, settings) : NULL;
	if (!request->easy || curl_easy_setopt(request->easy, CURLOPT_SHARE, share) != CURLE_OK ||
	    request_set_headers(request, settings, job->fetch, credential) < 0)
		return -ENOMEM;
	if (asprintf(&url, REQUEST_URL_FORMAT, settings->base, part.number, part.size) < 0)
		return -ENOMEM;
	code = curl_easy_setopt(request->easy, CURLOPT_URL, url);
	free(url);
	if (code != CURLE_OK)
		return -ENOMEM;
	response_receive(&request->response, request->easy, &request->connection);
	connection_attach(&request->connection, request->easy, settings);
	return 0;
}

/* A handle serves one request, because of a bug in curl up to 8.1.0: if the first line of a
 * response begins with a space, curl uses a header of the handle's previous response, which it has
 * freed. */
void request_release_handle(struct request *request)
{
	curl_easy_cleanup(request->easy);
	request->easy = NULL;
	for (struct curl_slist *line = request->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
	response_trim(&request->response);
}

void request_done(struct request *request)
{
	request_release_handle(request);
	response_done(&request->response);
	*request = (struct request){0};
}
