/* SPDX-License-Identifier: MIT */
#include "fs/program/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/model/environment.h"
#include "fs/program/options.h"
#include "fs/tree/text.h"

static const struct {
	const char *argument; /* what --help calls a value; "": takes none */
	const char *allowed;  /* what values are */
	int unit;             /* of a number: 1 of what the user writes is so many; 0: no number */
} kinds[] = {
	[SETTING_DURATION] = {"=SECONDS", "seconds", 1000},
	[SETTING_COUNT] = {"=NUMBER", "a number", 1},
	[SETTING_FILE] = {"=FILE", "a file ('~' is not expanded)", 0},
	[SETTING_ID] = {"=ID", "letters, digits, '_', '-'", 0},
	[SETTING_FLAG] = {"", "yes or no", 0},
	[SETTING_ACTION] = {"", "yes or no", 0},
	[SETTING_PASSED_FLAG] = {"", "it takes no value", 0},
	[SETTING_PASSED_VALUE] = {"=TEXT", "any text", 0},
	[SETTING_IGNORED] = {"", "anything", 0},
	[SETTING_REFUSED] = {"", "nothing", 0},
};

enum group { HIDDEN, FRESHNESS, NETWORK, CREDENTIALS, RUNNING, FUSE, INSTEAD, GROUPS };

static const char *const group_name[] = {
	[FRESHNESS] = "Freshness", [NETWORK] = "Network", [CREDENTIALS] = "Credentials",
	[RUNNING] = "Running",     [FUSE] = "FUSE's own", [INSTEAD] = "Instead of mounting",
};

#define AT(member) offsetof(struct options, member)

#define IGNORED(mount_option)                                   \
	{                                                       \
		.name = (mount_option), .kind = SETTING_IGNORED \
	}

#define EITHER(mount_option) IGNORED(mount_option), IGNORED("no" mount_option)

/* Every user of the machine can read a command line. */
#define SECRET(word)                                                                    \
	{                                                                               \
		.name = (word), .kind = SETTING_REFUSED,                                \
		.help = "a token is never an argument: use token_file or FLEETFS_TOKEN" \
	}

