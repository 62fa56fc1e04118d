/* SPDX-License-Identifier: MIT */
#include "fs/program/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/model/environment.h"
#include "fs/program/options.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

#define BUNDLE_VARIABLE      "SSL_CERT_FILE"
#define DIRECTORIES_VARIABLE "SSL_CERT_DIR"

#define MAX_LIST_BYTES (1 << 16)

int ca_resolve(struct options *options)
{
	const char *bundle = environment_value(BUNDLE_VARIABLE);
	const char *directories = environment_value(DIRECTORIES_VARIABLE);

	options->ca_exclusive = options->cacert != NULL;
	if (options->ca_exclusive || !source_is_https(options->source))
		return 0;
	if (bundle && !(options->cacert = environment_absolute(bundle)))
		return -errno;
	if (directories && !(options->ca_dirs = environment_absolute_list(directories)))
		return -errno;
	/* A list of empty elements, such as `:`, counts as unset: curl cannot set an empty path. */
	if (options->ca_dirs && !*options->ca_dirs) {
		free(options->ca_dirs);
		options->ca_dirs = NULL;
	}
	return 0;
}

const char *ca_bundle_name(const struct options *options)
{
	return options->ca_exclusive ? "cacert" : "$" BUNDLE_VARIABLE;
}

/* Returns why a bundle cannot be used, or NULL. It is read for each connection, so it cannot be a
 * pipe, such as a shell's `<(command)`. */
static const char *ca_bundle_fault(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *fault = NULL;
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		fault = strerror(errno);
	else if (S_ISDIR(status.st_mode))
		fault = strerror(EISDIR);
	else if (!S_ISREG(status.st_mode))
		fault = "not a regular file, so it cannot be read again";
	if (fd >= 0)
		close(fd);
	return fault;
}

int ca_check(const struct options *options, char *ret_why, size_t why_bytes)
{
	const char *fault = options->cacert ? ca_bundle_fault(options->cacert) : NULL;

	if (!fault)
		return 0;
	snprintf(ret_why, why_bytes,
	         "%s %s: %s: name a file of CA certificates (PEM), or leave it out",
	         ca_bundle_name(options), options->cacert, fault);
	return -EINVAL;
}

/* Appends `PATH from ORIGIN`, unless path is NULL or empty. */
static void ca_add(struct text *text, const char *path, const char *origin)
{
	if (!path || !*path)
		return;
	text_printf(text, "%s", text->length > 0 ? ", " : "");
	text_escaped(text, path);
	text_printf(text, " from %s", origin);
}

void ca_text(const struct options *options, const struct ca_system *system, struct text *text)
{
	static const char of_system[] = "the system";
	struct text list;

	text_init(&list, MAX_LIST_BYTES);
	if (options->ca_exclusive && source_is_https(options->source)) {
		ca_add(&list, options->cacert, ca_bundle_name(options));
	} else if (source_is_https(options->source)) {
		ca_add(&list, options->cacert ? options->cacert : system->bundle,
		       options->cacert ? ca_bundle_name(options) : of_system);
		ca_add(&list, options->ca_dirs ? options->ca_dirs : system->directory,
		       options->ca_dirs ? "$" DIRECTORIES_VARIABLE : of_system);
		if (list.length == 0)
			text_printf(&list, "%s", of_system);
	}
	text_printf(text, "ca: ");
	if (list.length > 0)
		text_bytes(text, list.bytes, list.length);
	else
		text_printf(text, "-");
	text_printf(text, "\n");
	text_done(&list);
}
