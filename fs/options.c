/* SPDX-License-Identifier: MIT */
#include "fs/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fs/source.h"
#include "fs/text.h"

#define WORD_BYTES 48 /* for a name; no longer one is known */
#define FUSE_BYTES 8192

#define FAILED     1
#define BAD_OPTION 2

#define USAGE       "fleetfs [OPTIONS] [SOURCE] MOUNTPOINT"
#define USAGE_CHECK "fleetfs --check [OPTIONS] [SOURCE]"

enum kind {
	DURATION, /* int64_t, ms; so are min, max and initial */
	COUNT,    /* unsigned int */
	FILENAME, /* char *, made absolute */
	WORD,     /* char *, of letters, digits, `_` and `-` */
	FLAG,     /* bool */
	ACTION,   /* bool; no setting, but what to do instead of mounting */
};

static const struct {
	const char *argument; /* what --help calls a value */
	const char *allowed;  /* what values are */
	int unit;             /* of a number: 1 of what the user writes is so many; 0: no number */
} kinds[] = {
	[DURATION] = {"=SECONDS", "seconds", 1000},
	[COUNT] = {"=NUMBER", "a number", 1},
	[FILENAME] = {"=FILE", "a file", 0},
	[WORD] = {"=ID", "letters, digits, '_', '-'", 0},
	[FLAG] = {"", "yes or no", 0},
	[ACTION] = {"", "yes or no", 0},
};

enum group { FRESHNESS, NETWORK, CREDENTIALS, RUNNING, OTHER };

static const char *const group_name[] = {"Freshness", "Network", "Credentials", "Running", "Other"};

struct setting {
	const char *name;
	char letter; /* 0: none */
	enum kind kind;
	enum group group;
	size_t offset; /* in struct options */
	int64_t initial, min, max;
	const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct setting settings[] = {
	{"ttl", 0, DURATION, FRESHNESS, AT(ttl_ms), 10000, 100, 86400000,
         "serve what was fetched before asking again"},
	{"stale", 0, DURATION, FRESHNESS, AT(stale_ms), 300000, 0, 2592000000,
         "and past that, while the API fails"},
	{"timeout", 0, DURATION, NETWORK, AT(timeout_ms), 10000, 100, 3600000,
         "limit for any one file operation"},
	{"connect_timeout", 0, DURATION, NETWORK, AT(connect_timeout_ms), 3000, 100, 600000,
         "limit for DNS, TCP and TLS"},
	{"retries", 0, COUNT, NETWORK, AT(retries), 2, 0, 10, "further tries of a failed page"},
	{"per_page", 0, COUNT, NETWORK, AT(per_page), 100, 1, 100, "agents asked for at a time"},
	{"max_connections", 0, COUNT, NETWORK, AT(max_connections), 6, 1, 64,
         "connections to the API at once"},
	{"cacert", 0, FILENAME, NETWORK, AT(cacert), 0, 0, 0,
         "trust these CAs instead of the system's"},
	{"allow_http", 0, FLAG, NETWORK, AT(allow_http), 0, 0, 0,
         "permit plain http:// beyond this machine"},
	{"token_file", 0, FILENAME, CREDENTIALS, AT(token_file), 0, 0, 0, "holds the bearer token"},
	{"team", 0, WORD, CREDENTIALS, AT(team), 0, 0, 0,
         "X-Team-ID, sent with a JWT [$CYBERUN_TEAM_ID]"},
	{"delay_connect", 0, FLAG, RUNNING, AT(delay_connect), 0, 0, 0,
         "mount even if the API cannot be reached yet"},
	{"log_file", 0, FILENAME, RUNNING, AT(log_file), 0, 0, 0, "append the log there"},
	{"foreground", 'f', FLAG, RUNNING, AT(foreground), 0, 0, 0, "stay, and log to stderr"},
	{"debug", 'd', FLAG, RUNNING, AT(debug), 0, 0, 0, "the same, with debug messages"},
	{"check", 0, ACTION, OTHER, AT(check), 0, 0, 0, "read the whole list once, mount nothing"},
	{"help", 'h', ACTION, OTHER, AT(help), 0, 0, 0, "show this"},
	{"version", 'V', ACTION, OTHER, AT(version), 0, 0, 0, "of fleetfs and its libraries"},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* What libfuse, fusermount3 and the kernel want to know. */
static const char *const fuse_flags[] = {"allow_other", "allow_root", "auto_unmount",
                                         "default_permissions", NULL};
static const char *const fuse_values[] = {"fsname",    "subtype",    "max_read",    "context",
                                          "fscontext", "defcontext", "rootcontext", NULL};

/* What fstab and mount(8) say by habit, and what changes nothing for a mount that is always
 * ro,nosuid,nodev,noexec. Only with -o. */
static const char *const ignored[] = {
	"rw",      "ro",          "dev",           "nodev",    "suid",       "nosuid",   "exec",
	"noexec",  "auto",        "noauto",        "user",     "nouser",     "users",    "nousers",
	"owner",   "noowner",     "group",         "nogroup",  "_netdev",    "nofail",   "atime",
	"noatime", "relatime",    "norelatime",    "diratime", "nodiratime", "sync",     "async",
	"dirsync", "strictatime", "nostrictatime", "lazytime", "nolazytime", "defaults", NULL};

/* Every user of the machine can read a command line. */
static const char *const secrets[] = {"token", "key", "api_key", "password", NULL};

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

static bool is_word(const char *value)
{
	size_t length = 0;

	while (isalnum((unsigned char)value[length]) || value[length] == '_' ||
	       value[length] == '-')
		length++;
	return length > 0 && !value[length];
}

static bool is_listed(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list;
}

/* Digits only, unlike strtoll(): no sign, no space. */
static bool parse_count(const char *value, int64_t *ret_count)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || digits > 12 || value[digits])
		return false;
	*ret_count = strtoll(value, NULL, 10);
	return true;
}

