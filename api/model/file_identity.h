/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_FILE_IDENTITY_H
#define FLEETFS_API_MODEL_FILE_IDENTITY_H

/* Detects that a file was replaced or written since it was read, without reading it. No state. */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Which file, in which state. Plain data; all zeroes: no file. */
struct file_identity {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed; /* reveals a chmod, and a write whose mtime was set back */
};

/* Returns the identity of the file that stat() or fstat() described. */
struct file_identity file_identity_of(const struct stat *status);

/* Whether both are the same file in the same state. */
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/* Whether size and mtime are the same. A file that is replaced by rename() while it is open keeps
 * both, but its ctime changes. */
bool file_identity_same_content(const struct file_identity *a, const struct file_identity *b);

#endif
