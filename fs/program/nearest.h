/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_NEAREST_H
#define FLEETFS_FS_PROGRAM_NEAREST_H

#include <stdbool.h>

/*
 * Returns the name of the setting that a mistyped word most likely means, or NULL if no name is
 * near. word: `NAME` or `NAME=VALUE`. listed: only settings that -o accepts, else only those that
 * `--` accepts. At most two characters are wrong, and at most half of the word.
 */
const char *nearest_name(const char *word, bool listed);

#endif
