/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CA_FILES_H
#define FLEETFS_API_HTTP_CA_FILES_H

/*
 * Checks the files of CAs before the TLS library opens them, which it does for each connection. If
 * a FIFO has replaced one of them, the library waits for a writer forever, which blocks the
 * fetching thread. A device may block a read in the same way.
 *
 * The library opens the bundle. While it verifies a certificate, it also opens entries of the CA
 * directories: HASH.NUMBER, where HASH is that of the issuer, and HASH.rNUMBER for a CRL. So all
 * entries with such names are checked. A file that is missing is not a fault here: curl reports it,
 * or does not need it. Nor is a directory among the entries: reading it fails at once.
 */

#include <stdbool.h>

/* Plain data; all zeroes: no fault. */
struct ca_fault {
	bool bundle;    /* it is the bundle, else an entry of a CA directory */
	char path[256]; /* of the file; may be truncated; "": no fault */
};

/* Returns whether the TLS library may open a bundle and the entries of directories, which are
 * separated by `:`; NULL: none. Otherwise describes the first file that may block. */
bool ca_files_check(const char *bundle, const char *directories, struct ca_fault *ret_fault);

#endif
