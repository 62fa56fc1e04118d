/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CLIENT_H
#define FLEETFS_API_HTTP_CLIENT_H

/*
 * The client fetches pages: from the API, or from a saved list (api/replay/replay.h). The caller
 * requests a page with client_request_page() and receives its result with client_take(), in the
 * same way for both sources.
 *
 * The client has a thread, the fetching thread. It runs curl_multi, or reads the file, and decodes
 * the responses. So neither DNS nor TLS nor a large body delays the FUSE thread. The threads share
 * two queues (mailbox.h): client_request_page() wakes the fetching thread, and client_fd() becomes
 * readable when there is a result. Results are handed over as a whole. Apart from the queues the
 * threads only share the secrets for client_redact(), which have a lock.
 *
 * Each client_request_page() causes one request. The client makes further requests in three cases:
 * - The API responds with 401, and the token has been replaced.
 * - A cache in front of the API sends a response that is too old to use. The second request
 * bypasses caches.
 * - A page is too large as a whole. It is requested in parts (split.h).
 * curl itself repeats a request if a reused connection ends without a response (connection.h). The
 * cache (cache/) decides about all other retries.
 *
 * Secrets (tokens, passwords of proxies) are removed from messages, notes and the IDs of dropped
 * agents before they are handed over (redact.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/http/credential.h"
#include "api/model/fetch.h"
#include "api/model/page.h"

struct client_config {
	const char *base;    /* the API's base URL, http or https, without "/agents" */
	const char *file;    /* the path of a saved list; used if base is NULL */
	int64_t ttl_ms;      /* a response that a cache stored is old from this age on; the file is
	                        checked again after this time */
	int64_t stale_ms;    /* by how much such a response may exceed the ttl if the cache in front
	                        of the API has no newer one */
	const char *cacert;  /* a CA bundle, or NULL for the system's */
	const char *ca_dirs; /* CA directories separated by `:`, or NULL for the system's */
	bool ca_exclusive;   /* the system's CA directories are not trusted */
	int64_t timeout_ms;  /* for one request, everything included */
	int64_t connect_timeout_ms;   /* for resolving, connecting and TLS */
	unsigned int per_page;        /* 1 to 100 */
	unsigned int max_connections; /* 1 to 64; also limits the requests under way */
	bool diagnostics;             /* also determine when the certificate expires */
};

struct client;

/*
 * Starts a client. Its thread blocks all signals. Copies config; credential is NULL if the source
 * is a file, and is owned by the client on success. Calls curl_global_init(), so the process must
 * not fork after this call. Returns 0 or -errno; -EINVAL for a base that is not usable.
 */
int client_new(const struct client_config *config, struct credential *credential,
               struct client **ret_client);

/*
 * Aborts all requests, ends the thread and frees everything. NULL is allowed. Returns false, and
 * frees nothing, if the thread does not end within a second, because it reads the token or the
 * saved list on a file system that hangs. Then the process must end by _exit(), since the
 * thread uses memory that exit() may release.
 */
bool client_free(struct client *client);

/*
 * Requests a page. Exactly one result with this number follows, in any order with those of other
 * pages. Returns 0 or -ENOMEM. Any thread.
 *
 * number: from 1. condition: the validator of an earlier response, or NULL. If the page has not
 * changed since, the result's page is marked as unchanged and has no agents. The condition is
 * ignored if the token has changed since. no_cache: only the API itself may respond.
 */
int client_request_page(struct client *client, unsigned int number,
                        const struct validator *condition, bool no_cache);

/* Returns a descriptor that is readable (poll) while there are results. Owned by the client. */
int client_fd(const struct client *client);

/* Returns the next result, to be freed with fetch_free(), or NULL. Does not block. Any thread. */
struct fetch *client_take(struct client *client);

/* Replaces each secret in text, in place (redact.h). room: the size of the buffer. For values of
 * agents that are logged. Waits while the fetching thread uses the secrets. Any thread. */
void client_redact(struct client *client, char *text, size_t room);

/* Makes the client read the token's file or the saved list again before the next page, even if it
 * seems unchanged, and retire all connections, so that the CA bundle is read again, too. Does not
 * disturb requests under way. For SIGHUP. Any thread. */
void client_reread(struct client *client);

/* Returns the version of libcurl and of the libraries that it uses: "libcurl/7.88.1 OpenSSL/3.0
 * ...". Static. Sets an environment variable, so no other thread may exist. */
const char *client_version(void);

/* Returns the bundle and the directory of CAs that libcurl trusts by default. Static; NULL: none.
 */
void client_system_ca(const char **ret_bundle, const char **ret_directory);

#endif
