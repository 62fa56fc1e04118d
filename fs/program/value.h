/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_VALUE_H
#define FLEETFS_FS_PROGRAM_VALUE_H

/* Parsers for the values of settings. Each returns false, and sets nothing, if the text is not
 * allowed. They are stricter than strtoll(3) and strtod(3) and do not depend on the locale. */

#include <stdbool.h>
#include <stdint.h>

/* A number of at most 12 decimal digits, without sign and spaces. */
bool value_parse_count(const char *text, int64_t *ret_count);

/* Seconds as a decimal number, without sign and exponent: "0.25". The result is rounded to the
 * nearest ms. It is 0 only if the text is zero, since 0 may have a meaning of its own. */
bool value_parse_duration(const char *text, int64_t *ret_ms);

/* yes, on, true, 1; or no, off, false, 0. */
bool value_parse_flag(const char *text, bool *ret_flag);

/* Whether a text is an ID: at least one character, all of them letters, digits, `_` and `-`. */
bool value_is_id(const char *text);

#endif
