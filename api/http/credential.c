/* SPDX-License-Identifier: MIT */
#include "api/http/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/http/redact.h"
#include "api/json/decode.h"
#include "api/model/environment.h"

#define MAX_TOKEN_BYTES   (64u << 10)
#define MAX_PAYLOAD_BYTES (8u << 10) /* of a JWT; no server takes a header as long as that */

enum kind { KIND_OTHER, KIND_JWT, KIND_INTEGRATION, KIND_DEVICE, KIND_AGENT, KINDS };

static const struct {
	const char *prefix;
	const char *name;
	bool team; /* X-Team-ID is sent with it */
} kinds[KINDS] = {
	[KIND_OTHER] = {"", "token", true},
	[KIND_JWT] = {"eyJ", "JWT", true},
	[KIND_INTEGRATION] = {"sk-", "integration key (sk-)", false},
	[KIND_DEVICE] = {"dk-", "device key (dk-)", false},
	[KIND_AGENT] = {"ak-", "agent key (ak-)", false},
};

/* Which file, in which state. All zeroes: none. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed; /* tells of a chmod, and of a write that set the mtime back */
};

static const char *const variables[] = {"FLEETFS_TOKEN", "CYBERUN_KEY"};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

struct credential {
	char *path;    /* NULL: from the environment */
	bool any_mode; /* the service manager protects the directory instead */
	char *source;  /* for people */
	char *team;    /* NULL: none */
	char *token;
	char *spares[VARIABLES + 1]; /* tokens of the environment, then NULL */
	enum kind kind;
	int64_t expiry;
	struct identity identity; /* of the file as last looked at, acceptable or not */
};

__attribute__((format(printf, 3, 4))) static int refuse(struct failure *ret_failure, int error,
                                                        const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_failure->message, sizeof(ret_failure->message), format, args);
	va_end(args);
	ret_failure->cause = error == -ENOMEM ? FAILURE_MEMORY : FAILURE_CREDENTIAL;
	return error;
}

static int no_memory(struct failure *ret_failure)
{
	return refuse(ret_failure, -ENOMEM, "out of memory while reading the token");
}

static enum kind kind_of(const char *token)
{
	for (int kind = KIND_JWT; kind < KINDS; kind++)
		if (strncmp(token, kinds[kind].prefix, strlen(kinds[kind].prefix)) == 0)
			return (enum kind)kind;
	return KIND_OTHER;
}

