/* SPDX-License-Identifier: MIT */
#include "fs/program/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/environment.h"
#include "fs/program/ca.h"
#include "fs/program/settings.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

#define NAME_LENGTH 47 /* no longer one is known */
#define FUSE_BYTES  8192

#define FAILED     1
#define BAD_OPTION 2

#define MOUNT_OPTIONS "ro,nosuid,nodev,noexec" /* of every mount */

#define USAGE       "fleetfs [OPTIONS] [SOURCE] MOUNTPOINT"
#define USAGE_CHECK "fleetfs --check [OPTIONS] [SOURCE]"

struct parser {
	struct options *options;
	struct text fuse;
	char *const *argv;
	int argc;
	int at; /* the argument being read */
	const char *operands[2];
	int operand_count;
	int status; /* of the first failure */
	char *why;
};

/* Keeps the first failure. What the user wrote is shown, but drives no terminal: fstab is a file.
 */
__attribute__((format(printf, 3, 4))) static void fail(struct parser *parser, int status,
                                                       const char *format, ...)
{
	char message[OPTIONS_WHY_BYTES];
	struct text safe;
	va_list arguments;

	if (parser->status)
		return;
	parser->status = status;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	text_init(&safe, OPTIONS_WHY_BYTES - 1);
	text_escaped(&safe, message);
	if (text_error(&safe) == -ENOMEM)
		snprintf(parser->why, OPTIONS_WHY_BYTES, "out of memory");
	else
		snprintf(parser->why, OPTIONS_WHY_BYTES, "%.*s", (int)safe.length,
		         safe.length ? safe.bytes : "");
	text_done(&safe);
}

static void fail_memory(struct parser *parser)
{
	fail(parser, FAILED, "out of memory");
}

