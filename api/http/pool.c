/* SPDX-License-Identifier: MIT */
#include "api/http/pool.h"

CURLSH *pool_share(struct pool *pool)
{
	if (pool->share)
		return pool->share;
	pool->share = curl_share_init();
	if (pool->share &&
	    (curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) !=
	             CURLSHE_OK ||
	     curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK)) {
		curl_share_cleanup(pool->share);
		pool->share = NULL;
	}
	return pool->share;
}

void pool_release(struct pool *pool, CURLSH *share, bool retire)
{
	if (retire && share == pool->share)
		pool->share = NULL;
	/* While a request uses it, this fails and does nothing. */
	if (share && share != pool->share)
		curl_share_cleanup(share);
}

void pool_retire(struct pool *pool)
{
	pool_release(pool, pool->share, true);
}
