/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_TOKEN_FILE_H
#define FLEETFS_API_HTTP_TOKEN_FILE_H

/*
 * Reads a token file, under the conditions that ssh sets for a key: no other user can read or
 * write it. No state.
 *
 * A token file is a regular file (symlinks are followed) owned by the user or root, of at most 64
 * KiB. Group and others have no permission, with two exceptions: in $CREDENTIALS_DIRECTORY, which
 * the service manager protects, and a file of root on a read-only file system, which is how
 * containers get secrets.
 */

#include <stdbool.h>
#include <stddef.h>

#include "api/model/failure.h"
#include "api/model/file_identity.h"

#define TOKEN_FILE_MAX_BYTES (64u << 10)

struct token_file {
	const char *path;
	bool any_mode; /* any permissions are accepted: it is in $CREDENTIALS_DIRECTORY */
};

/*
 * Reads a token file into ret_text, which has room for TOKEN_FILE_MAX_BYTES + 1 and must be wiped
 * after success. Never blocks on a FIFO or device. Returns 0; or -errno, with cause and message in
 * *ret_failure. Sets *ret_identity, also if the file is not acceptable or cannot be opened; to
 * zeroes if there is no file.
 */
int token_file_read(const struct token_file *file, char *ret_text, size_t *ret_bytes,
                    struct file_identity *ret_identity, struct failure *ret_failure);

#endif
