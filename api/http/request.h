/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REQUEST_H
#define FLEETFS_API_HTTP_REQUEST_H

/*
 * One GET of a page at a time: how it is put to curl (what became of it is judge.c's). Queues,
 * threads and when to ask are client.c's. A request is used again for the next page, with its
 * buffer. Fetching thread only, but for the settings, which it only reads.
 */

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "api/http/headers.h"
#include "api/http/proxy.h"

#define REQUEST_MAX_HEADER_BYTES (64u << 10) /* of all headers of an answer */

/* What is the same for every request. */
struct request_settings {
	char *base; /* without user information: it goes into messages, and the token goes alone */
	char *cacert, *ca_dirs;   /* NULL: the system's */
	bool ca_exclusive;        /* only the CAs in cacert are trusted */
	bool direct;              /* loopback: no proxy, whatever the environment says */
	bool tls;                 /* https */
	bool diagnostics;         /* as in struct client_config */
	int64_t ttl_ms, stale_ms; /* likewise */
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	unsigned int per_page;
};

/* Copies and checks. 0, -EINVAL for a base that is no http or https URL, or that has a query, or
 * -ENOMEM. After curl_global_init(). */
int request_settings_init(struct request_settings *ret_settings,
                          const struct client_config *config);
void request_settings_done(struct request_settings *settings);

/* Plain data; zeroes are one that is idle. */
struct request {
	CURL *easy;                /* of one request, else NULL; CURLINFO_PRIVATE leads back here */
	struct fetch *fetch;       /* whom it is for; the caller's */
	unsigned int token_number; /* the caller's, too */

	CURLSH *share; /* whose connections easy uses (api/http/pool.h); the caller's */
	const struct request_settings *settings; /* borrowed */

	struct curl_slist *headers;
	bool lacks_team;      /* no team is set, though one could be sent */
	bool sends_team;      /* X-Team-ID is sent */
	bool conditional;     /* it was asked whether the page is still the same */
	char tls_version[16]; /* of the connection made for it; "" when not known */
	char address[64];   /* "192.0.2.1 port 443", where it tried to connect last; "": nowhere */
	struct proxy proxy; /* that it goes through */
	int64_t began_us,
		tls_us;   /* when it began, and TLS on its connection; monotonic; 0: not yet */
	int64_t sent_us;  /* when it was last sent on a connection; monotonic; 0: not yet */
	bool http2;       /* it is sent over HTTP/2 */
	bool dialed;      /* it began to make a connection of its own */
	bool connected;   /* resolved, connected and verified */
	bool lost_silent; /* its connection went silent, and curl sent it again on another */
	char *body;       /* decompressed */
	size_t body_bytes;
	size_t body_room;
	size_t header_bytes;
	struct headers answer_headers; /* what they tell */
	enum {                         /* why a function of ours made curl end it */
	       REQUEST_STOP_NONE,
	       REQUEST_STOP_BODY,
	       REQUEST_STOP_HEADERS,
	       REQUEST_STOP_MEMORY,
	       REQUEST_STOP_BUNDLE /* the CA bundle is no regular file */
	} stop;
	char error[CURL_ERROR_SIZE];
};

/*
 * Makes request->easy, for curl_multi_add_handle(), to fetch what arrival wants next. share: the
 * connections that it may use (pool_share()); NULL fails. The caller releases request->share, after
 * request_finish() or request_done(). 0 or -ENOMEM; on failure, too, request_done() must follow.
 */
int request_prepare(struct request *request, const struct request_settings *settings,
                    const struct fetch *fetch, const struct credential *credential, CURLSH *share);

/* After curl is through with it: fills arrival's page or failure, and adds to its bytes. */
void request_finish(struct request *request, const struct request_settings *settings, CURLcode code,
                    struct fetch *fetch);

/* Says in arrival that there was no memory to ask with. */
void request_no_memory(const struct request_settings *settings, struct fetch *fetch);

/* Not while it is part of a curl_multi. */
void request_done(struct request *request);

#endif
