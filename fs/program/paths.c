/* SPDX-License-Identifier: MIT */
#include "fs/program/paths.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/program/ca.h"
#include "fs/program/options.h"
#include "fs/program/source.h"

#define MAX_SYMLINKS 40 /* to follow, as in the kernel */

/*
 * Returns a path without symlinks, to be freed; NULL if that fails. If the file does not exist yet,
 * like a log, it is the path of its directory, or of the directory of the symlink's target.
 */
static char *paths_resolve(const char *file)
{
	char path[PATH_MAX], target[PATH_MAX], joined[2 * PATH_MAX + 1];
	char *real;

	if (snprintf(path, sizeof(path), "%s", file) >= (int)sizeof(path))
		return NULL;
	for (int i = 0; i < MAX_SYMLINKS; i++) {
		real = realpath(path, NULL);
		if (real || errno != ENOENT)
			return real;
		ssize_t length = readlink(path, target, sizeof(target) - 1);

		if (length < 0)
			return realpath(dirname(path), NULL);
		target[length] = '\0';
		if (*target == '/')
			snprintf(joined, sizeof(joined), "%s", target);
		else
			snprintf(joined, sizeof(joined), "%s/%s", dirname(path), target);
		if (snprintf(path, sizeof(path), "%s", joined) >= (int)sizeof(path))
			return NULL;
	}
	return NULL;
}

/* Whether a file, which need not exist yet, is below the mount point. Directories are compared by
 * inode, since a bind mount shows the mount point at a second path. */
static bool paths_is_hidden(const char *mountpoint, const char *file)
{
	char *real = paths_resolve(file), *end;
	struct stat top, directory;
	bool hidden = false;

	if (!real || stat(mountpoint, &top) < 0) {
		free(real);
		return false;
	}
	do {
		hidden = stat(*real ? real : "/", &directory) == 0 &&
		         directory.st_dev == top.st_dev && directory.st_ino == top.st_ino;
		end = strrchr(real, '/');
		if (end)
			*end = '\0';
	} while (!hidden && end);
	free(real);
	return hidden;
}

/* Arguments of paths_check(). */
struct paths_arguments {
	const char *mountpoint;
	const char *_Atomic *ret_current;
	char *ret_why;
	size_t why_bytes;
};

/* Checks one path. name: of its setting, or "the system's", for the message. path: may be NULL or
 * not absolute. */
static int paths_check_one(const struct paths_arguments *arguments, const char *name,
                           const char *path)
{
	if (!path || *path != '/' || !paths_is_hidden(arguments->mountpoint, path))
		return 0;
	snprintf(arguments->ret_why, arguments->why_bytes,
	         "%s %s is below the mount point %s, which would hide it: choose another mount "
	         "point",
	         name, path, arguments->mountpoint);
	return -EINVAL;
}

/* Checks a list of paths that are separated by `:`. paths: NULL: none. */
static int paths_check_list(const struct paths_arguments *arguments, const char *name,
                            const char *paths)
{
	char *copy = paths ? strdup(paths) : NULL, *rest = copy, *path;
	int err = 0;

	if (paths && !copy) {
		snprintf(arguments->ret_why, arguments->why_bytes, "out of memory");
		return -ENOMEM;
	}
	/* The whole list: if a check hangs, the copy may be freed while the start reports that. */
	*arguments->ret_current = paths;
	while (err == 0 && (path = strsep(&rest, ":")))
		err = paths_check_one(arguments, name, path);
	free(copy);
	return err;
}

int paths_check(const char *mountpoint, const struct options *options, const char *token_file,
                const char *_Atomic *ret_current, char *ret_why, size_t why_bytes)
{
	const struct paths_arguments arguments = {mountpoint, ret_current, ret_why, why_bytes};
	const struct {
		const char *name;
		const char *path;
	} files[] = {
		{"source", source_is_file(options->source) ? options->source : NULL},
		{"log_file", options->log_file},
		{ca_bundle_name(options), options->cacert},
		{"token_file", token_file},
		{"the system's", "/proc/self/mountinfo"},
		{"the system's", "/dev/null"},
		{"the system's", "/etc"}, /* libfuse reads /etc/mtab after mounting */
	};
	int err = paths_check_list(&arguments, "$SSL_CERT_DIR", options->ca_dirs);

	for (size_t i = 0; err == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		*ret_current = files[i].path;
		err = paths_check_one(&arguments, files[i].name, files[i].path);
	}
	return err;
}
