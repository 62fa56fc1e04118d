/* SPDX-License-Identifier: MIT */
#include "fs/program/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/token.h"
#include "api/model/environment.h"
#include "fs/program/ca.h"
#include "fs/program/mount_options.h"
#include "fs/program/nearest.h"
#include "fs/program/settings.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

/*
 * getopt_long(3) splits the arguments into options, values and operands. Three rules differ from
 * its own:
 * - `-` and `_` are equal in a name: each name is given to getopt_long() in both spellings;
 * - a name is never abbreviated, since a new setting could make an abbreviation ambiguous: the name
 *   is looked up again in the table;
 * - the value of -o is a list with escaped commas, which getsubopt(3) does not know: see
 *   options_parse_list().
 */

#define LONG_OPTION 256 /* getopt_long(3) returns this plus the index of a row of the table */
#define MAX_LETTERS 16

#define MAX_FUSE_BYTES 8192

#define STATUS_FAILED     1
#define STATUS_BAD_OPTION 2

#define USAGE       "fleetfs [OPTIONS] [SOURCE] MOUNTPOINT"
#define USAGE_CHECK "fleetfs --check [OPTIONS] [SOURCE]"

struct parser {
	struct options *options;
	struct text fuse; /* mount options for libfuse */
	const char *operands[2];
	int operand_count;    /* of all operands, which may be more than are stored */
	const char *rejected; /* the last argument with an unknown option */
	int status;           /* exit status of the first error; 0: none */
	char *why;            /* message of the first error */
};

/* What getopt_long(3) needs. */
struct option_table {
	char letters[MAX_LETTERS];
	struct option long_options[2 * SETTINGS_MAX + 1];
	char dashed_names[SETTINGS_MAX][SETTING_NAME_BYTES];
};

/* Stores the first error. The message quotes the command line, so it is escaped. */
__attribute__((format(printf, 3, 4))) static void options_fail(struct parser *parser, int status,
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
	token_hide(message);
	text_init(&safe, OPTIONS_WHY_BYTES - 1);
	text_escaped(&safe, message);
	if (text_error(&safe) == -ENOMEM)
		snprintf(parser->why, OPTIONS_WHY_BYTES, "out of memory");
	else
		snprintf(parser->why, OPTIONS_WHY_BYTES, "%.*s", (int)safe.length,
		         safe.length ? safe.bytes : "");
	text_done(&safe);
}

static void options_fail_memory(struct parser *parser)
{
	options_fail(parser, STATUS_FAILED, "out of memory");
}

/* argument: as given, with its dashes. letter: the unknown one of `-abc`; 0: the name is unknown.
 * What follows the letter or the name is not repeated, since it may be secret. */
static void options_fail_unknown(struct parser *parser, const char *argument, int letter,
                                 bool dash_o)
{
	int length = (int)strcspn(argument, "=");
	const char *nearest = nearest_name(argument + (dash_o ? 0 : strspn(argument, "-")), dash_o);
	const char *found = letter ? strchr(argument + 1, letter) : NULL;

	if (nearest) {
		options_fail(parser, STATUS_BAD_OPTION,
		             "unknown option '%.*s': did you mean '%s%s'?", length, argument,
		             dash_o ? "" : "--", nearest);
		return;
	}
	if (found)
		length = (int)(found + 1 - argument);
	options_fail(parser, STATUS_BAD_OPTION,
	             "unknown option '%.*s': fleetfs --help lists the options",
	             length < 60 ? length : 60, argument);
}

/* Sets a member of options. name: the setting's name for the user. value NULL: none was given. */
static void options_set(struct parser *parser, const struct setting *setting, const char *name,
                        const char *value)
{
	int err = settings_set(setting, value, parser->options);
	char allowed[SETTING_ALLOWED_BYTES], given[100] = "its value is missing";

	if (err == 0)
		return;
	settings_allowed(setting, allowed);
	if (value)
		snprintf(given, sizeof(given), "'%.60s' is not allowed", value);
	if (err == -EINVAL)
		options_fail(parser, STATUS_BAD_OPTION, "%s: %s: %s", name, given, allowed);
	else
		options_fail(parser, STATUS_FAILED, "%s: %s", name, strerror(-err));
}

/* Applies a setting. dash_o: it was given with -o; else with `--`. */
static void options_apply(struct parser *parser, const struct setting *setting, const char *value,
                          bool dash_o)
{
	const char *name = setting->name;

	if (!settings_is_accepted(setting, dash_o)) {
		options_fail(parser, STATUS_BAD_OPTION, "%s: must be given as %s%s", name,
		             dash_o ? "--" : "-o ", name);
	} else if (setting->kind == SETTING_REJECTED) {
		options_fail(parser, STATUS_BAD_OPTION, "%s: %s", name, setting->help);
	} else {
		options_set(parser, setting, name, value);
		if (settings_is_passed(setting))
			mount_options_add(&parser->fuse, name, value);
	}
}

