/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_ENVIRONMENT_H
#define FLEETFS_API_MODEL_ENVIRONMENT_H

/*
 * Environment variables and the paths that depend on the environment: the working directory and the
 * user's configuration directory.
 *
 * Call these functions at start, before fleetfs goes into the background and changes its working
 * directory to `/`.
 */

#include <stdbool.h>

/*
 * Returns the value of an environment variable, or NULL if it is unset or empty. An empty variable
 * counts as unset because Compose files, systemd units and shell scripts often set a variable that
 * has no value. Valid until the environment changes.
 */
const char *environment_value(const char *name);

/*
 * Returns path as an absolute path, which the caller frees; or NULL and errno. Does not resolve
 * symlinks, so a file can be replaced by pointing a symlink elsewhere.
 */
char *environment_absolute(const char *path);

/* environment_absolute() for a list of paths that are separated by `:`. Leaves out empty elements.
 */
char *environment_absolute_list(const char *paths);

/*
 * Returns whether a path names a home directory by `~`, `~/…` or `~user/…`. Shells expand it, so
 * fleetfs does not. `~name` without a slash is a file. A directory whose own name begins with `~`
 * is written as `./~…`.
 */
bool environment_is_tilde(const char *path);

/* The predicate of an error message about a path for which environment_is_tilde() is true. */
#define ENVIRONMENT_TILDE_FAULT "begins with '~', which is not expanded here: write the whole path"

/*
 * Returns the absolute path of name in the user's configuration directory; the caller frees it. The
 * directory is $XDG_CONFIG_HOME if that is an absolute path, else `.config` in $HOME, else
 * `.config` in the home directory of the password database. Returns NULL and errno on failure;
 * ENOENT if the user has no home directory.
 */
char *environment_config_path(const char *name);

#endif
