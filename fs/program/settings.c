/* SPDX-License-Identifier: MIT */
#include "fs/program/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/environment.h"
#include "fs/program/options.h"
#include "fs/program/value.h"
#include "fs/tree/text.h"

static const struct {
	const char *argument; /* the value in --help; "": a value is not needed */
	const char *allowed;  /* the allowed values, for messages */
	int unit; /* factor from the written to the stored number: 1000 for seconds stored in ms;
	             0: not a number */
} kinds[] = {
	[SETTING_DURATION] = {"=SECONDS", "seconds", 1000},
	[SETTING_COUNT] = {"=NUMBER", "a number", 1},
	[SETTING_FILE] = {"=FILE", "a file ('~' is not expanded)", 0},
	[SETTING_ID] = {"=ID", "letters, digits, '_', '-'", 0},
	[SETTING_TEXT] = {"=TEXT", "a text of 1 to 64 bytes", 0},
	[SETTING_FLAG] = {"", "yes or no", 0},
	[SETTING_ACTION] = {"", "yes or no", 0},
	[SETTING_PASSED_FLAG] = {"", "it takes no value", 0},
	[SETTING_PASSED_VALUE] = {"=TEXT", "any text", 0},
	[SETTING_PASSED_TYPE] = {"=TEXT", "a text without ',' and '\\'", 0},
	[SETTING_IGNORED] = {"", "anything", 0},
	[SETTING_REJECTED] = {"", "nothing", 0},
};

enum section { HIDDEN, FRESHNESS, NETWORK, CREDENTIALS, RUNNING, FUSE, INSTEAD, SECTIONS };

static const char *const section_names[] = {
	[FRESHNESS] = "Freshness", [NETWORK] = "Network", [CREDENTIALS] = "Credentials",
	[RUNNING] = "Running",     [FUSE] = "FUSE's own", [INSTEAD] = "Instead of mounting",
};

#define AT(member) offsetof(struct options, member)

#define IGNORED(mount_option)                                   \
	{                                                       \
		.name = (mount_option), .kind = SETTING_IGNORED \
	}

#define IGNORED_WITH_NO(mount_option) IGNORED(mount_option), IGNORED("no" mount_option)

/* A token is rejected because every user of the machine can read the command line. */
#define SECRET(word)                                                                    \
	{                                                                               \
		.name = (word), .kind = SETTING_REJECTED,                               \
		.help = "a token is never an argument: use token_file or FLEETFS_TOKEN" \
	}

