/* SPDX-License-Identifier: MIT */
#include "api/http/credential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/http/redact.h"
#include "api/http/token.h"
#include "api/http/token_file.h"
#include "api/model/environment.h"
#include "api/model/file_identity.h"

struct credential {
	char *path;    /* of the token's file; NULL: the token is from the environment */
	bool any_mode; /* the file is in $CREDENTIALS_DIRECTORY */
	char *source;  /* for messages: the path or "$VARIABLE" */
	char *team;    /* NULL: none */
	char *token;
	char *environment[TOKEN_VARIABLES + 1]; /* tokens of the environment, then NULL */
	enum token_kind kind;
	int64_t expiry;
	struct file_identity identity; /* of the file when it was last read, acceptable or not */
};

static int credential_no_memory(struct failure *ret_failure)
{
	return failure_set(ret_failure, FAILURE_MEMORY, "out of memory while reading the token");
}

/* Reports errno after the path of a token file could not be made absolute. Returns -errno. */
static int credential_no_path(struct failure *ret_failure)
{
	int error = errno;

	if (error == ENOMEM)
		return credential_no_memory(ret_failure);
	failure_set(ret_failure, FAILURE_CREDENTIAL,
	            "the path of the token file is relative, and the working directory is not "
	            "known: %s: give an absolute path",
	            strerror(error));
	return -error;
}

/* Checks that a token of this kind can read the API. Returns 0, or -EINVAL and a failure. */
static int credential_check_kind(const struct credential *credential, enum token_kind kind,
                                 struct failure *ret_failure)
{
	if (kind == TOKEN_AGENT) {
		failure_set(ret_failure, FAILURE_CREDENTIAL,
		            "the token of %s is an agent's own key (ak-), which cannot read the "
		            "API: use an sk- or dk- key",
		            credential->source);
		return -EINVAL;
	}
	if (kind == TOKEN_JWT && !credential->team) {
		failure_set(ret_failure, FAILURE_CREDENTIAL,
		            "the token of %s is a JWT, which needs a team: set team or "
		            "CYBERUN_TEAM_ID",
		            credential->source);
		return -EINVAL;
	}
	return 0;
}

/* Uses text, from the current source, as the token. Returns 0; or -errno and a failure, and then
 * the token is as it was. */
