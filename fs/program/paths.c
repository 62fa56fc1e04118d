/* SPDX-License-Identifier: MIT */
#include "fs/program/paths.h"

#include <errno.h>
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

/* A path on the way from the root to a file, as the kernel resolves it. */
struct paths_walk {
	char done[PATH_MAX]; /* absolute, without symlinks; empty: the root */
	char rest[PATH_MAX]; /* what follows */
	int symlinks;        /* so far */
};

/* Replaces the rest of a walk by the target of a symlink, and what follows it. Returns false if
 * that is too long, or the symlink is one too many. */
static bool paths_walk_follow(struct paths_walk *walk, size_t directory_length, const char *target,
                              const char *rest)
{
	char next[sizeof(walk->rest)] = "";

	if (++walk->symlinks > MAX_SYMLINKS ||
	    snprintf(next, sizeof(next), "%s%s", target, rest) >= (int)sizeof(next))
		return false;
	walk->done[*target == '/' ? 0 : directory_length] = '\0';
	memcpy(walk->rest, next, sizeof(next));
	return true;
}

/* Goes on by one component. Returns false at the end, or if the path is too long or has too many
 * symlinks. A component that does not exist is taken as it is. */
static bool paths_walk_step(struct paths_walk *walk)
{
	const char *name = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(name, "/"), before = strlen(walk->done);
	char target[PATH_MAX];
	ssize_t got;

	if (length == 0)
		return false;
	if (length == 2 && strncmp(name, "..", 2) == 0) {
		char *end = strrchr(walk->done, '/');

		if (end)
			*end = '\0';
	} else if (length != 1 || *name != '.') {
		if (before + 1 + length >= sizeof(walk->done))
			return false;
		walk->done[before] = '/';
		memcpy(walk->done + before + 1, name, length);
		walk->done[before + 1 + length] = '\0';
		got = readlink(walk->done, target, sizeof(target) - 1);
		if (got >= 0) {
			target[got] = '\0';
			return paths_walk_follow(walk, before, target, name + length);
		}
	}
	memmove(walk->rest, name + length, strlen(name + length) + 1);
	return true;
}

/* Whether the kernel comes through the mount point on the way to a file, which need not exist yet.
 * That includes a symlink below the mount point to a file elsewhere, and "..". Directories are
 * compared by inode, since a bind mount shows the mount point at a second path. */
static bool paths_is_hidden(const char *mountpoint, const char *file)
{
	struct paths_walk walk = {.done = ""};
	struct stat top, directory;

	if (stat(mountpoint, &top) < 0 ||
	    snprintf(walk.rest, sizeof(walk.rest), "%s", file) >= (int)sizeof(walk.rest))
		return false;
	do {
		if (stat(*walk.done ? walk.done : "/", &directory) == 0 &&
		    directory.st_dev == top.st_dev && directory.st_ino == top.st_ino)
			return true;
	} while (paths_walk_step(&walk));
	return false;
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
