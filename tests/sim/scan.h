/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_SCAN_H
#define FLEETFS_SIM_SCAN_H

/*
 * Where the values in a JSON text begin and end, and nothing else about them.
 *
 * The simulator serves what a test gave it byte for byte, odd numbers, duplicate keys and bytes
 * that are not UTF-8 included, so a parser that reads and writes again is of no use. Only strings,
 * escapes and nesting are looked at: text that is not JSON may pass.
 */

#include <stddef.h>

/* One value within a text that the caller owns, without the white space around it. */
struct scan_piece {
	const char *text;
	size_t bytes;
};

/* The one value that the text consists of. 0 or -EINVAL. */
int scan_value(const char *text, size_t bytes, struct scan_piece *ret_value);

/* The elements of an array, for free(). 0, -EINVAL or -ENOMEM. */
int scan_elements(const char *text, size_t bytes, struct scan_piece **ret_elements,
                  size_t *ret_count);

/* The value of an object's first member with this key (compared as written, quotes not included).
 * 0, -EINVAL, or -ENOENT when it has none. */
int scan_member(const char *text, size_t bytes, const char *key, struct scan_piece *ret_value);

#endif
