/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_NAMES_H
#define FLEETFS_FS_NAMES_H

/*
 * Any string → a file name that is safe to type, print and glob; different strings get different
 * names.
 *
 * `%`, `/`, controls (C0, C1, DEL, bidirectional) and bytes that are not UTF-8 become %XX,
 * upper-case hex, byte by byte; so do a leading `.` or `-` and a leading or trailing space. The
 * empty string is
 * `%`. What would be longer than 255 bytes is cut to at most 200, where neither a character nor the
 * escapes of one character are split, and gets `%~` and 32 hex digits: the 128-bit hash (XXH128) of
 * the whole string. Nothing else has a `%` that no two hex digits follow, so these never meet.
 *
 * Never fails, allocates nothing. There is no way back: who looks a name up compares names.
 */

#include <stdbool.h>

#define NAME_BYTES 256 /* 255, the kernel's NAME_MAX, and the NUL */

/* The name of a string. */
void name_encode(const char *text, char ret_name[static NAME_BYTES]);

/* Whether name_encode() gives this name to any string. The digits of a hash cannot be verified; any
 * 32 are accepted. No other name exists in a directory of agents, labels or values, so a look-up of
 * it needs no data. */
bool name_is_canonical(const char *name);

#endif