const struct setting setting_rows[] = {
	{"ttl", 0, SETTING_DURATION, FRESHNESS, AT(ttl_ms), 10000, 100, 86400000,
         "how long fetched data is served"},
	{"stale", 0, SETTING_DURATION, FRESHNESS, AT(stale_ms), 300000, 0, 2592000000,
         "how much longer while the API fails"},
	{"refresh", 0, SETTING_DURATION, FRESHNESS, AT(refresh_ms), 0, 100, 86400000,
         "how often the list is read without readers"},
	{"timeout", 0, SETTING_DURATION, NETWORK, AT(timeout_ms), 10000, 100, 3600000,
         "limit for any one file operation"},
	{"connect_timeout", 0, SETTING_DURATION, NETWORK, AT(connect_timeout_ms), 3000, 100, 600000,
         "limit for DNS, TCP and TLS"},
	{"retries", 0, SETTING_COUNT, NETWORK, AT(retries), 2, 0, 10,
         "further attempts for a failed page"},
	{"per_page", 0, SETTING_COUNT, NETWORK, AT(per_page), 100, 1, 100, "agents per request"},
	{"max_connections", 0, SETTING_COUNT, NETWORK, AT(max_connections), 6, 1, 64,
         "concurrent connections to the API"},
	{"cacert", 0, SETTING_FILE, NETWORK, AT(cacert), 0, 0, 0,
         "trust only these CAs [$SSL_CERT_FILE]"},
	{"allow_http", 0, SETTING_FLAG, NETWORK, AT(allow_http), 0, 0, 0,
         "permit plain http:// beyond this machine"},
	{"token_file", 0, SETTING_FILE, CREDENTIALS, AT(token_file), 0, 0, 0,
         "contains the bearer token"},
	{"team", 0, SETTING_ID, CREDENTIALS, AT(team), 0, 0, 0,
         "X-Team-ID, sent with a JWT [$CYBERUN_TEAM_ID]"},
	{"name", 0, SETTING_TEXT, RUNNING, AT(name), 0, 0, 0,
         "name of the fleet in metrics, page and summary"},
	{"delay_connect", 0, SETTING_FLAG, RUNNING, AT(delay_connect), 0, 0, 0,
         "mount even if the API cannot be reached yet"},
	{"log_file", 0, SETTING_FILE, RUNNING, AT(log_file), 0, 0, 0,
         "append the log to this file"},
	{"foreground", 'f', SETTING_FLAG, RUNNING, AT(foreground), 0, 0, 0,
         "stay in the foreground, log to stderr"},
	{"debug", 'd', SETTING_FLAG, RUNNING, AT(debug), 0, 0, 0,
         "the same, and log debug messages"},

	/* Mount options of libfuse, fusermount3 and the kernel. */
	{"allow_other", 0, SETTING_PASSED_FLAG, FUSE, 0, 0, 0, 0, "let other users read, too"},
	{"auto_unmount", 0, SETTING_PASSED_FLAG, FUSE, AT(auto_unmount), 0, 0, 0,
         "unmount even after a crash"},
	{"default_permissions", 0, SETTING_PASSED_FLAG, FUSE, 0, 0, 0, 0,
         "let the kernel check file modes"},
	{"fsname", 0, SETTING_PASSED_VALUE, FUSE, 0, 0, 0, 0,
         "device that df shows, instead of SOURCE"},
	{"subtype", 0, SETTING_PASSED_TYPE, FUSE, 0, 0, 0, 0,
         "the type is fuse.TEXT, not fuse.fleetfs"},
	{"context", 0, SETTING_PASSED_VALUE, FUSE, 0, 0, 0, 0,
         "for SELinux; so are {fs,def,root}context"},
	{"fscontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},
	{"defcontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},
	{"rootcontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},

	{"check", 0, SETTING_ACTION, INSTEAD, AT(check), 0, 0, 0,
         "connect and read the whole list once"},
	{"help", 'h', SETTING_ACTION, INSTEAD, AT(help), 0, 0, 0, "show this help"},
	{"version", 'V', SETTING_ACTION, INSTEAD, AT(version), 0, 0, 0,
         "show versions of fleetfs and libraries"},

	/* Common in fstab, passed on by mount(8), and without effect on a mount that is always
         * ro,nosuid,nodev,noexec. */
	IGNORED("rw"),
	IGNORED("ro"),
	IGNORED_WITH_NO("dev"),
	IGNORED_WITH_NO("suid"),
	IGNORED_WITH_NO("exec"),
	IGNORED_WITH_NO("auto"),
	IGNORED_WITH_NO("user"),
	IGNORED_WITH_NO("users"),
	IGNORED_WITH_NO("owner"),
	IGNORED_WITH_NO("group"),
	IGNORED_WITH_NO("atime"),
	IGNORED_WITH_NO("diratime"),
	IGNORED_WITH_NO("relatime"),
	IGNORED_WITH_NO("strictatime"),
	IGNORED_WITH_NO("lazytime"),
	IGNORED_WITH_NO("iversion"),
	IGNORED_WITH_NO("mand"),
	IGNORED("sync"),
	IGNORED("async"),
	IGNORED("dirsync"),
	IGNORED("silent"),
	IGNORED("loud"),
	IGNORED("nofail"),
	IGNORED("_netdev"),
	IGNORED("defaults"),
	IGNORED("comment"),
	IGNORED("max_read"), /* of FUSE; no limit is needed */

	SECRET("token"),
	SECRET("key"),
	SECRET("api_key"),
	SECRET("password"),
	{"allow_root", 0, SETTING_REJECTED, HIDDEN, 0, 0, 0, 0,
         "would let every user read what the kernel has cached: use allow_other, or neither"},
	{"remount", 0, SETTING_REJECTED, HIDDEN, 0, 0, 0, 0,
         "the options of a mount cannot be changed: unmount it, then mount it again"},

	{0},
};

_Static_assert(sizeof(setting_rows) / sizeof(setting_rows[0]) <= SETTINGS_MAX,
               "SETTINGS_MAX is too small");

/* Whether a word is `NAME` or `NAME=VALUE` of this name. */
static bool settings_word_has_name(const char *word, const char *name)
{
	while (*name && (*word == *name || (*word == '-' && *name == '_'))) {
		word++;
		name++;
	}
	return !*name && (!*word || *word == '=');
}

const struct setting *settings_find(const char *word)
{
	for (const struct setting *row = setting_rows; row->name; row++)
		if (settings_word_has_name(word, row->name))
			return row;
	return NULL;
}

bool settings_is_accepted(const struct setting *setting, bool dash_o)
{
	return setting->kind != (dash_o ? SETTING_ACTION : SETTING_IGNORED);
}

bool settings_needs_value(const struct setting *setting)
{
	return *kinds[setting->kind].argument;
}

bool settings_is_passed(const struct setting *setting)
{
	return setting->kind >= SETTING_PASSED_FLAG && setting->kind <= SETTING_PASSED_TYPE;
}

/* Whether 0 is allowed although it is below the minimum. */
static bool settings_allows_zero_below_min(const struct setting *setting)
{
	return setting->initial == 0 && setting->min > 0;
}

void settings_allowed(const struct setting *setting, char ret_allowed[static SETTING_ALLOWED_BYTES])
{
	const char *allowed = kinds[setting->kind].allowed;
	int unit = kinds[setting->kind].unit;

	if (unit)
		snprintf(ret_allowed, SETTING_ALLOWED_BYTES, "%s from %.10g to %.10g%s", allowed,
		         (double)setting->min / unit, (double)setting->max / unit,
		         settings_allows_zero_below_min(setting) ? ", or 0" : "");
	else
		snprintf(ret_allowed, SETTING_ALLOWED_BYTES, "%s", allowed);
}

static int settings_set_number(const struct setting *setting, const char *value,
                               struct options *options)
{
	bool duration = setting->kind == SETTING_DURATION;
	void *member = (char *)options + setting->offset;
	int64_t number = 0;

	if (!value || !(duration ? value_parse_duration : value_parse_count)(value, &number) ||
	    number > setting->max ||
	    (number < setting->min && !(number == 0 && settings_allows_zero_below_min(setting))))
		return -EINVAL;
	if (duration)
		*(int64_t *)member = number;
	else
		*(unsigned int *)member = (unsigned int)number;
	return 0;
}

static int settings_set_string(const struct setting *setting, const char *value,
                               struct options *options)
{
	char **member = (char **)((char *)options + setting->offset);
	bool file = setting->kind == SETTING_FILE;
	char *copy;

	if (!value || !*value || (file && environment_is_tilde(value)) ||
	    (setting->kind == SETTING_ID && !value_is_id(value)) ||
	    (setting->kind == SETTING_TEXT && strlen(value) > SETTING_TEXT_BYTES))
		return -EINVAL;
	copy = file ? environment_absolute(value) : strdup(value);
	if (!copy)
		return -errno;
	free(*member);
	*member = copy;
	return 0;
}

static int settings_set_flag(const struct setting *setting, const char *value,
                             struct options *options)
{
	bool *member = (bool *)((char *)options + setting->offset);

	return value_parse_flag(value ? value : "yes", member) ? 0 : -EINVAL;
}

int settings_set(const struct setting *setting, const char *value, struct options *options)
{
	switch ((enum setting_kind)setting->kind) {
	case SETTING_DURATION:
	case SETTING_COUNT:
		return settings_set_number(setting, value, options);
	case SETTING_FILE:
	case SETTING_ID:
	case SETTING_TEXT:
		return settings_set_string(setting, value, options);
	case SETTING_FLAG:
	case SETTING_ACTION:
		return settings_set_flag(setting, value, options);
	case SETTING_PASSED_FLAG:
		if (value)
			return -EINVAL;
		if (setting->offset) /* fleetfs itself needs it, too */
			*(bool *)((char *)options + setting->offset) = true;
		return 0;
	case SETTING_PASSED_VALUE:
		return value && *value ? 0 : -EINVAL;
	case SETTING_PASSED_TYPE:
		return value && *value && !strpbrk(value, ",\\") ? 0 : -EINVAL;
	case SETTING_IGNORED:
		return 0;
	case SETTING_REJECTED:
		break;
	}
	return -EINVAL;
}

void settings_init(struct options *options)
{
	for (const struct setting *row = setting_rows; row->name; row++) {
		void *member = (char *)options + row->offset;

		if (row->kind == SETTING_DURATION)
			*(int64_t *)member = row->initial;
		else if (row->kind == SETTING_COUNT)
			*(unsigned int *)member = (unsigned int)row->initial;
	}
}

void settings_done(struct options *options)
{
	for (const struct setting *row = setting_rows; row->name; row++) {
		if (row->kind == SETTING_FILE || row->kind == SETTING_ID ||
		    row->kind == SETTING_TEXT)
			free(*(char **)((char *)options + row->offset));
	}
}

static void settings_help_row(const struct setting *setting, struct text *text)
{
	char names[64], letter[8] = "";

	if (setting->letter)
		snprintf(letter, sizeof(letter), "-%c, ", setting->letter);
	snprintf(names, sizeof(names), "%s--%s%s", letter, setting->name,
	         kinds[setting->kind].argument);
	text_printf(text, "  %-27s %s", names, setting->help);
	if (setting->kind <= SETTING_COUNT)
		text_printf(text, " [%.10g]", (double)setting->initial / kinds[setting->kind].unit);
	text_printf(text, "\n");
}

void settings_help(struct text *text)
{
	for (enum section section = FRESHNESS; section < SECTIONS; section++) {
		text_printf(text, "\n%s:\n", section_names[section]);
		for (const struct setting *row = setting_rows; row->name; row++) {
			if (row->section == section)
				settings_help_row(row, text);
		}
	}
}

void settings_text(const struct options *options, struct text *text)
{
	for (const struct setting *row = setting_rows; row->name; row++) {
		const void *member = (const char *)options + row->offset;

		if (row->kind > SETTING_FLAG)
			continue;
		text_printf(text, "%s: ", row->name);
		if (row->kind == SETTING_DURATION)
			text_printf(text, "%.10g", (double)*(const int64_t *)member / 1000);
		else if (row->kind == SETTING_COUNT)
			text_printf(text, "%u", *(const unsigned int *)member);
		else if (row->kind == SETTING_FLAG)
			text_printf(text, "%s", *(const bool *)member ? "yes" : "no");
		else
			text_escaped(text, *(char *const *)member ? *(char *const *)member : "-");
		text_printf(text, "\n");
	}
}
