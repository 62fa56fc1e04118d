/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_NEAREST_H
#define FLEETFS_FS_PROGRAM_NEAREST_H

#include <stdbool.h>

/*
 * Returns the name of the setting that a mistyped word most likely means, or NULL if no name is
 * near. word: `NAME` or `NAME=VALUE`. dash_o: considers only settings that -o accepts, else only
 * those that `--` accepts. A name is near if its edit distance (insert, delete, replace, or swap
 * two neighbours) is at most 2; at most 1 if NAME has two to four characters; 0 if it has one.
 */
const char *nearest_name(const char *word, bool dash_o);

#endif