/* Applies an element of the list after -o: `NAME[=VALUE]`. */
static void options_apply_element(struct parser *parser, const char *element)
{
	const struct setting *setting = settings_find(element);
	const char *value = strchr(element, '=');

	if (strncasecmp(element, "x-", 2) == 0 || strncasecmp(element, "x_", 2) == 0)
		return; /* fstab options for other programs: x-systemd.automount, X-mount.mkdir */
	if (setting)
		options_apply(parser, setting, value ? value + 1 : NULL, true);
	else
		options_fail_unknown(parser, element, 0, true);
}

/* Parses the value of -o: `NAME[=VALUE][,…]`. A backslash makes the next character part of the
 * value, even a comma or a quote. A value in double quotes may contain commas, as in mount(8). */
static void options_parse_list(struct parser *parser, const char *list)
{
	char *element = calloc(1, strlen(list) + 1), *end = element;
	bool quoted = false;

	if (!element) {
		options_fail_memory(parser);
		return;
	}
	for (bool last = false; !last; list++) {
		last = !*list;
		if (*list == '"' && (quoted || (end > element && end[-1] == '=' &&
		                                memchr(element, '=', end - element) == end - 1))) {
			quoted = !quoted;
			if (quoted || !list[1] || list[1] == ',')
				continue;
			quoted = last = true; /* the closing quote is not at the end */
		}
		if (quoted && (last || !*list)) {
			options_fail(parser, STATUS_BAD_OPTION,
			             "-o %.*s: the value must end with '\"', since it begins so: "
			             "write \\\" if the value has a quote, and \\, for a comma",
			             (int)strcspn(element, "="), element);
			break;
		}
		if (*list && (quoted || *list != ',')) {
			if (*list == '\\' && list[1])
				list++;
			*end++ = *list;
			continue;
		}
		*end = '\0';
		end = element;
		if (*element)
			options_apply_element(parser, element);
	}
	free(element);
}

static void options_add_operand(struct parser *parser, const char *operand)
{
	if (parser->operand_count < 2)
		parser->operands[parser->operand_count] = operand;
	parser->operand_count++;
}

/* Takes the result of one call of getopt_long(3). code: its result, or optopt if the value is
 * missing; 1 is an operand. argument: the element of argv with the option. value: optarg, or NULL.
 */
static void options_take(struct parser *parser, int code, const char *argument, const char *value)
{
	const struct setting *setting = setting_rows;

	if (argument == parser->rejected)
		return; /* its error is stored: skip the other letters of `-abc` */
	if (code == 1) {
		options_add_operand(parser, value);
	} else if (code == 'o') {
		if (value)
			options_parse_list(parser, value);
		else
			options_fail(parser, STATUS_BAD_OPTION,
			             "-o: its value is missing: NAME[=VALUE],...");
	} else if (code >= LONG_OPTION &&
	           settings_find(argument + 2) == &setting_rows[code - LONG_OPTION]) {
		options_apply(parser, &setting_rows[code - LONG_OPTION], value, false);
	} else if (code >= LONG_OPTION || code == '?') {
		options_fail_unknown(parser, argument,
		                     code == '?' && argument[1] != '-' ? optopt : 0, false);
		parser->rejected = argument;
	} else {
		while (setting->letter != code)
			setting++;
		options_set(parser, setting, setting->name, NULL);
	}
}

/* table: zeroes. */
static void options_fill_table(struct option_table *table)
{
	struct option *next = table->long_options;
	/* `-`: operands are returned in order; `:`: a missing value is reported as `:`. */
	int letters = snprintf(table->letters, MAX_LETTERS, "-:o:");

	for (int i = 0; setting_rows[i].name; i++) {
		const struct setting *setting = &setting_rows[i];
		char *dashed = table->dashed_names[i], *underscore;
		struct option option = {
			.name = setting->name,
			.has_arg = settings_needs_value(setting) ? required_argument
		                                                 : optional_argument,
			.val = LONG_OPTION + i,
		};

		*next++ = option;
		snprintf(dashed, SETTING_NAME_BYTES, "%s", setting->name);
		underscore = strchr(dashed, '_');
		if (underscore)
			*underscore = '-';
		option.name = dashed;
		*next++ = option;
		if (setting->letter && letters < MAX_LETTERS - 1)
			table->letters[letters++] = setting->letter;
	}
}

static void options_parse_arguments(struct parser *parser, int argc, char *const argv[])
{
	struct option_table table = {0};
	int code;

	options_fill_table(&table);
	opterr = 0;
	optind = 0; /* getopt_long() starts again, at 1 */
	do {
		int at = optind > 0 ? optind : 1;
		const char *argument = at < argc ? argv[at] : "";

		code = getopt_long(argc, argv, table.letters, table.long_options, NULL);
		if (code != -1)
			options_take(parser, code == ':' ? optopt : code, argument, optarg);
	} while (code != -1);
	while (optind < argc)
		options_add_operand(parser, argv[optind++]);
}

