/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_CA_H
#define FLEETFS_FS_PROGRAM_CA_H

/*
 * The CA certificates to trust: the setting `cacert` alone; else $SSL_CERT_FILE and $SSL_CERT_DIR,
 * each of which replaces its counterpart of the system, as in curl and OpenSSL. The variables have
 * no effect on a source that is not https.
 */

#include <stddef.h>

struct options;
struct text;

/*
 * Completes the CA members of options (cacert, ca_dirs, ca_exclusive) from the environment, once
 * its source and its setting `cacert` are known. Returns 0, or -errno for a lack of memory or a
 * working directory that is gone; options is then still valid.
 */
int ca_resolve(struct options *options);

/* The setting or variable that named the CA bundle, for messages. */
const char *ca_bundle_name(const struct options *options);

/*
 * Checks that the CA bundle can be read. Returns 0; or -errno and a message in ret_why, which names
 * the file and the setting or variable it is from. Of $SSL_CERT_DIR nothing is checked: like curl,
 * fleetfs accepts a directory that does not exist.
 */
int ca_check(const struct options *options, char *ret_why, size_t why_bytes);

/* What libcurl trusts by default: a bundle and a directory. Static; NULL: none. */
struct ca_system {
	const char *bundle, *directory;
};

/* Writes the line `ca: PATH from ORIGIN, …`: the CAs in use. `-` if the source is not https. */
void ca_text(const struct options *options, const struct ca_system *system, struct text *text);

#endif
