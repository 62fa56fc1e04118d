/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_SPLIT_H
#define FLEETFS_API_HTTP_SPLIT_H

/*
 * Fetches a page that is too large as a whole in parts.
 *
 * Page n of size P is pages (n-1)k+1 to nk of size P/k. The parts are requested one after the other
 * and put together into one page. A part that is still too large is divided again; an agent that is
 * too large by itself is dropped and counted (page.dropped), and the other agents of its page are
 * kept. A page takes fewer than 2 * per_page further requests; at most 110 if per_page is
 * 100.
 *
 * The attempt ends with the failure of the whole page if a response cannot be the part that was
 * requested: if it has more agents than requested; if it has fewer agents and reports another
 * per_page; or if it has the same beginning as the last agent that was dropped, which shows that
 * the API ignores which part is requested.
 *
 * If the request of a part fails for another reason, the attempt ends with that failure, marked as
 * page_only: the API answered the request of the whole page.
 *
 * Fetching thread only.
 */

#include <stdbool.h>

struct fetch_job;
struct split;

/* The query parameters of a request. */
struct split_part {
	unsigned int number; /* current_page */
	unsigned int size;   /* per_page */
};

/* Returns what a job must request next: its page as a whole, or a part. */
struct split_part split_part(const struct fetch_job *job, unsigned int per_page);

/* Call this after a request of the job ended. True: a request for another part must follow. False:
 * the job's fetch has its page or its failure. */
bool split_continue(struct fetch_job *job, unsigned int per_page);

/* Frees a split and its agents. NULL is allowed. */
void split_free(struct split *split);

#endif