/* Decimal seconds, unlike strtod(): no sign, exponent, hex, infinity or locale. Rounded to the
 * nearest ms, but never down to 0, which may mean something else. */
static bool parse_duration(const char *value, int64_t *ret_ms)
{
	int64_t us = 0, unit = 1000000;
	bool digits = false, point = false, more_than_zero = false;

	for (; *value; value++) {
		int digit = *value - '0';

		if (*value == '.' && !point && value[1]) {
			point = true;
			continue;
		}
		if (digit < 0 || digit > 9 || us > INT64_MAX / 100)
			return false;
		if (point)
			unit /= 10;
		us = (point ? us : 10 * us) + digit * unit;
		digits = true;
		more_than_zero = more_than_zero || digit > 0;
	}
	if (!digits)
		return false;
	*ret_ms = more_than_zero && us < 1000 ? 1 : (us + 500) / 1000;
	return true;
}

static bool parse_flag(const char *value, bool *ret_flag)
{
	static const char *const yes[] = {"yes", "on", "true", "1", NULL};
	static const char *const no[] = {"no", "off", "false", "0", NULL};

	if (!is_listed(yes, value) && !is_listed(no, value))
		return false;
	*ret_flag = is_listed(yes, value);
	return true;
}

/* value NULL: none was given. */
static void refuse(struct parser *parser, const struct setting *setting, const char *value)
{
	int unit = kinds[setting->kind].unit;
	char given[100] = "its value is missing", range[64] = "";

	if (value)
		snprintf(given, sizeof(given), "'%.60s' is not allowed", value);
	if (unit)
		snprintf(range, sizeof(range), " from %.10g to %.10g", (double)setting->min / unit,
		         (double)setting->max / unit);
	fail(parser, BAD_OPTION, "%s: %s: %s%s", setting->name, given, kinds[setting->kind].allowed,
	     range);
}