/* Checks the operands, [SOURCE] MOUNTPOINT or with --check [SOURCE], and stores them in options. */
static void options_take_operands(struct parser *parser)
{
	struct options *options = parser->options;
	int count = parser->operand_count, max = options->check ? 1 : 2;
	const char *usage = options->check ? USAGE_CHECK : USAGE;
	const char *mountpoint = count > 0 && !options->check ? parser->operands[count > 1] : NULL;
	bool has_source = count == max;
	char why[OPTIONS_WHY_BYTES];
	int err;

	if (count > max)
		options_fail(parser, STATUS_BAD_OPTION, "too many operands: %s", usage);
	else if (!options->check &&
	         (!mountpoint || !*mountpoint || (!has_source && strstr(mountpoint, "://"))))
		options_fail(parser, STATUS_BAD_OPTION, "the mount point is missing: %s", usage);
	else if (mountpoint && environment_is_tilde(mountpoint))
		options_fail(parser, STATUS_BAD_OPTION,
		             "mount point '%.100s' " ENVIRONMENT_TILDE_FAULT, mountpoint);
	if (parser->status)
		return;
	err = source_parse(has_source ? parser->operands[0] : OPTIONS_DEFAULT_SOURCE,
	                   options->allow_http, &options->source, why, sizeof(why));
	if (err < 0)
		options_fail(parser, err == -EINVAL ? STATUS_BAD_OPTION : STATUS_FAILED, "%s", why);
	if (!mountpoint)
		return;
	options->mountpoint = strdup(mountpoint);
	if (!options->mountpoint)
		options_fail_memory(parser);
}

/* Does what depends on all arguments. */
static void options_finish(struct parser *parser)
{
	struct options *options = parser->options;
	const char *team = environment_value("CYBERUN_TEAM_ID");
	int err;

	options->foreground = options->foreground || options->debug;
	if (!options->team && team)
		options_set(parser, settings_find("team"), "CYBERUN_TEAM_ID", team);
	options_take_operands(parser);
	err = parser->status ? 0 : ca_resolve(options);
	if (err < 0)
		options_fail(parser, STATUS_FAILED,
		             "cannot make SSL_CERT_FILE and SSL_CERT_DIR absolute: %s",
		             strerror(-err));
	text_bytes(&parser->fuse, "", 1);
	if (text_error(&parser->fuse) == -EFBIG)
		options_fail(parser, STATUS_BAD_OPTION,
		             "the mount options for FUSE are longer than %d bytes: leave some out",
		             MAX_FUSE_BYTES - 1);
	else if (text_error(&parser->fuse) || !(options->fuse = strdup(parser->fuse.bytes)))
		options_fail_memory(parser);
}

int options_parse(int argc, char *const argv[], struct options *ret_options,
                  char ret_why[static OPTIONS_WHY_BYTES])
{
	struct options options = {0};
	struct parser parser = {.options = &options, .why = ret_why};

	settings_init(&options);
	text_init(&parser.fuse, MAX_FUSE_BYTES);
	options_parse_arguments(&parser, argc, argv);
	if (options.help || options.version)
		parser.status = 0;
	else
		options_finish(&parser);
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
		"URL of the API, by default " OPTIONS_DEFAULT_SOURCE ", or a\n"
		"file with a saved response of the API.\n\n"
		"--NAME=VALUE, --NAME VALUE and -o NAME=VALUE[,NAME=VALUE...] mean the same. In\n"
		"a name - and _ are equal. Defaults are in brackets.\n";
	static const char end[] =
		"\nThe token is the first that is found in token_file,\n"
		"$CREDENTIALS_DIRECTORY/fleetfs.token, $FLEETFS_TOKEN, $CYBERUN_KEY and\n"
		"fleetfs/token in $XDG_CONFIG_HOME or ~/.config. Common fstab options (rw,\n"
		"noauto, user, _netdev, x-...) are ignored with -o. The manual has the details:\n"
		"man fleetfs\n";

	text_printf(text, "%s", begin);
	settings_help(text);
	text_printf(text, "%s", end);
}

void options_text(const struct options *options, const char *mountpoint, struct text *text)
{
	text_printf(text, "source: ");
	text_escaped(text, options->source);
	text_printf(text, "\nmountpoint: ");
	text_escaped(text, mountpoint ? mountpoint : "-");
	text_printf(text, "\nmount_options: %s%s", MOUNT_OPTIONS_FIXED,
	            options->fuse && *options->fuse ? "," : "");
	text_escaped(text, options->fuse);
	text_printf(text, "\n");
	settings_text(options, text);
}
