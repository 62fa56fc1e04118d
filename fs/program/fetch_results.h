/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_FETCH_RESULTS_H
#define FLEETFS_FS_PROGRAM_FETCH_RESULTS_H

/*
 * Takes the results of the fetching thread into the cache: pages and failures. Counts requests and
 * bytes, and reports to the log or to --check.
 *
 * A large page is taken in parts, so that FUSE requests are answered in between. FUSE thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/program/check.h"
#include "fs/program/expiry.h"
#include "fs/program/malformed.h"
#include "fs/tree/status.h"

struct client;
struct fetch;
struct options;

struct fetch_results {
	/* Set by the creator, which owns them. The other members are zeroes at first. */
	struct client *client;
	struct fleet *fleet;
	const struct options *options;
	struct status *status; /* its counters and the expiry of the token are updated */
	struct check *check;   /* with --check, else NULL */

	bool mounted;               /* results are logged */
	struct expiry expiry;       /* warnings about the token that were logged */
	struct malformed malformed; /* dropped elements that were logged */

	/* Kept until fetch_results_set_mounted(), since there is no log before. */
	char note[256];                           /* the last note of a fetch, or "" */
	struct page_fault early[PAGE_MAX_FAULTS]; /* dropped elements of the first page with any */
	size_t early_count;
	unsigned int early_page; /* as in malformed_describe() */

	/* The result that is being taken in. */
	struct fetch *fetch;               /* owned; NULL: none */
	struct fleet_health health_before; /* before it was taken */
	int64_t total_count;               /* as its page says; AGENT_ABSENT */
	bool has_page;                     /* it is a page, not a failure alone */
	bool is_old;                       /* the page is outdated: fetch->failure says why */
};

/*
 * Takes the next result of the client, or the next part of a large page, into the cache. Returns
 * true if it must be called again for the rest of the page, even if client_fd() is not readable.
 * Failures go to the cache, whose queries return them.
 */
bool fetch_results_take(struct fetch_results *results);

/* From now on results are logged. Logs what was kept since the start. */
void fetch_results_set_mounted(struct fetch_results *results);

/* Prints the lines of --check about the last note and the first dropped element to stdout. Not
 * after fetch_results_set_mounted(). */
void fetch_results_print_notes(const struct fetch_results *results);

/* Frees the result that was being taken. Call it before fleet_free(). */
void fetch_results_done(struct fetch_results *results);

#endif