static void set_string(struct parser *parser, char **field, const char *value, bool filename)
{
	char *directory = NULL, *copy = NULL;

	if (!filename || value[0] == '/')
		copy = strdup(value);
	else if ((directory = getcwd(NULL, 0)) && asprintf(&copy, "%s/%s", directory, value) < 0)
		copy = NULL;
	free(directory);
	if (copy) {
		free(*field);
		*field = copy;
	} else {
		fail(parser, FAILED, "'%.60s': %m", value);
	}
}

/* value NULL: none was given, which for a flag is yes. */
static void set(struct parser *parser, const struct setting *setting, const char *value)
{
	void *field = (char *)parser->options + setting->offset;
	int64_t number = 0;
	bool allowed = false;

	switch (setting->kind) {
	case DURATION:
	case COUNT:
		allowed = value &&
		          (setting->kind == COUNT ? parse_count : parse_duration)(value, &number) &&
		          number >= setting->min && number <= setting->max;
		if (allowed && setting->kind == COUNT)
			*(unsigned int *)field = (unsigned int)number;
		else if (allowed)
			*(int64_t *)field = number;
		break;
	case FILENAME:
	case WORD:
		allowed = value && *value && (setting->kind == FILENAME || is_word(value));
		if (allowed)
			set_string(parser, field, value, setting->kind == FILENAME);
		break;
	case FLAG:
	case ACTION:
		allowed = parse_flag(value ? value : "yes", field);
		break;
	}
	if (!allowed)
		refuse(parser, setting, value);
}

/* How many characters are to be inserted, deleted or replaced to make one of the other. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[WORD_BYTES], columns = strlen(b);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= columns; j++) {
			size_t best = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[columns];
}

/* Of all names known, the one that this was likely meant to be; or NULL. */
static const char *nearest_name(const char *name)
{
	const char *const *const lists[] = {fuse_flags, fuse_values, ignored};
	const char *known[SETTINGS + 64], *nearest = NULL;
	size_t count = 0, least = 3;

	for (size_t i = 0; i < SETTINGS; i++)
		known[count++] = settings[i].name;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (size_t j = 0; lists[i][j]; j++)
			known[count++] = lists[i][j];
	}
	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(name, known[i]);

		/* When little of it would stay, it is no typing error. */
		if (distance < least && 2 * distance <= strlen(name)) {
			least = distance;
			nearest = known[i];
		}
	}
	return nearest;
}

/* `name` is the word's, with `_` for `-`. */
static void fail_unknown(struct parser *parser, const char *word, const char *name, bool listed)
{
	const char *nearest = nearest_name(name);
	int length = (int)strcspn(word, "="); /* a value may be secret */

	if (nearest && strcmp(nearest, name) == 0)
		fail(parser, BAD_OPTION, "%s: must be given as %s%s", name, listed ? "--" : "-o ",
		     name);
	else if (nearest)
		fail(parser, BAD_OPTION, "unknown option '%.*s': did you mean '%s'?", length, word,
		     nearest);
	else
		fail(parser, BAD_OPTION, "unknown option '%.*s': fleetfs --help lists them",
		     length < 60 ? length : 60, word);
}

static const char *next_argument(struct parser *parser)
{
	return parser->at + 1 < parser->argc ? parser->argv[++parser->at] : NULL;
}

/* For libfuse, which takes a backslash and a comma as we do. */
static void pass_on(struct parser *parser, const char *name, const char *value)
{
	text_printf(&parser->fuse, "%s%s%s", parser->fuse.length ? "," : "", name,
	            value ? "=" : "");
	for (; value && *value; value++) {
		if (*value == ',' || *value == '\\')
			text_bytes(&parser->fuse, "\\", 1);
		text_bytes(&parser->fuse, value, 1);
	}
}

/* `NAME` or `NAME=VALUE`, without dashes; listed: in the list after -o, where no VALUE follows as
 * the next argument. */
