/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_FETCH_JOB_H
#define FLEETFS_API_HTTP_FETCH_JOB_H

/*
 * The work on one page, from client_request_page() until its result is taken: the result itself and
 * the state between its requests, which only the client knows. A job may need several requests:
 * client.h lists the cases.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/fetch.h"

struct split;

struct fetch_job {
	struct fetch_job *next; /* in a queue (mailbox.h) */
	struct fetch *fetch;    /* the result; owned */
	struct split *split;    /* the page is being fetched in parts (split.h); owned; else NULL */
	bool denied;            /* a request got 401, after which the token was read again */
	bool divisible;    /* the last response was too large; requests for parts may succeed */
	uint64_t cut_hash; /* hash of the last body if it was too large, thus cut; else 0 */
};

/* Returns a job to fetch a page. condition may be NULL; it is copied. NULL if there is no memory.
 */
struct fetch_job *fetch_job_new(unsigned int number, const struct validator *condition,
                                bool no_cache);

/* Frees a job and its result. NULL is allowed. */
void fetch_job_free(struct fetch_job *job);

/* Frees a job and returns its result. */
struct fetch *fetch_job_finish(struct fetch_job *job);

#endif