const struct setting setting_rows[] = {
	{"ttl", 0, SETTING_DURATION, FRESHNESS, AT(ttl_ms), 10000, 100, 86400000,
         "serve what was fetched before asking again"},
	{"stale", 0, SETTING_DURATION, FRESHNESS, AT(stale_ms), 300000, 0, 2592000000,
         "and past that, while the API fails"},
	{"timeout", 0, SETTING_DURATION, NETWORK, AT(timeout_ms), 10000, 100, 3600000,
         "limit for any one file operation"},
	{"connect_timeout", 0, SETTING_DURATION, NETWORK, AT(connect_timeout_ms), 3000, 100, 600000,
         "limit for DNS, TCP and TLS"},
	{"retries", 0, SETTING_COUNT, NETWORK, AT(retries), 2, 0, 10,
         "further tries of a failed page"},
	{"per_page", 0, SETTING_COUNT, NETWORK, AT(per_page), 100, 1, 100,
         "agents asked for at a time"},
	{"max_connections", 0, SETTING_COUNT, NETWORK, AT(max_connections), 6, 1, 64,
         "connections to the API at once"},
	{"cacert", 0, SETTING_FILE, NETWORK, AT(cacert), 0, 0, 0,
         "trust these CAs alone [$SSL_CERT_FILE]"},
	{"allow_http", 0, SETTING_FLAG, NETWORK, AT(allow_http), 0, 0, 0,
         "permit plain http:// beyond this machine"},
	{"token_file", 0, SETTING_FILE, CREDENTIALS, AT(token_file), 0, 0, 0,
         "holds the bearer token"},
	{"team", 0, SETTING_ID, CREDENTIALS, AT(team), 0, 0, 0,
         "X-Team-ID, sent with a JWT [$CYBERUN_TEAM_ID]"},
	{"delay_connect", 0, SETTING_FLAG, RUNNING, AT(delay_connect), 0, 0, 0,
         "mount even if the API cannot be reached yet"},
	{"log_file", 0, SETTING_FILE, RUNNING, AT(log_file), 0, 0, 0, "append the log there"},
	{"foreground", 'f', SETTING_FLAG, RUNNING, AT(foreground), 0, 0, 0,
         "stay, and log to stderr"},
	{"debug", 'd', SETTING_FLAG, RUNNING, AT(debug), 0, 0, 0, "the same, with debug messages"},

	/* What libfuse, fusermount3 and the kernel want to know. */
	{"allow_other", 0, SETTING_PASSED_FLAG, FUSE, 0, 0, 0, 0, "let other users in, too"},
	{"auto_unmount", 0, SETTING_PASSED_FLAG, FUSE, 0, 0, 0, 0, "unmount even after a crash"},
	{"default_permissions", 0, SETTING_PASSED_FLAG, FUSE, 0, 0, 0, 0,
         "have the kernel check the modes"},
	{"fsname", 0, SETTING_PASSED_VALUE, FUSE, 0, 0, 0, 0, "what df shows instead of SOURCE"},
	{"subtype", 0, SETTING_PASSED_VALUE, FUSE, 0, 0, 0, 0,
         "the type is fuse.TEXT, not fuse.fleetfs"},
	{"context", 0, SETTING_PASSED_VALUE, FUSE, 0, 0, 0, 0,
         "for SELinux; so are {fs,def,root}context"},
	{"fscontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},
	{"defcontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},
	{"rootcontext", 0, SETTING_PASSED_VALUE, HIDDEN, 0, 0, 0, 0, NULL},

	{"check", 0, SETTING_ACTION, INSTEAD, AT(check), 0, 0, 0, "read the whole list once"},
	{"help", 'h', SETTING_ACTION, INSTEAD, AT(help), 0, 0, 0, "show this"},
	{"version", 'V', SETTING_ACTION, INSTEAD, AT(version), 0, 0, 0,
         "of fleetfs and its libraries"},

	/* What fstab says by habit and mount(8) hands on, and what changes nothing for a mount that
         * is always ro,nosuid,nodev,noexec. */
	IGNORED("rw"),
	IGNORED("ro"),
	EITHER("dev"),
	EITHER("suid"),
	EITHER("exec"),
	EITHER("auto"),
	EITHER("user"),
	EITHER("users"),
	EITHER("owner"),
	EITHER("group"),
	EITHER("atime"),
	EITHER("diratime"),
	EITHER("relatime"),
	EITHER("strictatime"),
	EITHER("lazytime"),
	EITHER("iversion"),
	EITHER("mand"),
	IGNORED("sync"),
	IGNORED("async"),
	IGNORED("dirsync"),
	IGNORED("silent"),
	IGNORED("loud"),
	IGNORED("nofail"),
	IGNORED("_netdev"),
	IGNORED("defaults"),
	IGNORED("comment"),
	IGNORED("max_read"), /* of FUSE; every read fits */

	SECRET("token"),
	SECRET("key"),
	SECRET("api_key"),
	SECRET("password"),
	{"allow_root", 0, SETTING_REFUSED, HIDDEN, 0, 0, 0, 0,
         "would let everybody read what the kernel remembers: use allow_other, or neither"},
	{"remount", 0, SETTING_REFUSED, HIDDEN, 0, 0, 0, 0,
         "the options of a mount stay as they are: unmount it, then mount it again"},

	{0},
};

const struct setting *settings_find(const char *name)
{
	const struct setting *row = setting_rows;

	while (row->name && strcmp(row->name, name) != 0)
		row++;
	return row->name ? row : NULL;
}

bool settings_takes_value(const struct setting *setting)
{
	return *kinds[setting->kind].argument;
}

bool settings_is_passed(const struct setting *setting)
{
	return setting->kind == SETTING_PASSED_FLAG || setting->kind == SETTING_PASSED_VALUE;
}

void settings_allowed(const struct setting *setting, char ret_allowed[static SETTING_BYTES])
{
	const char *allowed = kinds[setting->kind].allowed;
	int unit = kinds[setting->kind].unit;

	if (unit)
		snprintf(ret_allowed, SETTING_BYTES, "%s from %.10g to %.10g", allowed,
		         (double)setting->min / unit, (double)setting->max / unit);
	else
		snprintf(ret_allowed, SETTING_BYTES, "%s", allowed);
}

static bool is_id(const char *value)
{
	size_t length = 0;

	while (isalnum((unsigned char)value[length]) || value[length] == '_' ||
	       value[length] == '-')
		length++;
	return length > 0 && !value[length];
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

static int set_number(const struct setting *setting, const char *value, struct options *options)
{
	bool duration = setting->kind == SETTING_DURATION;
	void *member = (char *)options + setting->offset;
	int64_t number = 0;

	if (!value || !(duration ? parse_duration : parse_count)(value, &number) ||
	    number < setting->min || number > setting->max)
		return -EINVAL;
	if (duration)
		*(int64_t *)member = number;
	else
		*(unsigned int *)member = (unsigned int)number;
	return 0;
}

static int set_string(const struct setting *setting, const char *value, struct options *options)
{
	char **member = (char **)((char *)options + setting->offset);
	bool file = setting->kind == SETTING_FILE;
	char *copy;

	if (!value || !*value || (file ? environment_is_tilde(value) : !is_id(value)))
		return -EINVAL;
	copy = file ? environment_absolute(value) : strdup(value);
	if (!copy)
		return -errno;
	free(*member);
	*member = copy;
	return 0;
}

static int set_flag(const struct setting *setting, const char *value, struct options *options)
{
	static const char *const words[] = {"no", "off", "false", "0", "yes", "on", "true", "1"};
	size_t count = sizeof(words) / sizeof(words[0]), at = 0;

	while (at < count && strcmp(words[at], value ? value : "yes") != 0)
		at++;
	if (at == count)
		return -EINVAL;
	*(bool *)((char *)options + setting->offset) = at >= count / 2;
	return 0;
}

int settings_set(const struct setting *setting, const char *value, struct options *options)
{
	switch ((enum setting_kind)setting->kind) {
	case SETTING_DURATION:
	case SETTING_COUNT:
		return set_number(setting, value, options);
	case SETTING_FILE:
	case SETTING_ID:
		return set_string(setting, value, options);
	case SETTING_FLAG:
	case SETTING_ACTION:
		return set_flag(setting, value, options);
	case SETTING_PASSED_FLAG:
		return value ? -EINVAL : 0;
	case SETTING_PASSED_VALUE:
		return value && *value ? 0 : -EINVAL;
	case SETTING_IGNORED:
		return 0;
	case SETTING_REFUSED:
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
		if (row->kind == SETTING_FILE || row->kind == SETTING_ID)
			free(*(char **)((char *)options + row->offset));
	}
}

static void help_row(const struct setting *setting, struct text *text)
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
	for (enum group group = FRESHNESS; group < GROUPS; group++) {
		text_printf(text, "\n%s:\n", group_name[group]);
		for (const struct setting *row = setting_rows; row->name; row++) {
			if (row->group == group)
				help_row(row, text);
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
