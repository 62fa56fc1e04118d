/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_PROXY_H
#define FLEETFS_API_HTTP_PROXY_H

/*
 * The proxy that a request goes through. libcurl chooses it from the environment (http_proxy,
 * https_proxy, all_proxy, no_proxy), and names it only in its verbose messages. CURLINFO_USED_PROXY
 * of curl 8.7 reports only whether there is one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/http/redact.h"

/* Plain data; all zeroes: no proxy. */
struct proxy {
	char url[128];    /* without user and password; "": no proxy */
	uint8_t variable; /* index of the environment variable that names it */
};

/* Reads one of curl's verbose messages, not terminated by NUL. Sets *ret_proxy if the message names
 * a proxy. */
void proxy_read(const char *message, size_t bytes, struct proxy *ret_proxy);

/* Returns what to do if the proxy fails, in one clause; static. For an unknown proxy the clause
 * names all variables that may name it. */
const char *proxy_remedy(const struct proxy *proxy);

/* Whether it is a SOCKS proxy, which has no HTTP status of its own. */
bool proxy_is_socks(const struct proxy *proxy);

/* Whether it is reached over TLS. */
bool proxy_is_https(const struct proxy *proxy);

/* Adds the passwords of all proxies in the environment to the secrets. */
void proxy_add_secrets(struct redact *redact);

#endif
