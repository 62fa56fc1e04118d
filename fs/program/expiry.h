/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_EXPIRY_H
#define FLEETFS_FS_PROGRAM_EXPIRY_H

/*
 * When to warn that a token expires: a day before, an hour before, and when it has expired, once
 * each. It is checked after each fetch, without a timer, since a mount without readers needs no
 * token. All times are in seconds since 1970.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroes at first. */
struct expiry {
	int64_t expiry; /* of the token that the warnings were about */
	int passed;     /* how many of the three times have passed, with or without a warning */
};

/* Whether to warn now. expiry: of the token; 0: not known. Another expiry than in the last call is
 * another token, for which the warnings start again. */
bool expiry_due(struct expiry *state, int64_t expiry, int64_t now);

/* Writes how far a time is from now, in one unit: "in 2 days", "in 59 minutes", "3 hours ago". */
void expiry_distance(int64_t time, int64_t now, char *ret_text, size_t text_bytes);

#endif