/* The value of a base64url digit (RFC 4648, section 5), or -1. */
static int digit64(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* `exp` of a JWT, header.payload.signature, or 0. */
static int64_t jwt_expiry(const char *token)
{
	const char *payload = strchr(token, '.');
	char json[MAX_PAYLOAD_BYTES];
	uint32_t bits = 0;
	int count = 0;
	size_t bytes = 0;
	int64_t expiry;

	if (!payload)
		return 0;
	for (payload++; *payload && *payload != '.' && *payload != '='; payload++) {
		int digit = digit64(*payload);

		if (digit < 0 || bytes == sizeof(json))
			return 0;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			json[bytes++] = (char)(bits >> count & 0xff);
		}
	}
	expiry = decode_expiry(json, bytes);
	explicit_bzero(json, bytes);
	return expiry;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* Whether text begins with `NAME=`, as an environment file does. */
static bool is_assignment(const char *text, size_t bytes, const char *name)
{
	size_t length = strlen(name);

	return bytes > length && strncmp(text, name, length) == 0 && text[length] == '=';
}

/*
 * Rejects a byte order mark, quotation marks and `NAME=` around a token. The API would reject such
 * a token with 401, which does not lead the user to the cause.
 */
static int check_wrapping(const char *text, size_t bytes, const char *source,
                          struct failure *ret_failure)
{
	if (bytes >= 2 && (memcmp(text, "\xef\xbb", 2) == 0 || memcmp(text, "\xff\xfe", 2) == 0 ||
	                   memcmp(text, "\xfe\xff", 2) == 0))
		return refuse(ret_failure, -EINVAL,
		              "%s begins with a byte order mark: save it as plain text (ASCII)",
		              source);
	if (bytes > 0 && (is_quote(text[0]) || is_quote(text[bytes - 1])))
		return refuse(ret_failure, -EINVAL,
		              "%s has quotation marks around the token: remove them", source);
	for (size_t i = 0; i < VARIABLES; i++) {
		if (is_assignment(text, bytes, variables[i]))
			return refuse(ret_failure, -EINVAL,
			              "%s begins with '%s=': remove that, keep only the token",
			              source, variables[i]);
	}
	return 0;
}

/* The token is copied verbatim into a header, where the end of a line would begin another. */
static int check_bytes(const char *text, size_t bytes, const char *source,
                       struct failure *ret_failure)
{
	if (bytes == 0)
		return refuse(ret_failure, -EINVAL, "%s is empty: put the token there", source);
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\r' && i + 1 == bytes)
			return refuse(ret_failure, -EINVAL,
			              "%s ends its line with CRLF, as Windows does: end it with a "
			              "newline alone",
			              source);
		if (byte == '\n')
			return refuse(ret_failure, -EINVAL,
			              "%s has more than one line: keep only the token", source);
		if (byte == ' ' || byte == '\t')
			return refuse(ret_failure, -EINVAL,
			              "%s has a space or tab at offset %zu: keep only the token",
			              source, i);
		if (byte < 0x21 || byte > 0x7e)
			return refuse(ret_failure, -EINVAL,
			              "%s holds byte 0x%02x at offset %zu, which no token has: "
			              "keep only the token",
			              source, byte, i);
	}
	return 0;
}

