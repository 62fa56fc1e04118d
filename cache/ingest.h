/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_INGEST_H
#define FLEETFS_CACHE_INGEST_H

/*
 * Takes a response into the cache: its agents become records, and the page that they are on becomes
 * fresh.
 *
 * A large page takes a millisecond or more, so it is ingested in steps. Until the last step the
 * page counts as in flight, though some of its agents may be known already.
 */

#include <stddef.h>
#include <stdint.h>

#include "api/model/page.h"
#include "cache/pages.h"
#include "cache/records.h"

/* A response that is being ingested. A zeroed one is none. */
struct ingest {
	unsigned int number;     /* of the page */
	struct page *response;   /* owned; NULL: none */
	uint64_t seq;            /* event number of the arrival */
	int64_t at_ms;           /* when it arrived, less its age */
	int64_t at_ns;           /* when it arrived, wall clock */
	uint32_t first_serial;   /* records from this one on became known by it */
	size_t next;             /* agent of the response */
	size_t dropped;          /* elements: malformed, or a second time in the response */
	struct record **records; /* so far; references */
	size_t count;            /* of records */
};

/* Begins with a response, and takes it over. number: of its page, from 1. 0 or -ENOMEM. */
int ingest_begin(struct ingest *ingest, struct records *records, unsigned int number,
                 struct page *response);

/* Ingests some agents: appends their records to ingest->records. pass_seq: event number when the
 * pass of the newest sweep began, since a page that it read is as good as fresh; UINT64_MAX if
 * there is no pass. Returns -EAGAIN: more agents are left; 0: call ingest_finish(); -ENOMEM or
 * -EFBIG: the page counts as not arrived. */
int ingest_step(struct ingest *ingest, struct records *records, uint64_t pass_seq);

/* Ends the flight of the page and gives it the records, unless the response is to be ignored. */
void ingest_finish(struct ingest *ingest, struct records *records);

/* Frees what the ingest holds, and empties it. */
void ingest_done(struct ingest *ingest);

#endif
