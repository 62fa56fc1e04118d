/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_EXPIRY_H
#define FLEETFS_FS_PROGRAM_EXPIRY_H

/*
 * When to warn that a token ends: a day before, an hour before, and when it has ended, once each.
 * Asked whenever something was fetched, so that it wakes nobody: a mount that nobody reads needs no
 * token. All times are seconds since 1970; an expiry of 0 is not known.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was told so far. Zeroes: nothing yet. */
struct expiry {
	int64_t of; /* the expiry that it was about */
	int told;   /* how many of the warnings are behind us */
};

/* Whether a warning is due now. Another expiry than last time is another token, and begins anew. */
bool expiry_due(struct expiry *expiry, int64_t of, int64_t now);

/* How far a moment is from now, in one unit: "in 2 days", "in 59 minutes", "3 hours ago". */
void expiry_distance(int64_t of, int64_t now, char *ret_text, size_t bytes);

#endif
