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
#include "fs/tree/text.h"

struct client;
struct fetch;
struct options;

struct fetch_results {
	/* Set by the creator, which owns them. The other members are zeroes at first. */
	struct client *client;
	struct fleet *fleet;
	const struct options *options;
	struct status *status; /* its HTTP counters and token_expiry are updated here */
	struct check *check;   /* with --check, else NULL */

	bool mounted;               /* results are logged */
	struct expiry expiry;       /* warnings about the token that were logged */
	struct malformed malformed; /* dropped elements that were logged */
	unsigned int logged_causes; /* failures that were logged since the API last worked: bits of
	                               1 << enum failure_cause */

	/* Kept until fetch_results_set_mounted() logs it, or for --check. */
	char kept_note[256]; /* the last fetch->note, or "" */
	/* The dropped elements of the first page that has any, and its number, as in
	 * malformed_describe(). */
	struct page_fault kept_faults[PAGE_MAX_FAULTS];
	size_t kept_fault_count;
	unsigned int kept_fault_page;
	struct text kept_duplicates; /* names of agents, each with a NUL behind it */

	/* The result that is being taken in. */
	struct fetch *fetch;               /* owned; NULL: none */
	struct fleet_health health_before; /* before it was ingested */
	int64_t total_count;               /* of its page, or AGENT_ABSENT */
	bool has_page;                     /* it has a page */
	bool is_outdated;                  /* the page is outdated: fetch->failure says why */
};

/*
 * Takes the next result of the client, or the next part of a large page, into the cache. Returns
 * true if it must be called again for the rest of the page, even if client_fd() is not readable.
 * Failures go to the cache, whose queries return them.
 */
bool fetch_results_take(struct fetch_results *results);

/* Logs that the API lists an agent twice, unless it was logged before; until the mount it is kept.
 * name: of the agent's directory. */
void fetch_results_note_duplicate(struct fetch_results *results, const char *name);

/* Makes later results go to the log, and logs those that were kept since the start. */
void fetch_results_set_mounted(struct fetch_results *results);

/* Prints the lines of --check about the last note, the first malformed element and the first
 * duplicate to stdout. Not after fetch_results_set_mounted(). */
void fetch_results_print_notes(const struct fetch_results *results);

/* Frees the result that was being taken and what was kept. Call it before fleet_free(). */
void fetch_results_done(struct fetch_results *results);

#endif
