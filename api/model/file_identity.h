/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_FILE_IDENTITY_H
#define FLEETFS_API_MODEL_FILE_IDENTITY_H

/* Detects that a file was replaced or written since it was read, without reading it. Plain data. */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Identifies a file and its content at one time. All zeroes: no file. */
struct file_identity {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed; /* reveals a chmod, and a write whose mtime was set back */
};

/* Returns the identity of the file that stat() or fstat() described. */
struct file_identity file_identity_of(const struct stat *status);

/* Returns whether all members are equal: the same file, with the same content and mode. */
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/* Returns whether size and mtime are equal. Use it for an open file: when rename() replaces that
 * file, its ctime changes, but its content does not. */
bool file_identity_same_content(const struct file_identity *a, const struct file_identity *b);

#endif
