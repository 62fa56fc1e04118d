/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CLIENT_H
#define FLEETFS_API_HTTP_CLIENT_H

/*
 * The fetching thread: pages wanted go in, pages or failures come out. They are the API's, or those
 * of a saved list (replay.h): whoever wants them need not know which.
 *
 * One thread of its own runs curl_multi, or reads the file, and decodes, so that neither DNS nor
 * TLS nor a large body ever delays the FUSE thread. The two meet in two queues: client_want() wakes
 * this thread, client_fd() becomes readable when something arrived. Everything handed over is
 * immutable or changes its owner, so that nothing else is shared.
 *
 * The client makes one request for each want, and further ones by itself in three cases only: the
 * API answered 401 and the token has been replaced; a cache in front of the API answered with a
 * response that is too old for any use, so the second request goes past the caches; a page is too
 * large as a whole, so it is requested in parts (split.h). All other retries are decided by the
 * cache room.
 *
 * Secrets (tokens, passwords of proxies) are removed from messages and notes before they are handed
 * over: redact.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/http/credential.h"
#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"
#include "api/model/trace.h"

struct client_config {
	const char *base;           /* the API's base URL, without "/agents"; http or https */
	const char *file;           /* or, when base is NULL, a saved list's path */
	int64_t ttl_ms;             /* an answer from a cache is not to be older; and a file is
	                               looked at again after that */
	int64_t stale_ms;           /* how much older it may be if there is no other */
	const char *cacert;         /* a CA bundle, or NULL for the system's */
	const char *ca_dirs;        /* CA directories separated by `:`, or NULL for the system's */
	bool ca_exclusive;          /* only the CAs in cacert are trusted */
	int64_t timeout_ms;         /* for one request, everything included */
	int64_t connect_timeout_ms; /* for resolving, connecting and TLS */
	unsigned int per_page;      /* 1 to 100 */
	unsigned int max_connections; /* 1 to 64; also how many requests are under way at once */
	bool diagnostics;             /* also learn of TLS and the certificate what a route tells */
};

/* What became of one client_want(). */
struct fetch {
	struct fetch *next;
	unsigned int number;        /* the page, from 1 */
	struct validator condition; /* with which it was asked for */
	bool no_cache;              /* likewise: only the API itself was to answer */
	struct page *page; /* NULL: failed. Owned by the arrival; take it by setting NULL */
	/* When page is NULL; and of one that is old: why there was no better. Its url, http_status
	 * and at_ns in any case. */
	struct failure failure;
	struct split *split; /* internal: a page that is being fetched in parts, else NULL */
	bool denied;         /* internal: a request got 401, after which the token was read again */
	bool divisible;      /* internal: the response is too large, smaller parts may not be */
	uint64_t cut_hash;   /* internal: of its body as far as it was received, or 0 */
	unsigned int requests; /* HTTP requests made for it; 0 if the source is a file */
	uint64_t bytes;        /* received, headers included, as on the wire (compressed) */
	struct trace trace;    /* of the last of them */
	int64_t token_expiry;  /* of the token in use, seconds since 1970; 0: not known */
	char note[256];        /* a line for the log ("token read again from …"), or ""; free of
	                          secrets, as failure.message is */
};

/* NULL is fine. */
void fetch_free(struct fetch *fetch);

struct client;

/*
 * Starts the thread, with every signal blocked in it. Calls curl_global_init(): not before a fork.
 * config is copied; credential becomes the client's own on success; NULL with a file. 0 or -errno.
 */
int client_new(const struct client_config *config, struct credential *credential,
               struct client **ret_client);

/*
 * Aborts every request, ends the thread and frees everything. NULL is allowed. Returns false, and
 * frees nothing, if the thread does not end within a second, because it reads the token or the
 * source on a file system that hangs: then only _exit(2) is safe.
 */
bool client_free(struct client *client);

/* Asks for a page, number from 1; if there is a condition (else NULL), whether it is still what had
 * that validator, which a page that is unchanged answers; if the token has changed since, for the
 * page all the same. past_caches: only the API itself may answer. Exactly one arrival with this
 * number follows, in any order with those of other pages. 0 or -ENOMEM. Any thread. */
int client_want(struct client *client, unsigned int number, const struct validator *condition,
                bool no_cache);

/* Readable (poll) while there are arrivals to take. Owned by the client. */
int client_fd(const struct client *client);

/* The next arrival, for arrival_free(), or NULL. Never waits. */
struct fetch *client_take(struct client *client);

/* SIGHUP: before the next page is fetched, the token's file (or the saved response) is read again
 * whatever its times say, and all connections are retired, so that the CA bundle is read again,
 * too. Requests under way are not disturbed. Any thread. */
void client_reread(struct client *client);

/* Of the libcurl in use, and what it is built with: "libcurl/7.88.1 OpenSSL/3.0 …". */
const char *client_version(void);

/* The bundle and the directory of CAs that libcurl trusts by default. Static; NULL: none. */
void client_system_ca(const char **ret_bundle, const char **ret_directory);

#endif
