/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_INGEST_H
#define FLEETFS_CACHE_INGEST_H

/*
 * Takes a response into the cache: its agents become records, and the page gets these records as
 * its content.
 *
 * A large page takes a millisecond or more, so it is ingested in steps. Until the last step the
 * page counts as in flight, though some of its agents may be known already.
 */

#include <stddef.h>
#include <stdint.h>

#include "api/model/page.h"
#include "cache/pages.h"
#include "cache/records.h"

/* A response that is being ingested. Zeroed: no response. */
struct ingest {
	unsigned int number;     /* of the page */
	struct page *response;   /* owned; NULL: none */
	uint64_t seq;            /* event number of the arrival */
	int64_t at_ms;           /* arrival minus the age of the response; monotonic */
	int64_t at_ns;           /* arrival, wall clock */
	uint32_t first_serial;   /* lowest serial that a record created by this response can have */
	size_t next;             /* next agent of the response, from 0 */
	size_t dropped;          /* elements that are malformed or repeat an id of the response */
	struct record **records; /* of the agents ingested so far; references */
	size_t count;            /* of records */
};

/* Begins to ingest a response, and takes it over, also on failure. number: of its page, from 1. 0
 * or -ENOMEM. */
int ingest_begin(struct ingest *ingest, struct records *records, unsigned int number,
                 struct page *response);

/* Ingests some agents: appends their records to ingest->records. Returns -EAGAIN if more agents are
 * left; 0: call ingest_finish(); -ENOMEM or -EFBIG: the page keeps its old content, but some of its
 * agents may have new data.
 *
 * pass_seq: event number when the pass of the newest sweep began; UINT64_MAX if no pass is under
 * way. A page that arrived during the pass counts as fresh even if it has expired, because the pass
 * reads it as it is. */
int ingest_step(struct ingest *ingest, struct records *records, uint64_t pass_seq);

/* Notes that the request of the page has ended. Unless the response is to be ignored, it replaces
 * the content of the page. */
void ingest_finish(struct ingest *ingest, struct records *records);

/* Frees what the ingest holds, and empties it. */
void ingest_done(struct ingest *ingest);

#endif