static void take(struct parser *parser, const char *word, bool listed)
{
	const struct setting *setting = settings;
	size_t length = strcspn(word, "=");
	const char *value = word[length] ? word + length + 1 : NULL;
	char name[WORD_BYTES] = "";

	for (size_t i = 0; i < length && i < sizeof(name) - 1; i++) {
		name[i] = word[i];
		if (name[i] == '-')
			name[i] = '_';
	}
	while (setting < settings + SETTINGS &&
	       (strcmp(setting->name, name) != 0 || (listed && setting->kind == ACTION)))
		setting++;
	bool known = setting < settings + SETTINGS;
	bool has_value = known ? *kinds[setting->kind].argument : is_listed(fuse_values, name);

	if (has_value && !value && !listed)
		value = next_argument(parser);
	if (known)
		set(parser, setting, value);
	else if (is_listed(secrets, name))
		fail(parser, BAD_OPTION,
		     "%s: a token is never an argument: use token_file or FLEETFS_TOKEN", name);
	else if (has_value && (!value || !*value))
		fail(parser, BAD_OPTION, "%s: its value is missing", name);
	else if (is_listed(fuse_flags, name) && value)
		fail(parser, BAD_OPTION, "%s: takes no value", name);
	else if (has_value || is_listed(fuse_flags, name))
		pass_on(parser, name, value);
	else if (!listed || !(is_listed(ignored, name) || strncasecmp(name, "x_", 2) == 0 ||
	                      strcmp(name, "comment") == 0))
		fail_unknown(parser, word, name, listed);
}