static int credential_accept(struct credential *credential, const char *text, size_t bytes,
                             bool *ret_changed, struct failure *ret_failure)
{
	enum token_kind kind;
	char *token;
	int result;

	if (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	result = token_check(text, bytes, credential->source, ret_failure);
	if (result < 0)
		return result;
	token = strndup(text, bytes);
	if (!token)
		return credential_no_memory(ret_failure);
	kind = token_kind_of(token);
	result = credential_check_kind(credential, kind, ret_failure);
	if (result < 0) {
		redact_wipe(token);
		return result;
	}
	*ret_changed = !credential->token || strcmp(credential->token, token) != 0;
	redact_wipe(credential->token);
	credential->token = token;
	credential->kind = kind;
	credential->expiry = kind == TOKEN_JWT ? token_jwt_expiry(token) : 0;
	return 0;
}

/* Reads the token's file. Returns 0, or -errno and a failure. */
static int credential_read_file(struct credential *credential, bool *ret_changed,
                                struct failure *ret_failure)
{
	const struct token_file file = {.path = credential->path, .any_mode = credential->any_mode};
	char text[TOKEN_FILE_MAX_BYTES + 1];
	size_t bytes;
	int result = token_file_read(&file, text, &bytes, &credential->identity, ret_failure);

	if (result < 0)
		return result;
	result = credential_accept(credential, text, bytes, ret_changed, ret_failure);
	explicit_bzero(text, bytes);
	return result;
}

/* Reads the token from a file. Takes ownership of path. If path is NULL, errno has the reason,
 * which becomes the failure. */
static int credential_use_file(struct credential *credential, char *path,
                               struct failure *ret_failure)
{
	bool changed;

	if (!path)
		return credential_no_path(ret_failure);
	free(credential->path);
	free(credential->source);
	credential->path = path;
	credential->source = strdup(path);
	if (!credential->source)
		return credential_no_memory(ret_failure);
	return credential_read_file(credential, &changed, ret_failure);
}

/* Reads the token from a variable. Returns -ENOENT, and does not set *ret_failure, if it is not
 * set. */
static int credential_use_variable(struct credential *credential, const char *name,
                                   struct failure *ret_failure)
{
	const char *value = environment_value(name);
	bool changed;

	if (!value)
		return -ENOENT;
	free(credential->path);
	free(credential->source);
	credential->path = NULL;
	if (asprintf(&credential->source, "$%s", name) < 0) {
		credential->source = NULL;
		return credential_no_memory(ret_failure);
	}
	return credential_accept(credential, value, strlen(value), &changed, ret_failure);
}

/* Copies the tokens of the environment, for redaction. Must be called before
 * credential_scrub_environment(). 0 or -ENOMEM. */
static int credential_copy_environment(struct credential *credential)
{
	size_t count = 0;

	for (size_t i = 0; i < TOKEN_VARIABLES; i++) {
		const char *value = environment_value(token_variables[i]);

		if (!value)
			continue;
		credential->environment[count] = strdup(value);
		if (!credential->environment[count++])
			return -ENOMEM;
	}
	return 0;
}

void credential_scrub_environment(void)
{
	for (size_t i = 0; i < TOKEN_VARIABLES; i++) {
		char *value = getenv(token_variables[i]);

		if (value)
			explicit_bzero(value, strlen(value));
	}
}

/* Whether a result means that a file does not exist. ENOTDIR does: the path leads through a file
 * that is no directory (HOME=/dev/null). */
static bool is_missing(int result)
{
	return result == -ENOENT || result == -ENOTDIR;
}

/* Returns the path of the token in $CREDENTIALS_DIRECTORY, to be freed; or NULL and errno. */
static char *credential_systemd_path(const char *directory)
{
	char *absolute = environment_absolute(directory), *path = NULL;

	if (absolute && asprintf(&path, "%s/fleetfs.token", absolute) < 0)
		path = NULL;
	free(absolute);
	return path;
}

/* Reads the token from the user's configuration directory. */
static int credential_use_config(struct credential *credential, struct failure *ret_failure)
{
	char *path = environment_config_path("fleetfs/token");
	int result;

	if (!path && errno != ENOENT)
		return credential_no_path(ret_failure);
	if (!path) {
		failure_set(ret_failure, FAILURE_CREDENTIAL,
		            "no token, and no home directory that could have one: name a file with "
		            "token_file, or set FLEETFS_TOKEN");
		return -ENOENT;
	}
	result = credential_use_file(credential, path, ret_failure);
	if (!is_missing(result))
		return result;
	failure_set(ret_failure, FAILURE_CREDENTIAL,
	            "no token: put one into %s (mode 0600), name a file with token_file, or set "
	            "FLEETFS_TOKEN",
	            credential->path);
	return -ENOENT;
}

/* Tries the sources of a token in their order. Only a source that does not exist leads to the next
 * one. */
static int credential_find_token(struct credential *credential, const char *token_file,
                                 struct failure *ret_failure)
{
	const char *directory = environment_value("CREDENTIALS_DIRECTORY");
	int result = -ENOENT;

	if (token_file)
		return credential_use_file(credential, environment_absolute(token_file),
		                           ret_failure);
	if (directory) {
		credential->any_mode = true;
		result = credential_use_file(credential, credential_systemd_path(directory),
		                             ret_failure);
		if (!is_missing(result))
			return result;
		credential->any_mode = false;
		result = -ENOENT;
	}
	for (size_t i = 0; i < TOKEN_VARIABLES && result == -ENOENT; i++)
		result = credential_use_variable(credential, token_variables[i], ret_failure);
	return result == -ENOENT ? credential_use_config(credential, ret_failure) : result;
}

static bool is_team(const char *team)
{
	return team[strspn(team, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                         "0123456789_-")] == '\0';
}

int credential_new(const char *token_file, const char *team, struct credential **ret,
                   struct failure *ret_failure)
{
	struct credential *credential;
	int result;

	if (team && !is_team(team)) {
		failure_set(ret_failure, FAILURE_CREDENTIAL,
		            "the team has a character other than letters, digits, _ and -: correct "
		            "team or CYBERUN_TEAM_ID");
		return -EINVAL;
	}
	credential = calloc(1, sizeof(*credential));
	if (!credential)
		return credential_no_memory(ret_failure);
	if (team && *team)
		credential->team = strdup(team);
	if ((team && *team && !credential->team) || credential_copy_environment(credential) < 0)
		result = credential_no_memory(ret_failure);
	else
		result = credential_find_token(credential, token_file, ret_failure);
	if (result < 0) {
		credential_free(credential);
		return result;
	}
	*ret = credential;
	return 0;
}

void credential_free(struct credential *credential)
{
	if (!credential)
		return;
	redact_wipe(credential->token);
	for (size_t i = 0; i < TOKEN_VARIABLES; i++)
		redact_wipe(credential->environment[i]);
	free(credential->path);
	free(credential->source);
	free(credential->team);
	free(credential);
}

bool credential_refresh(struct credential *credential, bool force, struct failure *ret_failure)
{
	struct file_identity identity = {0};
	bool changed = false;
	struct stat status;

	if (!credential->path)
		return false;
	/* A file that is not acceptable has an identity, too. So it is reported once, and not at
	 * every request. */
	if (stat(credential->path, &status) == 0)
		identity = file_identity_of(&status);
	if (!force && file_identity_equal(&identity, &credential->identity))
		return false;
	return credential_read_file(credential, &changed, ret_failure) == 0 && changed;
}

const char *credential_token(const struct credential *credential)
{
	return credential->token;
}

const char *credential_environment_token(const struct credential *credential, size_t index)
{
	return credential->environment[index];
}

const char *credential_team(const struct credential *credential)
{
	return token_takes_team(credential->kind) ? credential->team : NULL;
}

bool credential_lacks_team(const struct credential *credential)
{
	return token_takes_team(credential->kind) && !credential->team;
}

enum token_kind credential_kind(const struct credential *credential)
{
	return credential->kind;
}

const char *credential_kind_name(const struct credential *credential)
{
	return token_kind_name(credential->kind);
}

const char *credential_source(const struct credential *credential)
{
	return credential->source;
}

int64_t credential_expiry(const struct credential *credential)
{
	return credential->expiry;
}
