/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_NAMES_H
#define FLEETFS_FS_TREE_NAMES_H

/*
 * Encodes a string as a file name that is safe to print, and safe as an argument of a command:
 * nothing in it controls a terminal, hides the file or looks like an option. Different strings have
 * different names.
 *
 * `%`, `/`, and UTF8_CONTROL and UTF8_INVALID characters (api/model/utf8.h) become %XX, in
 * upper-case hex, byte by byte. So do a leading `.` or `-`, and a leading or trailing space. NUL is
 * %00. The empty string is `%`.
 *
 * A name that would be longer than 255 bytes is cut to at most 200 bytes, without splitting a
 * character or its escapes. Then `%~` and 32 hex digits follow: the 128-bit hash (XXH128) of the
 * whole original string. In a name that is not cut, two hex digits follow each `%`, except in the
 * name `%`. So a cut name never equals another name.
 *
 * Encoding never fails and allocates nothing. A cut name cannot be decoded, so no function here
 * decodes names: to find the string of a name, encode the candidates and compare.
 */

#include <stdbool.h>

#define NAME_BYTES 256 /* 255, the kernel's NAME_MAX, and the NUL */

/* Encodes a stored string (api/model/utf8.h). */
void name_encode(const char *text, char ret_name[static NAME_BYTES]);

/* Whether name_encode() returns this name for some string. The digits of a hash cannot be verified;
 * any 32 are accepted. No other name exists in a directory of agents, labels or groups, so a lookup
 * of another name needs no data. */
bool name_is_canonical(const char *name);

/*
 * Names below where/. There a name with an operator (`=`, `<`, `>`) is a component of a question
 * (fs/tree/question.h): a condition or `sort=`. So each of these characters in the name of an agent
 * becomes %XX, too. Otherwise the name is the same as in agents/. Exception: the escapes can make
 * the name so long that it is cut, or is cut earlier than the name in agents/.
 */

/* Encodes the id of an agent as its name below where/. */
void name_encode_in_where(const char *text, char ret_name[static NAME_BYTES]);

/* Whether a name below where/ is a component of a question, valid or not. */
bool name_has_operator(const char *name);

/* Translates a name below where/ to the name of the same agent in agents/. Returns false if no
 * agent can have the name. If the name is cut, ret_name may be wrong: the agent can only be found
 * by comparing name_encode_in_where() of the candidates. */
bool name_from_where(const char *name, char ret_name[static NAME_BYTES]);

/* Whether a name, in agents/ or below where/, was cut. */
bool name_is_cut(const char *name);

#endif
