/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_OPTIONS_H
#define FLEETFS_FS_PROGRAM_OPTIONS_H

/*
 * The command line: getopt_long(3) over the table of fs/program/settings.h. A setting has three
 * spellings: --name=VALUE, --name VALUE and -o name=VALUE; `-` and `_` are equal in a name. FUSE's
 * own mount options are collected for libfuse. -o also accepts, and ignores, the options of
 * mount(8) that have no effect on fleetfs (rw, noauto, user, _netdev, x-…).
 *
 * options_parse() uses the static variables of getopt(3), so only one thread may call it.
 */

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_DEFAULT_SOURCE "https://core.cyberun.cloud/api/v1"
#define OPTIONS_WHY_BYTES      512 /* size of ret_why of options_parse() */

/* The settings in force. All strings are owned by it. */
struct options {
	char *source;     /* base URL without trailing slashes, or the absolute path of a file
	                     (fs/program/source.h); NULL with help and version */
	char *mountpoint; /* as given; NULL with help, version and check */
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t refresh_ms; /* 0: off */
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	unsigned int retries;
	unsigned int per_page;
	unsigned int max_connections;
	char *token_file;  /* absolute, like the paths below, since the background process changes
	                      its directory to `/`; NULL: use the other sources of
	                      api/http/credential.h */
	char *team;        /* by default $CYBERUN_TEAM_ID; NULL: none */
	char *cacert;      /* CA bundle: the setting, else $SSL_CERT_FILE; NULL: the system's */
	char *ca_dirs;     /* $SSL_CERT_DIR: paths separated by `:`; NULL: the system's */
	char *name;        /* of the fleet; NULL: none */
	char *log_file;    /* NULL: stderr in the foreground, else syslog */
	char *fuse;        /* mount options for libfuse, separated by `,`; "": none */
	bool ca_exclusive; /* cacert is the setting: no other CA is trusted (fs/program/ca.h) */
	bool auto_unmount; /* also in fuse */
	bool allow_http;
	bool delay_connect;
	bool foreground; /* -f or -d */
	bool debug;      /* -d */
	bool help;       /* -h */
	bool version;    /* -V */
	bool check;      /* --check */
};

/*
 * Reads the command line and the environment variables that stand for settings. Returns 0 and
 * *ret_options, which the caller releases with options_done(); or an exit status, and in ret_why
 * one line for stderr that names the option, the value and what is allowed. The line is safe to
 * print on a terminal. For an unknown option it suggests the nearest name.
 *
 * Exit status 1: the source is plain http to a host that is not loopback, without allow_http; a
 * path cannot be made absolute; or out of memory. Exit status 2: every other error. With help or
 * version in the command line, errors are ignored.
 */
int options_parse(int argc, char *const argv[], struct options *ret_options,
                  char ret_why[static OPTIONS_WHY_BYTES]);

/* Frees all strings and zeroes the struct. */
void options_done(struct options *options);

struct text;

/* Appends the text of --help. */
void options_help(struct text *text);

/* Appends the settings in force and the mount options for .fleetfs/config, as `name: value` lines.
 * mountpoint: its absolute path; NULL is written as `-`. */
void options_text(const struct options *options, const char *mountpoint, struct text *text);

#endif
