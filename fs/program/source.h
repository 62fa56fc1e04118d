/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SOURCE_H
#define FLEETFS_FS_PROGRAM_SOURCE_H

#include <stdbool.h>

/*
 * What the operator named as SOURCE: the API by its base URL, or a saved list by its path. In
 * struct options a file is an absolute path, so that its first character tells which it is.
 */

#define SOURCE_TEXT_BYTES 112 /* of a buffer for source_describe() */

/* Whether it names a file: file:…, or what looks like no URL at all. */
bool source_names_file(const char *source);

/*
 * Writes a source for a message: at most 100 bytes; of a URL neither its query nor its fragment,
 * which may contain a token; and nothing at all if it may contain a password.
 */
void source_describe(const char *source, char ret_text[static SOURCE_TEXT_BYTES]);

/*
 * The absolute path of a source that names a file, for free(): a URL's (file:///saved%20fleet.json,
 * with no host but localhost) decoded, else the path as it is. NULL, with what is wrong in
 * *ret_fault as below; or with NULL there, and errno.
 */
char *source_path(const char *source, const char **ret_fault);

/* Of a source in struct options. */
static inline bool source_is_file(const char *source)
{
	return *source == '/';
}

/* Whether a source in struct options is an https URL. */
bool source_is_https(const char *source);

/*
 * The API's base URL is held to strict rules, since the token is sent wherever it points.
 *
 * What is wrong with it, as the end of a sentence ("has no valid host"), static; or NULL when it is
 * an http or https URL without userinfo, query and fragment. *ret_plain (then): it is plain http,
 * to a host that is not this machine, so whoever is on the way would see the token.
 */
const char *source_fault(const char *url, bool *ret_plain);

#endif
