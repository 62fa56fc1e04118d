/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_FETCH_RESULTS_H
#define FLEETFS_FS_PROGRAM_FETCH_RESULTS_H

/*
 * What the fetching thread brings, on its way into the cache: counted, taken in a part at a time,
 * and told to the log, or to `--check`.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/program/check.h"
#include "fs/program/expiry.h"
#include "fs/program/malformed.h"
#include "fs/tree/status.h"

struct fetch;
struct client;

/* All pointers are borrowed, but for arrival. */
struct fetch_results {
	struct client *client;
	struct fleet *fleet;
	const struct options *options;
	struct status *status; /* whose counts and expiry of the token it keeps */
	struct check *check;   /* with --check; NULL */
	bool mounted;   /* there is a log, and somebody to read; else a start tells its failure */
	char note[256]; /* an arrival's from before, or "" */
	struct expiry expiry;                     /* warnings about the token that were logged */
	struct malformed malformed;               /* dropped elements that were logged */
	struct page_fault early[PAGE_MAX_FAULTS]; /* of the page that was read before mounting */
	size_t early_count;
	unsigned int early_page;

	struct fetch *fetch;        /* that is being taken in; NULL: none */
	struct fleet_health health; /* from before it came */
	int64_t total;              /* as its page says; AGENT_ABSENT */
	bool good;                  /* it has a page … */
	bool old;                   /* … which is old */
};

/* One arrival of the client's, or some of it, so that requests get their turn in between; true:
 * call it again, whether or not anything else arrived. What fails is held against its page in the
 * cache, which tells it to who waits. */
bool fetch_results_take(struct fetch_results *fetch_results);

/* From now on there is a log. What it has missed is told. */
void fetch_results_mounted(struct fetch_results *fetch_results);

/* Prints what --check reports beside its steps, a line each: the last note, and the first element
 * that was dropped. Only before intake_mounted(). */
void fetch_results_print_notes(const struct fetch_results *fetch_results);

/* Frees what was being taken in. The fleet is still there. */
void fetch_results_done(struct fetch_results *fetch_results);

#endif
