/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_FETCH_H
#define FLEETFS_API_MODEL_FETCH_H

/*
 * The result of fetching one page: the page or a failure, and how it was obtained. Made by the
 * client (api/http/client.h) for each page that it is asked for; filled by curl's requests or by a
 * saved list (api/replay/replay.h). Plain data, owned by one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/failure.h"
#include "api/model/page.h"
#include "api/model/trace.h"

struct fetch {
	/* What was requested. */
	unsigned int number;        /* of the page, from 1 */
	struct validator condition; /* sent with the request; zeroes: none */
	bool no_cache;              /* only the API itself may respond, no cache in front of it */

	/* What it resulted in. */
	struct page *page; /* NULL: failed. Owned by the fetch; to keep it, set this to NULL */
	/* Without a page: why the fetch failed. With an old page: why it is old. Otherwise message
	 * is "". url, http_status and at_ns are always set. */
	struct failure failure;
	unsigned int requests; /* HTTP requests made for it; 0 if the source is a file */
	uint64_t bytes;        /* received, headers included, as on the wire (compressed) */
	struct trace trace;    /* of the last request */
	int64_t token_expiry;  /* of the token in use, in seconds since 1970; 0: not known */
	char note[256];        /* a line for the log ("token read again from ..."), or ""; contains
	                          no secret */
};

/* Frees a fetch and its page. NULL is allowed. */
void fetch_free(struct fetch *fetch);

#endif