/* name: what the user knows it by. value NULL: none was given. */
static void set(struct parser *parser, const struct setting *setting, const char *name,
                const char *value)
{
	int err = settings_set(setting, value, parser->options);
	char allowed[SETTING_BYTES], given[100] = "its value is missing";

	if (err == 0)
		return;
	settings_allowed(setting, allowed);
	if (value)
		snprintf(given, sizeof(given), "'%.60s' is not allowed", value);
	if (err == -EINVAL)
		fail(parser, BAD_OPTION, "%s: %s: %s", name, given, allowed);
	else
		fail(parser, FAILED, "%s: %s", name, strerror(-err));
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many characters are to be inserted, deleted, replaced or swapped with the next to make one of
 * the other, neither of which is longer than NAME_LENGTH. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	size_t of[NAME_LENGTH + 1][NAME_LENGTH + 1]; /* the first i of a, the first j of b */

	for (size_t i = 0; i <= rows; i++) {
		for (size_t j = 0; j <= columns; j++) {
			size_t best = i + j;

			if (i > 0 && j > 0) {
				best = least(of[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
				             least(of[i - 1][j], of[i][j - 1]) + 1);
				if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
					best = least(best, of[i - 2][j - 2] + 1);
			}
			of[i][j] = best;
		}
	}
	return of[rows][columns];
}

/* Whether it can be given in this way: in a list after -o, or with dashes. */
static bool fits(const struct setting *setting, bool listed)
{
	return setting->kind != (listed ? SETTING_ACTION : SETTING_IGNORED);
}

/* Of the names that would do, the one that this was likely meant to be; or NULL. */
static const char *nearest_name(const char *name, bool listed)
{
	const char *nearest = NULL;
	size_t smallest = 3;

	for (const struct setting *row = setting_rows; row->name; row++) {
		size_t distance = edit_distance(name, row->name);

		/* When little of it would stay, it is no typing error. */
		if (distance < smallest && 2 * distance <= strlen(name) && fits(row, listed) &&
		    row->kind != SETTING_REFUSED) {
			smallest = distance;
			nearest = row->name;
		}
	}
	return nearest;
}

/* The name in a word, with `_` for `-`; "" for one that is too long to be known. */
static void name_of(const char *word, char ret_name[static NAME_LENGTH + 1])
{
	size_t length = strcspn(word, "=");

	if (length > NAME_LENGTH)
		length = 0;
	for (size_t i = 0; i < length; i++)
		ret_name[i] = (char)(word[i] == '-' ? '_' : word[i]);
	ret_name[length] = '\0';
}

/* The word is as the user wrote it, dashes included. A value may be secret. */
static void fail_unknown(struct parser *parser, const char *word, bool listed)
{
	size_t dashes = listed ? 0 : strspn(word, "-");
	int length = (int)strcspn(word, "=");
	char name[NAME_LENGTH + 1];
	const char *nearest;

	name_of(word + dashes, name);
	nearest = nearest_name(name, listed);
	if (nearest)
		fail(parser, BAD_OPTION, "unknown option '%.*s': did you mean '%s%s'?", length,
		     word, listed ? "" : "--", nearest);
	else
		fail(parser, BAD_OPTION, "unknown option '%.*s': fleetfs --help lists them",
		     length < 60 ? length : 60, word);
}

static const char *next_argument(struct parser *parser)
{
	return parser->at + 1 < parser->argc ? parser->argv[++parser->at] : NULL;
}

/* `--NAME[=VALUE]`; or listed: `NAME[=VALUE]`, where no VALUE follows as the next argument. */
static void take(struct parser *parser, const char *word, bool listed)
{
	const char *given = listed ? word : word + 2, *value = strchr(given, '=');
	const struct setting *setting;
	char name[NAME_LENGTH + 1];

	name_of(given, name);
	if (listed && strncasecmp(name, "x_", 2) == 0) /* for somebody else, whatever it is */
		return;
	setting = settings_find(name);
	if (!setting) {
		fail_unknown(parser, word, listed);
	} else if (!fits(setting, listed)) {
		fail(parser, BAD_OPTION, "%s: must be given as %s%s", name, listed ? "--" : "-o ",
		     name);
	} else if (setting->kind == SETTING_REFUSED) {
		fail(parser, BAD_OPTION, "%s: %s", name, setting->help);
	} else {
		if (value)
			value++;
		else if (!listed && settings_takes_value(setting))
			value = next_argument(parser);
		set(parser, setting, name, value);
		if (settings_is_passed(setting))
			text_mount_option(&parser->fuse, name, value);
	}
}

/* `NAME[=VALUE][,…]`; a backslash makes the next character (a comma) part of the value. */
static void take_list(struct parser *parser, const char *list)
{
	char *word = calloc(1, strlen(list) + 1), *end = word;

	if (!word) {
		fail_memory(parser);
		return;
	}
	for (bool last = false; !last; list++) {
		last = !*list;
		if (*list && *list != ',') {
			if (*list == '\\' && list[1])
				list++;
			*end++ = *list;
			continue;
		}
		*end = '\0';
		end = word;
		if (*word)
			take(parser, word, true);
	}
	free(word);
}

/* `-LETTERS`, the last of which may be `o` with its list. */
static void take_letters(struct parser *parser, const char *word)
{
	const char *letters = word + 1;

	for (; *letters && *letters != 'o'; letters++) {
		const struct setting *setting = setting_rows;

		while (setting->name && setting->letter != *letters)
			setting++;
		if (!setting->name) {
			fail_unknown(parser, word, false);
			return;
		}
		set(parser, setting, setting->name, NULL);
	}
	if (*letters == 'o') {
		const char *list = letters[1] ? letters + 1 : next_argument(parser);

		if (list)
			take_list(parser, list);
		else
			fail(parser, BAD_OPTION, "-o: its value is missing: NAME[=VALUE],...");
	}
}

static void take_arguments(struct parser *parser)
{
	bool only_operands = false;

	for (parser->at = 1; parser->at < parser->argc; parser->at++) {
		const char *argument = parser->argv[parser->at];

		if (only_operands || argument[0] != '-' || !argument[1]) {
			if (parser->operand_count < 2)
				parser->operands[parser->operand_count] = argument;
			parser->operand_count++;
		} else if (argument[1] != '-') {
			take_letters(parser, argument);
		} else if (argument[2]) {
			take(parser, argument, false);
		} else {
			only_operands = true;
		}
	}
}

static void take_file(struct parser *parser, const char *source)
{
	const char *fault;
	char text[SOURCE_TEXT_BYTES];

	parser->options->source = source_path(source, &fault);
	if (parser->options->source)
		return;
	source_describe(source, text);
	if (fault)
		fail(parser, BAD_OPTION, "source '%s' %s", text, fault);
	else
		fail(parser, FAILED, "source '%s': %s", text, strerror(errno));
}

static void take_url(struct parser *parser, const char *source)
{
	bool plain = false;
	const char *fault;
	char text[SOURCE_TEXT_BYTES];
	size_t length = strlen(source);

	while (length > 0 && source[length - 1] == '/')
		length--;
	char *url = strndup(source, length);

	if (!url) {
		fail_memory(parser);
		return;
	}
	parser->options->source = url;
	fault = source_fault(url, &plain);
	source_describe(url, text);
	if (fault)
		fail(parser, BAD_OPTION, "source '%s' %s", text, fault);
	else if (plain && !parser->options->allow_http)
		fail(parser, FAILED,
		     "source '%s': plain http would show the token to everyone on the way: "
		     "use https, or give --allow_http if that is all right",
		     text);
}

static void take_operands(struct parser *parser)
{
	struct options *options = parser->options;
	int count = parser->operand_count, most = options->check ? 1 : 2;
	const char *usage = options->check ? USAGE_CHECK : USAGE;
	const char *mountpoint = count > 0 && !options->check ? parser->operands[count > 1] : NULL;
	bool has_source = count == most;

	if (count > most)
		fail(parser, BAD_OPTION, "too many operands: %s", usage);
	else if (!options->check &&
	         (!mountpoint || !*mountpoint || (!has_source && strstr(mountpoint, "://"))))
		fail(parser, BAD_OPTION, "the mount point is missing: %s", usage);
	else if (mountpoint && environment_is_tilde(mountpoint))
		fail(parser, BAD_OPTION, "mount point '%.100s' " ENVIRONMENT_TILDE_FAULT,
		     mountpoint);
	if (parser->status)
		return;
	if (has_source && source_names_file(parser->operands[0]))
		take_file(parser, parser->operands[0]);
	else
		take_url(parser, has_source ? parser->operands[0] : OPTIONS_DEFAULT_SOURCE);
	if (!mountpoint)
		return;
	options->mountpoint = strdup(mountpoint);
	if (!options->mountpoint)
		fail_memory(parser);
}

/* What can be said only once all arguments are known. */
static void finish(struct parser *parser)
{
	struct options *options = parser->options;
	const char *team = environment_value("CYBERUN_TEAM_ID");
	int err;

	options->foreground = options->foreground || options->debug;
	if (!options->team && team)
		set(parser, settings_find("team"), "CYBERUN_TEAM_ID", team);
	take_operands(parser);
	err = parser->status ? 0 : ca_resolve(options);
	if (err < 0)
		fail(parser, FAILED, "SSL_CERT_FILE, SSL_CERT_DIR: %s", strerror(-err));
	text_bytes(&parser->fuse, "", 1);
	if (text_error(&parser->fuse) == -EFBIG)
		fail(parser, BAD_OPTION, "the mount options are too long");
	else if (text_error(&parser->fuse) || !(options->fuse = strdup(parser->fuse.bytes)))
		fail_memory(parser);
}

int options_parse(int argc, char *const argv[], struct options *ret_options,
                  char ret_why[static OPTIONS_WHY_BYTES])
{
	struct options options = {0};
	struct parser parser = {.options = &options, .argv = argv, .argc = argc, .why = ret_why};

	settings_init(&options);
	text_init(&parser.fuse, FUSE_BYTES);
	take_arguments(&parser);
	if (options.help || options.version)
		parser.status = 0;
	else
		finish(&parser);
	text_done(&parser.fuse);
	if (parser.status)
		options_done(&options);
	else
		*ret_options = options;
	return parser.status;
}

void options_done(struct options *options)
{
	settings_done(options);
	free(options->source);
	free(options->mountpoint);
	free(options->ca_dirs);
	free(options->fuse);
	*options = (struct options){0};
}

void options_help(struct text *text)
{
	static const char begin[] =
		"Usage: " USAGE "\n"
		"       " USAGE_CHECK "\n\n"
		"Mounts the agents of a GPU fleet as a read-only file tree. SOURCE is the base\n"
		"URL of the API, " OPTIONS_DEFAULT_SOURCE " when left out, or a\n"
		"file that holds an answer of the API, or many as one.\n\n"
		"--NAME=VALUE, --NAME VALUE and -o NAME=VALUE[,NAME=VALUE...] mean the same, and\n"
		"so do - and _ in a name. In brackets: the default.\n";
	static const char end[] =
		"\nThe token is the first found of token_file,\n"
		"$CREDENTIALS_DIRECTORY/fleetfs.token, $FLEETFS_TOKEN, $CYBERUN_KEY and\n"
		"fleetfs/token in $XDG_CONFIG_HOME or ~/.config. Options that fstab lines often\n"
		"have (rw, noauto, user, _netdev, x-...) are ignored with -o. The manual has the\n"
		"details: man fleetfs\n";

	text_printf(text, "%s", begin);
	settings_help(text);
	text_printf(text, "%s", end);
}

char *options_mount(const struct options *options)
{
	struct text text;
	char *joined = NULL;

	text_init(&text, 1 << 16);
	text_printf(&text, MOUNT_OPTIONS ",subtype=fleetfs");
	text_mount_option(&text, "fsname", options->source);
	if (*options->fuse)
		text_printf(&text, ",%s", options->fuse);
	if (text_error(&text) == 0)
		joined = strndup(text.bytes, text.length);
	text_done(&text);
	return joined;
}

void options_text(const struct options *options, const char *mountpoint, struct text *text)
{
	text_printf(text, "source: ");
	text_escaped(text, options->source);
	text_printf(text, "\nmountpoint: ");
	text_escaped(text, mountpoint ? mountpoint : "-");
	text_printf(text, "\nmount_options: %s%s", MOUNT_OPTIONS,
	            options->fuse && *options->fuse ? "," : "");
	text_escaped(text, options->fuse);
	text_printf(text, "\n");
	settings_text(options, text);
}
