/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PATHS_H
#define FLEETFS_FS_PROGRAM_PATHS_H

/*
 * The files that fleetfs opens by path while it is mounted. None of them may be below the mount
 * point: the mount would hide the file, and fleetfs would ask itself for it.
 */

#include <stdbool.h>
#include <stddef.h>

struct options;

/*
 * Checks every file that options name, the token's file (token_file; NULL or not absolute: none)
 * and the system's own files. mountpoint: absolute, not mounted yet. Returns 0; or -EINVAL or
 * -ENOMEM, with a sentence in ret_why.
 */
int paths_check(const char *mountpoint, const struct options *options, const char *token_file,
                char *ret_why, size_t why_bytes);

#endif
