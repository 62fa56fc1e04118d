/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_INTAKE_H
#define FLEETFS_FS_INTAKE_H

/*
 * What the fetching thread brings, on its way into the cache: counted, taken in a part at a time,
 * and told to the log, or to `--check`.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/check.h"
#include "fs/expiry.h"
#include "fs/malformed.h"
#include "fs/self.h"

struct arrival;
struct client;

/* All pointers are borrowed, but for arrival. */
struct intake {
	struct client *client;
	struct fleet *fleet;
	struct self *self;   /* whose counts and expiry of the token it keeps */
	struct check *check; /* with --check; NULL */
	bool mounted;   /* there is a log, and somebody to read; else a start tells its failure */
	char note[256]; /* an arrival's from before, or "" */
	struct expiry expiry;                     /* of the token, as far as the log has it */
	struct malformed malformed;               /* elements whose loss the log has */
	struct page_fault early[PAGE_MAX_FAULTS]; /* of a page from before it was mounted */
	size_t early_count;
	unsigned int early_page;

	struct arrival *arrival;    /* that is being taken in; NULL: none */
	struct fleet_health health; /* from before it came */
	int64_t total;              /* as its page says; AGENT_ABSENT */
	bool good;                  /* it has a page … */
	bool old;                   /* … which is old */
};

/* One arrival of the client's, or some of it, so that requests get their turn in between; true:
 * call it again, whether or not anything else arrived. What fails is held against its page in the
 * cache, which tells it to who waits. */
bool intake_one(struct intake *intake);

/* From now on there is a log. What it has missed is told. */
void intake_mounted(struct intake *intake);

/* Prints what --check reports beside its steps, a line each: the last note, and the first element
 * that was dropped. Only before intake_mounted(). */
void intake_print_notes(const struct intake *intake);

/* Frees what was being taken in. The fleet is still there. */
void intake_done(struct intake *intake);

#endif
