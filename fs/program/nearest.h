/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_NEAREST_H
#define FLEETFS_FS_PROGRAM_NEAREST_H

#include <stdbool.h>

/*
 * Returns the name of the setting that a mistyped word most likely means, or NULL if no name is
 * near. word: `NAME` or `NAME=VALUE`. dash_o: considers only settings that -o accepts, else only
 * those that `--` accepts. A name is near if at most two characters differ, or one if the word has
 * fewer than five.
 */
const char *nearest_name(const char *word, bool dash_o);

#endif