/* Takes text, from source, as the token. 0; or -errno, and the token is as it was. */
static int accept_token(struct credential *credential, const char *text, size_t bytes,
                        bool *ret_changed, struct failure *ret_failure)
{
	enum kind kind;
	char *token;
	int result;

	if (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	result = check_wrapping(text, bytes, credential->source, ret_failure);
	if (result == 0)
		result = check_bytes(text, bytes, credential->source, ret_failure);
	if (result < 0)
		return result;
	token = strndup(text, bytes);
	if (!token)
		return no_memory(ret_failure);
	kind = kind_of(token);
	if (kind == KIND_AGENT)
		result = refuse(ret_failure, -EINVAL,
		                "the token of %s is an agent's own key (ak-), which cannot read "
		                "the API: use an sk- or dk- key",
		                credential->source);
	else if (kind == KIND_JWT && !credential->team)
		result = refuse(
			ret_failure, -EINVAL,
			"the token of %s is a JWT, which needs a team: set team or CYBERUN_TEAM_ID",
			credential->source);
	if (result < 0) {
		redact_wipe(token);
		return result;
	}
	*ret_changed = !credential->token || strcmp(credential->token, token) != 0;
	redact_wipe(credential->token);
	credential->token = token;
	credential->kind = kind;
	credential->expiry = kind == KIND_JWT ? jwt_expiry(token) : 0;
	return 0;
}

static struct identity identity_of(const struct stat *file)
{
	return (struct identity){
		.device = file->st_dev,
		.inode = file->st_ino,
		.bytes = file->st_size,
		.modified = file->st_mtim,
		.changed = file->st_ctim,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/*
 * Whether the file system of an open file is mounted read-only. Containers get their secrets there,
 * often readable by all users of the container. The descriptor is asked, not the path, so the
 * answer is about the file that is read.
 */
static bool is_read_only(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

/* Accepts a file under the conditions that ssh sets for a key: no other user can read or replace
 * it. */
static int check_file(const struct credential *credential, int fd, const struct stat *file,
                      struct failure *ret_failure)
{
	const char *path = credential->path;

	if (!S_ISREG(file->st_mode))
		return refuse(ret_failure, S_ISDIR(file->st_mode) ? -EISDIR : -EINVAL,
		              "token file %s is %s: name the file that holds the token", path,
		              S_ISDIR(file->st_mode) ? "a directory" : "no regular file");
	if (file->st_uid != 0 && file->st_uid != geteuid())
		return refuse(
			ret_failure, -EACCES,
			"token file %s belongs to another user (uid %ju): chown it to uid %ju",
			path, (uintmax_t)file->st_uid, (uintmax_t)geteuid());
	if ((file->st_mode & 077) && !credential->any_mode &&
	    !(file->st_uid == 0 && is_read_only(fd)))
		return refuse(ret_failure, -EACCES,
		              "token file %s is open to others (mode %04o): chmod 600 %s", path,
		              (unsigned int)(file->st_mode & 07777), path);
	if (file->st_size > (off_t)MAX_TOKEN_BYTES)
		return refuse(ret_failure, -EFBIG,
		              "token file %s is larger than %u bytes: is it the right file?", path,
		              MAX_TOKEN_BYTES);
	return 0;
}

/* Up to `most` bytes, or -errno. */
static ssize_t read_whole(int fd, char *text, size_t most)
{
	size_t bytes = 0;

	while (bytes < most) {
		ssize_t got = read(fd, text + bytes, most - bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		bytes += (size_t)got;
	}
	return (ssize_t)bytes;
}

static int read_open_file(struct credential *credential, int fd, bool *ret_changed,
                          struct failure *ret_failure)
{
	char text[MAX_TOKEN_BYTES + 1];
	struct stat file;
	ssize_t bytes;
	int result;

	if (fstat(fd, &file) < 0)
		return refuse(ret_failure, -errno, "token file %s: %s", credential->path,
		              strerror(errno));
	credential->identity = identity_of(&file);
	result = check_file(credential, fd, &file, ret_failure);
	if (result < 0)
		return result;
	bytes = read_whole(fd, text, sizeof(text));
	if (bytes < 0)
		return refuse(ret_failure, (int)bytes, "token file %s: %s", credential->path,
		              strerror((int)-bytes));
	if (bytes > (ssize_t)MAX_TOKEN_BYTES)
		result = refuse(ret_failure, -EFBIG, "token file %s grows while it is read",
		                credential->path);
	else
		result = accept_token(credential, text, (size_t)bytes, ret_changed, ret_failure);
	explicit_bzero(text, (size_t)bytes);
	return result;
}

/*
 * Reads the token's file. What was opened is what is judged, so that nobody can exchange it between
 * the two; and opening never waits, whatever kind of file it is.
 */
static int read_file(struct credential *credential, bool *ret_changed, struct failure *ret_failure)
{
	int fd = open(credential->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0) {
		result = -errno;
		credential->identity = (struct identity){0};
		return refuse(ret_failure, result, "token file %s: %s", credential->path,
		              strerror(-result));
	}
	result = read_open_file(credential, fd, ret_changed, ret_failure);
	close(fd);
	return result;
}

/* Reads the token from a file; takes path, which is NULL when memory is out. */
static int use_file(struct credential *credential, char *path, struct failure *ret_failure)
{
	bool changed;

	if (!path)
		return no_memory(ret_failure);
	free(credential->path);
	free(credential->source);
	credential->path = path;
	credential->source = strdup(path);
	if (!credential->source)
		return no_memory(ret_failure);
	return read_file(credential, &changed, ret_failure);
}

/* Returns -ENOENT, and leaves *ret_failure alone, if the variable is not set. */
static int use_variable(struct credential *credential, const char *name,
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
		return no_memory(ret_failure);
	}
	return accept_token(credential, value, strlen(value), &changed, ret_failure);
}

/* Copies the tokens of the environment, for redaction. Must be called before
 * credential_scrub_environment(). 0 or -ENOMEM. */
static int keep_spares(struct credential *credential)
{
	size_t count = 0;

	for (size_t i = 0; i < VARIABLES; i++) {
		const char *value = environment_value(variables[i]);

		if (!value)
			continue;
		credential->spares[count] = strdup(value);
		if (!credential->spares[count++])
			return -ENOMEM;
	}
	return 0;
}

void credential_scrub_environment(void)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		char *value = getenv(variables[i]);

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

/* The path of $CREDENTIALS_DIRECTORY/fleetfs.token, to be freed; or NULL. */
static char *credentials_path(const char *directory)
{
	char *absolute = environment_absolute(directory), *path = NULL;

	if (absolute && asprintf(&path, "%s/fleetfs.token", absolute) < 0)
		path = NULL;
	free(absolute);
	return path;
}

static int use_config(struct credential *credential, struct failure *ret_failure)
{
	char *path = environment_config_path("fleetfs/token");
	int result;

	if (!path && errno != ENOENT)
		return no_memory(ret_failure);
	if (!path)
		return refuse(ret_failure, -ENOENT,
		              "no token, and no home directory to look for one: name a file with "
		              "token_file, or set FLEETFS_TOKEN");
	result = use_file(credential, path, ret_failure);
	if (is_missing(result))
		return refuse(ret_failure, -ENOENT,
		              "no token: put one into %s (mode 0600), name a file with "
		              "token_file, or set FLEETFS_TOKEN",
		              credential->path);
	return result;
}

/* Tries the sources of a token in their order. Only a source that does not exist leads to the next
 * one. */
static int find_token(struct credential *credential, const char *token_file,
                      struct failure *ret_failure)
{
	const char *directory = environment_value("CREDENTIALS_DIRECTORY");
	int result = -ENOENT;

	if (token_file)
		return use_file(credential, environment_absolute(token_file), ret_failure);
	if (directory) {
		credential->any_mode = true;
		result = use_file(credential, credentials_path(directory), ret_failure);
		if (!is_missing(result))
			return result;
		credential->any_mode = false;
		result = -ENOENT;
	}
	for (size_t i = 0; i < VARIABLES && result == -ENOENT; i++)
		result = use_variable(credential, variables[i], ret_failure);
	return result == -ENOENT ? use_config(credential, ret_failure) : result;
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

	if (team && !is_team(team))
		return refuse(ret_failure, -EINVAL,
		              "the team holds a character other than letters, digits, _ and -: set "
		              "team or CYBERUN_TEAM_ID anew");
	credential = calloc(1, sizeof(*credential));
	if (!credential)
		return no_memory(ret_failure);
	if (team && *team) {
		credential->team = strdup(team);
		if (!credential->team) {
			credential_free(credential);
			return no_memory(ret_failure);
		}
	}
	if (keep_spares(credential) < 0) {
		credential_free(credential);
		return no_memory(ret_failure);
	}
	result = find_token(credential, token_file, ret_failure);
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
	for (size_t i = 0; i < VARIABLES; i++)
		redact_wipe(credential->spares[i]);
	free(credential->path);
	free(credential->source);
	free(credential->team);
	free(credential);
}

bool credential_refresh(struct credential *credential, bool force, struct failure *ret_failure)
{
	bool changed = false;
	struct stat file;
	struct identity now = {0};

	if (!credential->path)
		return false;
	/* Of a file that is not acceptable the identity is kept as well, so that it is told once,
	 * and not at every request. */
	if (stat(credential->path, &file) == 0)
		now = identity_of(&file);
	if (!force && same_identity(&now, &credential->identity))
		return false;
	return read_file(credential, &changed, ret_failure) == 0 && changed;
}

const char *credential_token(const struct credential *credential)
{
	return credential->token;
}

const char *credential_spare(const struct credential *credential, size_t index)
{
	return credential->spares[index];
}

const char *credential_team(const struct credential *credential)
{
	return kinds[credential->kind].team ? credential->team : NULL;
}

bool credential_lacks_team(const struct credential *credential)
{
	return kinds[credential->kind].team && !credential->team;
}

const char *credential_kind(const struct credential *credential)
{
	return kinds[credential->kind].name;
}

const char *credential_source(const struct credential *credential)
{
	return credential->source;
}

int64_t credential_expiry(const struct credential *credential)
{
	return credential->expiry;
}
