/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_POOL_H
#define FLEETFS_API_HTTP_POOL_H

/*
 * The pool of connections and resolved addresses that requests share: a share handle of curl.
 *
 * A connection can go silent without an error, for example when a NAT forgets it or a server fails
 * over. curl would reuse such a connection, even while earlier requests on it get no response; an
 * HTTP/2 connection until it is older than CURLOPT_MAXLIFETIME_CONN. The same holds for an HTTP/2
 * connection to a gateway that has lost its server and resets each stream.
 *
 * So a request that ends without a whole response, for any reason, retires the share handle that it
 * used. Later requests get a new, empty one. A request also retires the share handle if the
 * response rejects the connection (408, 421) or is a gateway's that has lost its server (502, 503,
 * 504), since that may last for as long as the connection is used: a load balancer that forwards
 * connections assigns each new one to a server that works. Requests under way keep the retired
 * share handle; the last of them frees it.
 *
 * Rejected: setting CURLOPT_FRESH_CONNECT, or CURLOPT_MAXLIFETIME_CONN to the time since the
 * failure. With either, curl may still add a new request to an existing HTTP/2 connection. A new
 * multi handle would work, but the fetching thread would have to poll two.
 *
 * Fetching thread only.
 */

#include <curl/curl.h>
#include <stdbool.h>

/* All zeroes: an empty pool. */
struct pool {
	CURLSH *share; /* for new requests; NULL: not made yet */
};

/* Returns the share handle for a new request, which must release it with pool_release(); or NULL if
 * there is no memory for one. */
CURLSH *pool_share(struct pool *pool);

/* Releases a share handle, after the request's easy handle was freed. retire: later requests get a
 * new one. Frees it if it is retired and no request uses it any more. NULL is allowed. */
void pool_release(struct pool *pool, CURLSH *share, bool retire);

/* Retires the current share handle. Frees it if no request uses it any more. */
void pool_retire(struct pool *pool);

#endif
