/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_CA_H
#define FLEETFS_FS_PROGRAM_CA_H

/*
 * Which CA certificates are trusted: those of the setting `cacert` alone; else $SSL_CERT_FILE and
 * $SSL_CERT_DIR, each of which replaces its counterpart of the system, as in curl and OpenSSL. The
 * variables have no effect on a source that is not https.
 */

#include <stddef.h>

struct options;
struct text;

/*
 * Completes the CA members of options (cacert, ca_dirs, ca_exclusive) from the environment.
 * options->source must be set, and options->cacert if it is given as a setting. Returns 0; or
 * -errno if memory is short or the working directory was removed, and options is still valid.
 */
int ca_resolve(struct options *options);

/* Returns the setting or variable that named the CA bundle, for messages. Static. */
const char *ca_bundle_name(const struct options *options);

/*
 * Checks that the CA bundle can be read. Returns 0; or -EINVAL, with a sentence in ret_why that
 * names the file and its setting or variable. $SSL_CERT_DIR is not checked: like curl, fleetfs
 * accepts a directory that does not exist.
 */
int ca_check(const struct options *options, char *ret_why, size_t why_bytes);

/* The CA bundle and directory that libcurl trusts by default. Static; NULL: none. */
struct ca_system {
	const char *bundle, *directory;
};

/* Appends the line `ca: PATH from ORIGIN, …` about the CAs in use; `ca: the system` if no path is
 * known; `ca: -` if the source is not https. */
void ca_text(const struct options *options, const struct ca_system *system, struct text *text);

#endif
