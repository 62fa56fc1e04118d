/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SETTINGS_H
#define FLEETFS_FS_PROGRAM_SETTINGS_H

/*
 * The table of all settings: command line options and mount options. fs/program/options.c parses
 * the command line with it. --help and .fleetfs/config are written from it, and the completions of
 * the shells read --help. The manual, docs/fleetfs.8, is written by hand; tests/options_check.py
 * compares it with --help.
 *
 * To add a setting: a member of struct options, a row, a paragraph of the manual.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTING_NAME_BYTES    48 /* size of a buffer for any name */
#define SETTING_ALLOWED_BYTES 64 /* size of ret_allowed of settings_allowed() */
#define SETTINGS_MAX          100
#define SETTING_TEXT_BYTES    64 /* of the longest SETTING_TEXT: each metric repeats `name` */

struct options;
struct text;

enum setting_kind {
	/* Members of struct options. */
	SETTING_DURATION, /* int64_t in ms, like min, max and initial; written in seconds */
	SETTING_COUNT,    /* unsigned int */
	SETTING_FILE,     /* char *: a path, which is made absolute */
	SETTING_ID,       /* char *: letters, digits, `_` and `-` */
	SETTING_TEXT,     /* char *: 1 to SETTING_TEXT_BYTES bytes */
	SETTING_FLAG,     /* bool */
	SETTING_ACTION,   /* bool: an action instead of mounting; not with -o */
	/* Mount options of FUSE that are passed to libfuse. */
	SETTING_PASSED_FLAG,
	SETTING_PASSED_VALUE,
	SETTING_PASSED_TYPE, /* no `,` and no `\`: libfuse passes it to fusermount3 unquoted */
	/* Mount options of mount(8) that change nothing here: with -o only, with any value. */
	SETTING_IGNORED,
	/* Names that are rejected with a reason. */
	SETTING_REJECTED,
};

struct setting {
	const char *name; /* with `_`, of which it has one at most, and without `-` */
	char letter;      /* the short option; 0: none */
	uint8_t kind;     /* enum setting_kind */
	uint8_t section;  /* section of --help */
	size_t offset;    /* of the member in struct options; 0: none, since its first member is no
	                     setting */
	int64_t initial, min, max; /* if initial is 0, 0 is allowed whatever min is */
	const char *help; /* its line of --help; NULL: it is not shown. SETTING_REJECTED: the reason
	                     and what to do */
};

/* The table. The last row has no name. */
extern const struct setting setting_rows[];

/* Returns the row that `NAME` or `NAME=VALUE` names, or NULL. `-` and `_` are equal in NAME. */
const struct setting *settings_find(const char *word);

/* Whether a setting may be given with -o (dash_o true), or with `--` (dash_o false). */
bool settings_is_accepted(const struct setting *setting, bool dash_o);

/* Whether a setting must have a value. */
bool settings_needs_value(const struct setting *setting);

/* Whether a setting is passed to libfuse. */
bool settings_is_passed(const struct setting *setting);

/* Describes the allowed values, for the end of a message: "seconds from 0.1 to 86400". */
void settings_allowed(const struct setting *setting,
                      char ret_allowed[static SETTING_ALLOWED_BYTES]);

/*
 * Checks a value and stores it in the setting's member of options, if it has one. value NULL: none
 * was given, which means yes for a flag. Returns 0; -EINVAL if the value is not allowed; or another
 * -errno if a path cannot be made absolute or memory is short. options is untouched on failure.
 */
int settings_set(const struct setting *setting, const char *value, struct options *options);

/* Stores the defaults of all numbers. options: zeroes. */
void settings_init(struct options *options);

/* Frees the strings that settings_set() stored. */
void settings_done(struct options *options);

/* Appends a line for each setting of --help, by section. */
void settings_help(struct text *text);

/* Appends a line `name: value` for each setting that is a member of options, except actions and
 * mount options that libfuse gets. */
void settings_text(const struct options *options, struct text *text);

#endif
