/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_TIME_STAMP_H
#define FLEETFS_API_MODEL_TIME_STAMP_H

/* Time stamps of RFC 3339, the format that the API uses. */

#include <stdint.h>

/*
 * Parses a time stamp. Accepts a lower-case `t` or `z`, a space in place of `T`, and a leap second.
 * Ignores digits of the fraction beyond nanoseconds.
 *
 * Returns nanoseconds since 1970; or -1 if the text is not a time stamp, or the time is before 1970
 * or too late for 64 bits (after 2262-04-11).
 */
int64_t time_stamp_parse(const char *text);

#endif