/* `NAME[=VALUE][,…]`; a backslash makes the next character (a comma) part of the value. */
static void take_list(struct parser *parser, const char *list)
{
	char *word = calloc(1, strlen(list) + 1), *end = word;

	if (!word) {
		fail(parser, FAILED, "out of memory");
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

static void take_letters(struct parser *parser, const char *letters)
{
	for (; *letters && *letters != 'o'; letters++) {
		const struct setting *setting = settings;

		while (setting < settings + SETTINGS && setting->letter != *letters)
			setting++;
		if (setting == settings + SETTINGS) {
			fail(parser, BAD_OPTION, "unknown option '-%c': fleetfs --help lists them",
			     *letters);
			return;
		}
		set(parser, setting, NULL);
	}
	if (*letters == 'o') {
		const char *list = letters[1] ? letters + 1 : next_argument(parser);

		if (list)
			take_list(parser, list);
		else
			fail(parser, BAD_OPTION, "-o: its value is missing");
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
			take_letters(parser, argument + 1);
		} else if (argument[2]) {
			take(parser, argument + 2, false);
		} else {
			only_operands = true;
		}
	}
}

static void take_source(struct parser *parser, const char *source)
{
	bool plain = false;
	const char *fault;
	size_t length = strlen(source);

	while (length > 0 && source[length - 1] == '/')
		length--;
	char *url = strndup(source, length);

	if (!url) {
		fail(parser, FAILED, "out of memory");
		return;
	}
	parser->options->source = url;
	fault = source_fault(url, &plain);
	if (fault)
		/* What may hold a password is not repeated. */
		fail(parser, BAD_OPTION, "source '%.100s' %s", strchr(url, '@') ? "…" : url, fault);
	else if (plain && !parser->options->allow_http)
		fail(parser, FAILED,
		     "source '%.100s': plain http would show the token to everyone on the way: "
		     "use https, or give --allow_http if that is all right",
		     url);
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
	if (parser->status)
		return;
	take_source(parser, has_source ? parser->operands[0] : OPTIONS_DEFAULT_SOURCE);
	if (mountpoint)
		set_string(parser, &options->mountpoint, mountpoint, false);
}

/* What can be said only once all arguments are known. */
static void finish(struct parser *parser)
{
	struct options *options = parser->options;
	const char *team = getenv("CYBERUN_TEAM_ID");

	options->foreground = options->foreground || options->debug;
	if (!options->team && team && *team) {
		if (is_word(team))
			set_string(parser, &options->team, team, false);
		else
			fail(parser, BAD_OPTION, "CYBERUN_TEAM_ID: '%.60s' is not allowed: %s",
			     team, kinds[WORD].allowed);
	}
	take_operands(parser);
	text_bytes(&parser->fuse, "", 1);
	if (text_error(&parser->fuse) == -EFBIG)
		fail(parser, BAD_OPTION, "the mount options are too long");
	else if (text_error(&parser->fuse))
		fail(parser, FAILED, "out of memory");
	else
		set_string(parser, &options->fuse, parser->fuse.bytes, false);
}

int options_parse(int argc, char *const argv[], struct options *ret_options,
                  char ret_why[static OPTIONS_WHY_BYTES])
{
	struct options options = {0};
	struct parser parser = {.options = &options, .argv = argv, .argc = argc, .why = ret_why};

	for (size_t i = 0; i < SETTINGS; i++) {
		void *field = (char *)&options + settings[i].offset;

		if (settings[i].kind == DURATION)
			*(int64_t *)field = settings[i].initial;
		else if (settings[i].kind == COUNT)
			*(unsigned int *)field = (unsigned int)settings[i].initial;
	}
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
	for (size_t i = 0; i < SETTINGS; i++) {
		if (settings[i].kind == FILENAME || settings[i].kind == WORD)
			free(*(char **)((char *)options + settings[i].offset));
	}
	free(options->source);
	free(options->mountpoint);
	free(options->fuse);
	*options = (struct options){0};
}

static const char help_begin[] =
	"Usage: " USAGE "\n"
	"       " USAGE_CHECK "\n\n"
	"Mounts the agents of a GPU fleet as a read-only file tree. SOURCE is the base\n"
	"URL of the API, " OPTIONS_DEFAULT_SOURCE " when left out.\n\n"
	"--NAME=VALUE, --NAME VALUE and -o NAME=VALUE[,NAME=VALUE...] mean the same, and\n"
	"so do - and _ in a name. In brackets: the default.\n";

static const char help_end[] =
	"\nThe token is the first found of token_file,\n"
	"$CREDENTIALS_DIRECTORY/fleetfs.token, $FLEETFS_TOKEN, $CYBERUN_KEY and\n"
	"~/.config/fleetfs/token.\n"
	"Mount options of FUSE (-o allow_other,fsname=NAME,...) are passed on.\n";

static void help_setting(struct text *text, const struct setting *setting)
{
	char names[64], letter[8] = "";

	if (setting->letter)
		snprintf(letter, sizeof(letter), "-%c, ", setting->letter);
	snprintf(names, sizeof(names), "%s--%s%s", letter, setting->name,
	         kinds[setting->kind].argument);
	text_printf(text, "  %-27s %s", names, setting->help);
	if (kinds[setting->kind].unit)
		text_printf(text, " [%.10g]", (double)setting->initial / kinds[setting->kind].unit);
	text_printf(text, "\n");
}

void options_help(struct text *text)
{
	text_printf(text, "%s", help_begin);
	for (enum group group = FRESHNESS; group <= OTHER; group++) {
		text_printf(text, "\n%s:\n", group_name[group]);
		for (size_t i = 0; i < SETTINGS; i++) {
			if (settings[i].group == group)
				help_setting(text, &settings[i]);
		}
	}
	text_printf(text, "%s", help_end);
}

void options_text(const struct options *options, struct text *text)
{
	text_printf(text, "source: ");
	text_escaped(text, options->source);
	text_printf(text, "\nmountpoint: ");
	text_escaped(text, options->mountpoint ? options->mountpoint : "-");
	text_printf(text, "\n");
	for (const struct setting *setting = settings; setting < settings + SETTINGS; setting++) {
		const void *field = (const char *)options + setting->offset;
		int unit = kinds[setting->kind].unit;

		if (setting->kind == ACTION)
			continue;
		text_printf(text, "%s: ", setting->name);
		if (setting->kind == DURATION)
			text_printf(text, "%.10g", (double)*(const int64_t *)field / unit);
		else if (setting->kind == COUNT)
			text_printf(text, "%u", *(const unsigned int *)field);
		else if (setting->kind == FLAG)
			text_printf(text, "%s", *(const bool *)field ? "yes" : "no");
		else
			text_escaped(text, *(char *const *)field ? *(char *const *)field : "-");
		text_printf(text, "\n");
	}
}
