/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CONNECTION_H
#define FLEETFS_API_HTTP_CONNECTION_H

/*
 * Controls and observes how curl gets a connection for a request. Checks the files of CAs, makes
 * the sockets, and makes each retry use a new connection. Notes the facts that curl_easy_getinfo()
 * does not report. Fetching thread only.
 *
 * If a connection of the pool ends without a response, curl sends the request again on another one,
 * up to five times.
 *
 * Only curl's verbose messages contain the TLS version, the proxy (proxy.h), and whether a request
 * without a response was sent over HTTP/2. Rejected for the TLS version: CURLINFO_TLS_SSL_PTR,
 * which yields, during the transfer, a pointer of the TLS library that curl uses. To read it,
 * fleetfs would have to link with the same library (SSL_get_version() of OpenSSL), and with any
 * other library the version would be missing. CURLINFO_CERTINFO does not contain it.
 *
 * The TLS step is measured from the first TLS data that curl reports. Rejected:
 * CURLOPT_SSL_CTX_FUNCTION. If it is set, curl 8.3 and later reads the CAs before it sends that
 * data, not while it waits for the server.
 */

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/http/ca_files.h"
#include "api/http/proxy.h"
#include "api/http/request_settings.h"

/* Plain data. Times are CLOCK_MONOTONIC; 0: not yet. */
struct connection {
	CURL *easy;                              /* borrowed */
	const struct request_settings *settings; /* borrowed */
	struct proxy proxy;                      /* that the request goes through */
	char tls_version[16];  /* "TLSv1.3", if a connection was made; "": not known */
	char address[64];      /* "192.0.2.1 port 443", of the last attempt to connect; "": none */
	int64_t began_us;      /* the request */
	int64_t tls_us;        /* the first TLS data on a new connection; with OpenSSL only */
	int64_t sent_us;       /* the request was last sent on a connection */
	bool http2;            /* the request is sent over HTTP/2 */
	bool asks_certificate; /* the server asked for a client certificate; with OpenSSL only */
	bool dialed;           /* curl began to make a connection for this request */
	bool established;      /* there is a connection: resolved, connected and verified */
	bool lost_silent;      /* a connection went silent, and curl sent the request on another */
	struct ca_fault ca_fault; /* no connection was made, because of a file of CAs */
};

/* Clears a connection, and makes curl report to it how it gets a connection for a request. It must
 * not move until the request has ended. */
void connection_attach(struct connection *connection, CURL *easy,
                       const struct request_settings *settings);

/* Returns the time since the request began. */
int64_t connection_elapsed_us(const struct connection *connection);

#endif
