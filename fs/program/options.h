/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_OPTIONS_H
#define FLEETFS_FS_PROGRAM_OPTIONS_H

/*
 * The command line, read by the table of fs/program/settings.h. Each setting has three spellings:
 * --name=VALUE, --name VALUE and -o name=VALUE; `-` and `_` mean the same in a name. FUSE's own
 * mount options are collected for libfuse; those of mount(8) that change nothing here (rw, noauto,
 * user, _netdev, x-…) are accepted with -o, and ignored.
 */

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_DEFAULT_SOURCE "https://core.cyberun.cloud/api/v1"
#define OPTIONS_WHY_BYTES      512

struct options {
	char *source;     /* base URL as given, trailing slashes removed, or the absolute path of a
	                     file (source_is_file()). NULL with help and version */
	char *mountpoint; /* as given; NULL with help, version and check */
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	unsigned int retries;
	unsigned int per_page;
	unsigned int max_connections;
	char *token_file; /* files are absolute, as the daemon works in `/`. NULL: look elsewhere */
	char *team;       /* NULL: none; $CYBERUN_TEAM_ID by default */
	char *cacert;     /* CA bundle: the setting, else $SSL_CERT_FILE; NULL: the system's */
	char *ca_dirs;    /* $SSL_CERT_DIR: paths separated by `:`; NULL: the system's */
	char *log_file;   /* NULL: stderr or syslog */
	char *fuse;       /* mount options for libfuse, joined with `,`; "" for none */
	bool ca_exclusive; /* cacert is the setting: no other CA is trusted (fs/program/ca.h) */
	bool allow_http;
	bool delay_connect;
	bool foreground; /* -f or -d */
	bool debug;      /* -d */
	bool help;       /* -h */
	bool version;    /* -V */
	bool check;      /* --check */
};

/*
 * Reads the command line. 0 and *ret_options to be given to options_done(); or the exit status (1
 * or 2) with a line for stderr in ret_why, which names the option, the value and what is allowed,
 * and the nearest name for one that is not known, safe to show (text_escaped()). With help or
 * version nothing else is checked. A source that may not be used (plain http to a host that is not
 * loopback without allow_http) and a lack of memory are 1; all else is 2.
 */
int options_parse(int argc, char *const argv[], struct options *ret_options,
                  char ret_why[static OPTIONS_WHY_BYTES]);

void options_done(struct options *options);

struct text;

/* The text of --help. */
void options_help(struct text *text);

/* Returns the mount options for libfuse, separated by commas, for free(); NULL without memory. */
char *options_mount(const struct options *options);

/* Appends the settings in force, and the mount options, as `name: value` lines (fs/tree/text.h),
 * for .fleetfs/config. mountpoint: its absolute path; NULL: none. */
void options_text(const struct options *options, const char *mountpoint, struct text *text);

#endif
