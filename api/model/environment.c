/* SPDX-License-Identifier: MIT */
#include "api/model/environment.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PASSWD_BYTES 1024u
#define MAX_PASSWD_BYTES   (1u << 20)

const char *environment_value(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static char *environment_join(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

char *environment_absolute(const char *path)
{
	char *directory, *absolute;

	if (*path == '/')
		return strdup(path);
	directory = getcwd(NULL, 0);
	absolute = directory ? environment_join(directory, path) : NULL;
	free(directory);
	return absolute;
}

/* Returns list with `:` and the absolute path appended, or NULL. Frees list in both cases. */
static char *environment_append(char *list, const char *path)
{
	char *absolute = environment_absolute(path), *longer = NULL;

	if (absolute &&
	    asprintf(&longer, "%s%s%s", list ? list : "", list ? ":" : "", absolute) < 0)
		longer = NULL;
	free(absolute);
	free(list);
	return longer;
}

char *environment_absolute_list(const char *paths)
{
	char *copy = strdup(paths), *rest = copy, *list = NULL, *path;
	bool failed = !copy;

	while (!failed && (path = strsep(&rest, ":"))) {
		if (!*path)
			continue;
		list = environment_append(list, path);
		failed = !list;
	}
	free(copy);
	return failed || list ? list : strdup("");
}

bool environment_is_tilde(const char *path)
{
	return path[0] == '~' && (!path[1] || strchr(path, '/'));
}

/* Returns the home directory in the password database, to be freed; or NULL and errno: ENOENT if
 * the user is not in the database, has no home there, or the database cannot be read. */
static char *environment_passwd_home(void)
{
	char *strings = NULL, *larger, *home = NULL;
	struct passwd entry, *found = NULL;
	size_t bytes = FIRST_PASSWD_BYTES;
	int error;

	do {
		larger = realloc(strings, bytes);
		if (!larger) {
			free(strings);
			return NULL;
		}
		strings = larger;
		error = getpwuid_r(geteuid(), &entry, strings, bytes, &found);
		bytes *= 2;
	} while (error == ERANGE && bytes <= MAX_PASSWD_BYTES);
	if (found && *found->pw_dir)
		home = strdup(found->pw_dir);
	else
		errno = ENOENT;
	free(strings);
	return home;
}

char *environment_config_path(const char *name)
{
	const char *config = environment_value("XDG_CONFIG_HOME");
	const char *variable = environment_value("HOME");
	char *home, *directory, *path;

	/* The XDG base directory specification: a relative path is invalid and must be ignored. */
	if (config && *config == '/')
		return environment_join(config, name);
	home = variable ? environment_absolute(variable) : environment_passwd_home();
	directory = home ? environment_join(home, ".config") : NULL;
	path = directory ? environment_join(directory, name) : NULL;
	free(directory);
	free(home);
	return path;
}
