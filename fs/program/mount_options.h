/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_MOUNT_OPTIONS_H
#define FLEETFS_FS_PROGRAM_MOUNT_OPTIONS_H

/* Lists of mount options in libfuse's syntax: `NAME[=VALUE][,...]`. */

#define MOUNT_OPTIONS_FIXED "ro,nosuid,nodev,noexec" /* of every mount */

struct options;
struct text;

/* Appends `name` or, if value is not NULL, `name=value` to a list. Commas and backslashes in the
 * value are escaped for libfuse. */
void mount_options_add(struct text *list, const char *name, const char *value);

/* Returns all mount options of a mount, to be freed; NULL if out of memory or if they are too long.
 */
char *mount_options_join(const struct options *options);

#endif
