/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SOURCE_H
#define FLEETFS_FS_PROGRAM_SOURCE_H

/*
 * The operand SOURCE: the base URL of the API, or the path or file URL of a saved response. In
 * struct options a file is an absolute path, so the first character tells the two apart.
 *
 * The rules for a base URL are strict, since the token is sent to its host.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Checks and normalises SOURCE as the user gave it. A file becomes an absolute path: the decoded
 * path of a URL (file:///saved%20fleet.json, whose only possible host is localhost), or else the
 * path itself, with its symlinks. A base URL is an http or https URL without user, password, query
 * and fragment; its trailing slashes are removed. allow_http: plain http is allowed to any host,
 * else only to loopback, since everyone on the way could read the token.
 *
 * Returns 0 and *ret_source, to be freed; or with a sentence in ret_why -EINVAL if SOURCE is not
 * valid, -EPERM if it is not allowed, or another -errno. The sentence contains no password.
 */
int source_parse(const char *given, bool allow_http, char **ret_source, char *ret_why,
                 size_t why_bytes);

/* Whether a source in struct options is a file. */
static inline bool source_is_file(const char *source)
{
	return *source == '/';
}

/* Writes what a source in struct options is called in a title: the host of a URL, with its port if
 * it has one, or the last part of a path; cut if it is too long. */
void source_title(const char *source, char *ret_title, size_t title_bytes);

/* Whether a source in struct options is an https URL. */
bool source_is_https(const char *source);

#endif
