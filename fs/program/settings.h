/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SETTINGS_H
#define FLEETFS_FS_PROGRAM_SETTINGS_H

/*
 * One table of everything that a command line can name. It is read by fs/program/options.c, and
 * --help and .fleetfs/config are written from it; the completions of the shells read --help in
 * turn. Only the manual, docs/fleetfs.8, repeats it by hand, and tests/options_check.py holds the
 * two together.
 *
 * To add a setting: a member of struct options, a row, a paragraph of the manual.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTING_BYTES 64 /* for settings_allowed() */

struct options;
struct text;

enum setting_kind {
	/* members of struct options */
	SETTING_DURATION, /* int64_t, ms; so are min, max and initial */
	SETTING_COUNT,    /* unsigned int */
	SETTING_FILE,     /* char *, made absolute */
	SETTING_ID,       /* char *, of letters, digits, `_` and `-` */
	SETTING_FLAG,     /* bool */
	SETTING_ACTION,   /* bool; what to do instead of mounting, so not with -o */
	/* for libfuse, as they are: mount options of FUSE */
	SETTING_PASSED_FLAG,
	SETTING_PASSED_VALUE,
	/* mount options that change nothing here; only with -o, and any value will do */
	SETTING_IGNORED,
	/* what will not be taken from anybody */
	SETTING_REFUSED,
};

struct setting {
	const char *name; /* with `_`, never `-` */
	char letter;      /* 0: none */
	uint8_t kind;     /* enum setting_kind */
	uint8_t group;    /* of --help */
	size_t offset;    /* of the member in struct options */
	int64_t initial, min, max;
	const char *help; /* its line of --help, NULL: none. SETTING_REFUSED: why, and what to do */
};

/* Ends with a row without a name. */
extern const struct setting setting_rows[];

/* By its name, spelt with `_`; NULL if there is none. */
const struct setting *settings_find(const char *name);

bool settings_takes_value(const struct setting *setting);

/* Whether it is for libfuse. */
bool settings_is_passed(const struct setting *setting);

/* What a value may be, to end a sentence with: "seconds from 0.1 to 86400". */
void settings_allowed(const struct setting *setting, char ret_allowed[static SETTING_BYTES]);

/*
 * Checks a value and, if it is for a member of options, puts it there. NULL: there is none, which
 * for a flag means yes. 0; -EINVAL, if it is not allowed; or another -errno. On failure options is
 * as it was.
 */
int settings_set(const struct setting *setting, const char *value, struct options *options);

/* The members that have a row: given their defaults, and freed. */
void settings_init(struct options *options);
void settings_done(struct options *options);

/* A line for each setting of --help, in groups. */
void settings_help(struct text *text);

/* A line `name: value` for each in force. */
void settings_text(const struct options *options, struct text *text);

#endif
