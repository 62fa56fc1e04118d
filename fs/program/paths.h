/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PATHS_H
#define FLEETFS_FS_PROGRAM_PATHS_H

/*
 * Checks the files that fleetfs opens by path while it is mounted. None of them may be below the
 * mount point: the mount would hide the file, and fleetfs would wait for itself.
 */

#include <stdbool.h>
#include <stddef.h>

struct options;

/*
 * Checks every file that options name, the file of the token, and the files of the system that
 * fleetfs and libfuse open: /dev/null, and those in /proc and /etc. mountpoint: absolute, not
 * mounted yet. token_file: ignored if it is NULL or no absolute path ("$FLEETFS_TOKEN").
 * ret_current: set to each path, or list of paths, while it is checked, since that may hang; set to
 * NULL for a path that is NULL. Borrowed from the arguments, or static. Returns 0; or -EINVAL or
 * -ENOMEM, with a sentence in ret_why.
 */
int paths_check(const char *mountpoint, const struct options *options, const char *token_file,
                const char *_Atomic *ret_current, char *ret_why, size_t why_bytes);

#endif
