/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/program/options.h"
#include "fs/program/settings.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

#define ARGUMENTS 16

static char why[OPTIONS_WHY_BYTES]; /* message of the last parse() */

/* Parses a command line whose arguments are separated by `|`. Returns the exit status; the message
 * is in `why`. */
static int parse(const char *line, struct options *ret_options)
{
	char *copy = strdup(line), *rest = copy;
	char *argv[ARGUMENTS + 1] = {NULL};
	int argc = 0, status;

	assert_non_null(copy);
	why[0] = '\0';
	while (rest && argc < ARGUMENTS)
		argv[argc++] = strsep(&rest, "|");
	status = options_parse(argc, argv, ret_options, why);
	free(copy);
	return status;
}

/* Parsing must succeed. */
static void parse_valid(const char *line, struct options *ret_options)
{
	if (parse(line, ret_options) != 0)
		fail_msg("%s: %s", line, why);
}

/* Parsing must fail with this status and a message that contains reason. */
static void assert_rejected(const char *line, int status, const char *reason)
{
	struct options options = {.ttl_ms = -7};

	if (parse(line, &options) != status || !strstr(why, reason))
		fail_msg("%s: '%s' instead of %d '%s'", line, why, status, reason);
	assert_int_equal(options.ttl_ms, -7); /* options is untouched */
}

/* The settings in force must contain a line. */
static void assert_config(const char *line, const char *expected)
{
	struct options options;
	struct text text;
	char *config;

	parse_valid(line, &options);
	text_init(&text, 1 << 16);
	text_bytes(&text, "\n", 1);
	options_text(&options, options.mountpoint, &text);
	assert_int_equal(text_error(&text), 0);
	config = strndup(text.bytes, text.length);
	assert_non_null(config);
	if (!strstr(config, expected))
		fail_msg("%s: no '%s' in %s", line, expected, config);
	free(config);
	text_done(&text);
	options_done(&options);
}

static void test_every_setting_has_its_default(void **state)
{
	struct options options;

	parse_valid("fleetfs|mnt", &options);
	assert_string_equal(options.source, OPTIONS_DEFAULT_SOURCE);
	assert_string_equal(options.mountpoint, "mnt");
	assert_int_equal(options.ttl_ms, 10000);
	assert_int_equal(options.stale_ms, 300000);
	assert_int_equal(options.refresh_ms, 0);
	assert_null(options.name);
	assert_int_equal(options.timeout_ms, 10000);
	assert_int_equal(options.connect_timeout_ms, 3000);
	assert_int_equal(options.retries, 2);
	assert_int_equal(options.per_page, 100);
	assert_int_equal(options.max_connections, 6);
	assert_null(options.token_file);
	assert_null(options.team);
	assert_null(options.cacert);
	assert_null(options.log_file);
	assert_string_equal(options.fuse, "");
	assert_false(options.allow_http || options.delay_connect || options.foreground ||
	             options.debug || options.help || options.version || options.check);
	options_done(&options);
	(void)state;
}

/* Each setting in the order of the table, and its value in .fleetfs/config. */
static const struct {
	const char *name, *dashed, *value, *shown;
} settings[] = {
	{"ttl", "ttl", "0.25", "0.25"},
	{"stale", "stale", "0", "0"},
	{"refresh", "refresh", "60", "60"},
	{"timeout", "timeout", "3600", "3600"},
	{"connect_timeout", "connect-timeout", "1.5", "1.5"},
	{"retries", "retries", "0", "0"},
	{"per_page", "per-page", "7", "7"},
	{"max_connections", "max-connections", "64", "64"},
	{"cacert", "cacert", "/ca=1.pem", "/ca=1.pem"},
	{"allow_http", "allow-http", "yes", "yes"},
	{"token_file", "token-file", "/run/token", "/run/token"},
	{"team", "team", "Team_1-a", "Team_1-a"},
	{"name", "name", "K\xc3\xb6ln \"1\"", "K\xc3\xb6ln \"1\""},
	{"delay_connect", "delay-connect", "on", "yes"},
	{"log_file", "log-file", "/var/log/a\x1b.log", "/var/log/a\\x1b.log"},
	{"foreground", "foreground", "true", "yes"},
	{"debug", "debug", "1", "yes"},
};

static void test_every_setting_has_three_spellings(void **state)
{
	static const struct {
		const char *before, *between, *after;
		bool not_for_flags;
	} spellings[] = {
		{"--", "=", "|mnt", false},
		{"--", "|", "|mnt", true},
		{"mnt|-o|", "=", "", false},
		{"mnt|-o", "=", "", false},
		{"mnt|-o|rw,", "=", ",nofail", false},
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char line[200], expected[200];

		snprintf(expected, sizeof(expected), "\n%s: %s\n", settings[i].name,
		         settings[i].shown);
		for (size_t j = 0; j < sizeof(spellings) / sizeof(spellings[0]); j++) {
			if (spellings[j].not_for_flags && strcmp(settings[i].shown, "yes") == 0)
				continue;
			snprintf(line, sizeof(line), "fleetfs|%s%s%s%s%s", spellings[j].before,
			         settings[i].name, spellings[j].between, settings[i].value,
			         spellings[j].after);
			assert_config(line, expected);
			snprintf(line, sizeof(line), "fleetfs|%s%s%s%s%s", spellings[j].before,
			         settings[i].dashed, spellings[j].between, settings[i].value,
			         spellings[j].after);
			assert_config(line, expected);
		}
	}
	(void)state;
}

static void test_every_setting_is_in_help_and_has_two_spellings(void **state)
{
	size_t count = 0;
	struct text text;

	text_init(&text, 1 << 16);
	options_help(&text);
	text_bytes(&text, "", 1);
	assert_int_equal(text_error(&text), 0);
	for (const struct setting *row = setting_rows; row->name; row++) {
		char line[100];

		assert_ptr_equal(settings_find(row->name), row);
		assert_in_range(strlen(row->name), 1, SETTING_NAME_BYTES - 1);
		/* getopt_long(3) is given the name with `_` and with `-`, and no mix of them. */
		assert_null(strchr(row->name, '-'));
		assert_ptr_equal(strchr(row->name, '_'), strrchr(row->name, '_'));
		snprintf(line, sizeof(line), "--%s", row->name);
		if (row->help && row->kind != SETTING_REJECTED &&
		    (!strstr(text.bytes, line) || !strstr(text.bytes, row->help)))
			fail_msg("%s is not in --help", row->name);
		if (row->kind > SETTING_FLAG)
			continue;
		assert_in_range(count, 0, sizeof(settings) / sizeof(settings[0]) - 1);
		assert_string_equal(settings[count++].name, row->name);
	}
	assert_int_equal(count, sizeof(settings) / sizeof(settings[0]));
	for (const char *line = text.bytes; *line; line += strcspn(line, "\n") + 1)
		assert_in_range(strcspn(line, "\n"), 0, 79);
	text_done(&text);
	(void)state;
}

static void test_flags_and_letters(void **state)
{
	struct options options;

	assert_config("fleetfs|--allow-http|mnt", "\nallow_http: yes\n");
	assert_config("fleetfs|-o|allow_http|mnt", "\nallow_http: yes\n");
	assert_config("fleetfs|--allow-http|--allow_http=off|mnt", "\nallow_http: no\n");
	assert_config("fleetfs|-o|allow_http,allow_http=0|mnt", "\nallow_http: no\n");
	assert_config("fleetfs|--allow_http=false|mnt", "\nallow_http: no\n");
	assert_config("fleetfs|mnt", "\nallow_http: no\n");
	assert_config("fleetfs|mnt", "\nteam: -\n");
	assert_config("fleetfs|mnt", "\nsource: " OPTIONS_DEFAULT_SOURCE "\nmountpoint: mnt\n");

	parse_valid("fleetfs|-f|mnt", &options);
	assert_true(options.foreground && !options.debug);
	options_done(&options);
	parse_valid("fleetfs|-d|mnt", &options);
	assert_true(options.foreground && options.debug);
	options_done(&options);
	parse_valid("fleetfs|-fdoallow_other|mnt", &options);
	assert_true(options.foreground && options.debug);
	assert_string_equal(options.fuse, "allow_other");
	options_done(&options);
	parse_valid("fleetfs|-fo|ttl=5|--|-mnt", &options);
	assert_string_equal(options.mountpoint, "-mnt");
	assert_int_equal(options.ttl_ms, 5000);
	options_done(&options);
	(void)state;
}

/* The daemon works in `/`, where a relative path would name another file. */
static void test_relative_paths_become_absolute(void **state)
{
	struct options options;
	char expected[4200], directory[4096];

	assert_non_null(getcwd(directory, sizeof(directory)));
	snprintf(expected, sizeof(expected), "%s/tok", directory);
	parse_valid("fleetfs|--token_file=tok|--token_file=tok|mnt", &options);
	assert_string_equal(options.token_file, expected);
	options_done(&options);
	(void)state;
}

static void test_duration_is_rounded_to_ms(void **state)
{
	static const struct {
		const char *line;
		int64_t ms;
	} rows[] = {
		{"fleetfs|--stale=0|m", 0},
		{"fleetfs|--stale=0.000|m", 0},
		{"fleetfs|--stale=.5|m", 500},
		{"fleetfs|--stale=0.0001|m", 1},
		{"fleetfs|--stale=0.0000000001|m", 1},
		{"fleetfs|--stale=0.0014|m", 1},
		{"fleetfs|--stale=0.0015|m", 2},
		{"fleetfs|--stale=007.0625|m", 7063},
		{"fleetfs|--stale=2592000|m", 2592000000},
	};
	static const char *const bad[] = {"",
	                                  " 1",
	                                  "1 ",
	                                  "+1",
	                                  "-1",
	                                  "1e2",
	                                  "0x10",
	                                  "inf",
	                                  "nan",
	                                  "1,5",
	                                  "1.2.3",
	                                  ".",
	                                  "1.",
	                                  "10s",
	                                  "١",
	                                  "2592000.001",
	                                  "99999999999999999999"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options options;

		parse_valid(rows[i].line, &options);
		assert_int_equal(options.stale_ms, rows[i].ms);
		options_done(&options);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char line[100];

		snprintf(line, sizeof(line), "fleetfs|--stale=%s|m", bad[i]);
		assert_rejected(line, 2, "' is not allowed: seconds from 0 to 2592000");
	}
	(void)state;
}

static void test_error_names_option_value_and_what_is_allowed(void **state)
{
	static const struct {
		const char *line, *reason;
	} rows[] = {
		{"fleetfs|--ttl=0|m", "ttl: '0' is not allowed: seconds from 0.1 to 86400"},
		{"fleetfs|m|-o|ttl=0.09", "ttl: '0.09' is not allowed: seconds from 0.1 to 86400"},
		{"fleetfs|--ttl=86401|m", "ttl: '86401' is not allowed"},
		{"fleetfs|--timeout=3601|m", "seconds from 0.1 to 3600"},
		{"fleetfs|--refresh=0.09|m",
	         "refresh: '0.09' is not allowed: seconds from 0.1 to 86400, or 0"},
		{"fleetfs|--refresh=86401|m", "refresh: '86401' is not allowed"},
		{"fleetfs|--name=|m", "name: '' is not allowed: a text of 1 to 64 bytes"},
		{"fleetfs|--name="
	         "0123456789012345678901234567890123456789012345678901234567890123x|m",
	         "a text of 1 to 64 bytes"},
		{"fleetfs|--connect-timeout=601|m", "seconds from 0.1 to 600"},
		{"fleetfs|--retries=11|m", "retries: '11' is not allowed: a number from 0 to 10"},
		{"fleetfs|--retries=-1|m", "retries: '-1' is not allowed"},
		{"fleetfs|--retries=1.0|m", "retries: '1.0' is not allowed"},
		{"fleetfs|--per_page=0|m", "a number from 1 to 100"},
		{"fleetfs|--per_page=101|m", "a number from 1 to 100"},
		{"fleetfs|--per_page=4294967297|m", "a number from 1 to 100"},
		{"fleetfs|--max_connections=65|m", "a number from 1 to 64"},
		{"fleetfs|--team=a b|m", "team: 'a b' is not allowed: letters, digits"},
		{"fleetfs|--team=a\nX-Evil: 1|m", "team: 'a\\x0aX-Evil: 1' is not allowed"},
		{"fleetfs|--team=|m", "team: '' is not allowed"},
		{"fleetfs|--cacert=|m", "cacert: '' is not allowed"},
		{"fleetfs|--log_file=~/log|m", "log_file: '~/log' is not allowed: a file ('~' is"},
		{"fleetfs|~/fleet.json|m", "source '~/fleet.json' begins with '~', which is not"},
		{"fleetfs|~/m", "mount point '~/m' begins with '~', which is not expanded"},
		{"fleetfs|--allow_http=maybe|m", "allow_http: 'maybe' is not allowed: yes or no"},
		{"fleetfs|m|--ttl", "ttl: its value is missing: seconds"},
		{"fleetfs|m|-o|ttl", "ttl: its value is missing: seconds"},
		{"fleetfs|-o|ttl|5", "ttl: its value is missing: seconds"},
		{"fleetfs|m|-o", "-o: its value is missing"},
		{"fleetfs|m|-o|fsname", "fsname: its value is missing"},
		{"fleetfs|m|-o|allow_other=1",
	         "allow_other: '1' is not allowed: it takes no value"},
		{"fleetfs|--ttll=1|m", "unknown option '--ttll': did you mean '--ttl'?"},
		{"fleetfs|-o|per-pages=1|m",
	         "unknown option 'per-pages': did you mean 'per_page'?"},
		{"fleetfs|-o|allow_othr|m", "did you mean 'allow_other'?"},
		{"fleetfs|--tlt=1|m", "unknown option '--tlt': did you mean '--ttl'?"},
		{"fleetfs|--tt=1|m", "unknown option '--tt': did you mean '--ttl'?"},
		{"fleetfs|--time=1|m", "unknown option '--time': fleetfs --help"},
		{"fleetfs|m|--retr", "unknown option '--retr': fleetfs --help"},
		{"fleetfs|--con=1|m", "unknown option '--con': fleetfs --help"},
		{"fleetfs|--=1|m", "unknown option '--': fleetfs --help"},
		{"fleetfs|---|m", "unknown option '---': fleetfs --help"},
		{"fleetfs|-f-foreground|m", "unknown option '-f-foreground': did you mean"},
		{"fleetfs|-ksk-secret|m", "unknown option '-k': fleetfs --help"},
		{"fleetfs|-fdk-secret|m", "unknown option '-fdk': fleetfs --help"},
		{"fleetfs|--sk-secret1|m", "unknown option '--sk-***'"},
		{"fleetfs|-o|sk-secret1|m", "unknown option 'sk-***'"},
		{"fleetfs|--ttl=sk-secret1|m", "ttl: 'sk-***' is not allowed"},
		{"fleetfs|-o|team=x/dk-secret1|m", "team: 'x/dk-***' is not allowed"},
		{"fleetfs|--ttl=sk-a/b+c/secret1|m", "ttl: 'sk-***' is not allowed"},
		{"fleetfs|--ttl=task-secret1|m", "ttl: 'task-secret1' is not allowed"},
		{"fleetfs|--cahcert=1|m", "unknown option '--cahcert': did you mean '--cacert'?"},
		{"fleetfs|--logfile=1|m", "did you mean '--log_file'?"},
		{"fleetfs|--allowhttp|m", "did you mean '--allow_http'?"},
		{"fleetfs|-ttl=1|m", "unknown option '-ttl': did you mean '--ttl'?"},
		{"fleetfs|-check|m", "unknown option '-check': did you mean '--check'?"},
		{"fleetfs|-o|chek|m", "unknown option 'chek': fleetfs --help"}, /* not 'check' */
		{"fleetfs|-o|noatme|m", "unknown option 'noatme': did you mean 'noatime'?"},
		{"fleetfs|--nodiratme|m", "unknown option '--nodiratme': fleetfs --help"},
		{"fleetfs|--frobnicate=secret|m", "unknown option '--frobnicate': fleetfs --help"},
		{"fleetfs|--rw|m", "rw: must be given as -o rw"},
		{"fleetfs|-o|check|m", "check: must be given as --check"},
		{"fleetfs|--foo|m", "unknown option '--foo': fleetfs --help"},
		{"fleetfs|-x|m", "unknown option '-x'"},
		{"fleetfs|m|-o|fsname=", "fsname: '' is not allowed: any text"},
		{"fleetfs|m|-o|subtype=",
	         "subtype: '' is not allowed: a text without ',' and '\\'"},
		{"fleetfs|m|-o|subtype=\"a,b\"", "subtype: 'a,b' is not allowed"},
		{"fleetfs|m|--subtype=a\\b", "subtype: 'a\\b' is not allowed"},
		{"fleetfs|m|-o|allow_root", "allow_root: would let every user read"},
		{"fleetfs|m|-o|remount,ro", "remount: the options of a mount cannot be changed"},
		{"fleetfs|--token=sk-1|m", "a token is never an argument: use token_file or"},
		{"fleetfs|--key|sk-1|m", "a token is never an argument"},
		{"fleetfs|m|-o|password=p", "a token is never an argument"},
		{"fleetfs", "the mount point is missing: fleetfs [OPTIONS]"},
		{"fleetfs|", "the mount point is missing"},
		{"fleetfs|https://api.example", "the mount point is missing"},
		{"fleetfs|a|b|c", "too many operands"},
		{"fleetfs|--check|https://api.example|m", "too many operands: fleetfs --check"},
		{"fleetfs|--ttl=0|--retries=99|m", "ttl: '0'"}, /* the first */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rejected(rows[i].line, 2, rows[i].reason);
	assert_rejected("fleetfs|--token=sk-1|m", 2, "token");
	assert_null(strstr(why, "sk-1"));
	assert_rejected("fleetfs|--tokn=sk-1|m", 2, "unknown option '--tokn': fleetfs --help");
	assert_null(strstr(why, "sk-1"));
	(void)state;
}

static void test_options_of_mount_are_accepted_and_those_of_fuse_passed_on(void **state)
{
	struct options options;

	parse_valid("fleetfs|https://api.example/v1|/mnt/fleet|-o|"
	            "rw,noexec,nosuid,nodev,user=me,_netdev,nofail,x-systemd.automount,"
	            "X-mount.mkdir=0755,comment=a\\,b,ttl=30,,allow_other,delay_connect",
	            &options);
	assert_string_equal(options.source, "https://api.example/v1");
	assert_string_equal(options.mountpoint, "/mnt/fleet");
	assert_int_equal(options.ttl_ms, 30000);
	assert_true(options.delay_connect);
	assert_string_equal(options.fuse, "allow_other");
	options_done(&options);

	/* mount.fuse3(8) adds dev,suid; libmount(3) passes on every option that it does not know.
	 */
	for (const struct setting *row = setting_rows; row->name; row++) {
		char line[100];

		if (row->kind != SETTING_IGNORED)
			continue;
		snprintf(line, sizeof(line), "fleetfs|m|-o|rw,%s,%s=me,dev,suid", row->name,
		         row->name);
		parse_valid(line, &options);
		assert_string_equal(options.fuse, "");
		options_done(&options);
	}

	parse_valid("fleetfs|m|-oauto-unmount,fsname=a\\,b\\\\c|--subtype|fleet|-o|max_read=4096|"
	            "-o|log_file=/a\\,b,context=system_u:object_r:tmp_t:s0",
	            &options);
	assert_string_equal(options.fuse, "auto_unmount,fsname=a\\,b\\\\c,subtype=fleet,"
	                                  "context=system_u:object_r:tmp_t:s0");
	assert_string_equal(options.log_file, "/a,b");
	options_done(&options);
	(void)state;
}

static void test_value_in_quotes_contains_commas(void **state)
{
	assert_config("fleetfs|m|-o|ttl=7,name=\"a, b\",per_page=9", "\nname: a, b\n");
	assert_config("fleetfs|m|-o|ttl=7,name=\"a, b\",per_page=9", "\nper_page: 9\n");
	assert_config("fleetfs|m|-o|x-y=\"z,nonsense\",name=\"a=\\\"b\\\"\"", "\nname: a=\"b\"\n");
	assert_config("fleetfs|m|-o|name=\\\"a\\\"", "\nname: \"a\"\n");
	assert_config("fleetfs|m|-o|name=5\" disk", "\nname: 5\" disk\n");
	assert_rejected("fleetfs|m|-o|name=\"a,b", 2, "-o name: the value must end with '\"'");
	assert_rejected("fleetfs|m|-o|name=\"a\\\"", 2, "must end");
	assert_rejected("fleetfs|m|-o|name=\"a\"b,ttl=3", 2, "must end");
	assert_rejected("fleetfs|m|-o|name=\"", 2, "must end");
	(void)state;
}

static void test_help_and_version_ignore_errors(void **state)
{
	static const char *const lines[] = {"fleetfs|-h", "fleetfs|--help|a|b|c|d",
	                                    "fleetfs|--ttl=0|--nonsense|-V", "fleetfs|-fV",
	                                    "fleetfs|--version|http://evil.example|m"};
	struct options options;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse_valid(lines[i], &options);
		assert_true(options.help || options.version);
		options_done(&options);
	}
	(void)state;
}

static void test_team_is_by_default_from_the_environment(void **state)
{
	setenv("CYBERUN_TEAM_ID", "team-7", 1);
	assert_config("fleetfs|m", "\nteam: team-7\n");
	assert_config("fleetfs|--team=other|m", "\nteam: other\n");
	setenv("CYBERUN_TEAM_ID", "", 1);
	assert_config("fleetfs|m", "\nteam: -\n");
	setenv("CYBERUN_TEAM_ID", "a:b", 1);
	assert_rejected("fleetfs|m", 2, "CYBERUN_TEAM_ID: 'a:b' is not allowed");
	assert_config("fleetfs|--team=other|m", "\nteam: other\n");
	unsetenv("CYBERUN_TEAM_ID");
	(void)state;
}

/* The CA members of options must be `cacert,ca_dirs,ca_exclusive`, with `-` for NULL. */
static void assert_cas(const char *line, const char *expected)
{
	struct options options;
	char found[300];

	parse_valid(line, &options);
	snprintf(found, sizeof(found), "%s,%s,%d", options.cacert ? options.cacert : "-",
	         options.ca_dirs ? options.ca_dirs : "-", options.ca_exclusive);
	assert_string_equal(found, expected);
	options_done(&options);
}

static void test_ca_variables_have_no_effect_with_cacert_or_without_https(void **state)
{
	setenv("SSL_CERT_FILE", "/ssl.pem", 1);
	assert_cas("fleetfs|m", "/ssl.pem,-,0");
	assert_cas("fleetfs|--cacert=/ca.pem|m", "/ca.pem,-,1");
	assert_cas("fleetfs|http://127.0.0.1|m", "-,-,0");
	assert_cas("fleetfs|/fleet.json|m", "-,-,0");
	setenv("SSL_CERT_DIR", "/a:/b", 1);
	assert_cas("fleetfs|HTTPS://127.0.0.1|m", "/ssl.pem,/a:/b,0");
	assert_cas("fleetfs|--cacert=/ca.pem|m", "/ca.pem,-,1");
	setenv("SSL_CERT_FILE", "", 1);
	assert_cas("fleetfs|m", "-,/a:/b,0");
	setenv("SSL_CERT_DIR", ":", 1);
	assert_cas("fleetfs|m", "-,-,0");
	setenv("SSL_CERT_DIR", "", 1);
	assert_cas("fleetfs|m", "-,-,0");
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	(void)state;
}

static void test_source_that_is_a_file(void **state)
{
	/* source NULL: given, in the working directory. */
	static const struct {
		const char *given, *source;
	} good[] = {
		{"/fleet.json", "/fleet.json"},
		{"fleet.json", NULL},
		{"api.example/v1", NULL},
		{"me@home.json", NULL},
		{"14:00.json", NULL},
		{"./me:you@home.json", NULL},
		{"a/http://b", NULL},
		{"/%41?#.json", "/%41?#.json"},
		{"file:///fleet.json", "/fleet.json"},
		{"FILE:///a%20b%2f%C3%A9.json", "/a b/\xc3\xa9.json"},
		{"file://localhost/fleet.json", "/fleet.json"},
		{"file:/fleet.json", "/fleet.json"},
		{"file:///", "/"},
	};
	static const struct {
		const char *given, *reason;
	} bad[] = {
		{"file:fleet.json", "is not a file on this machine"},
		{"file:", "is not a file on this machine"},
		{"file://", "is not a file on this machine"},
		{"file://other/fleet.json", "is not a file on this machine"},
		{"file:////fleet.json", "is not a file on this machine"},
		{"file:///fleet.json?x", "%3F"},
		{"file:///fleet.json#x", "%23"},
		{"file:///a%", "two hex digits"},
		{"file:///a%2", "two hex digits"},
		{"file:///a%2x", "two hex digits"},
		{"file:///a%00", "two hex digits"},
	};
	char line[2000], expected[4200], *here = getcwd(NULL, 0);

	assert_non_null(here);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct options options;

		snprintf(expected, sizeof(expected), "%s/%s", here, good[i].given);
		snprintf(line, sizeof(line), "fleetfs|%s|m", good[i].given);
		parse_valid(line, &options);
		assert_string_equal(options.source, good[i].source ? good[i].source : expected);
		assert_true(source_is_file(options.source));
		options_done(&options);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "fleetfs|%s|m", bad[i].given);
		assert_rejected(line, 2, bad[i].reason);
	}
	free(here);
	(void)state;
}

static void test_source_that_is_a_url(void **state)
{
	static const struct {
		const char *given, *source;
	} good[] = {
		{"https://api.example", "https://api.example"},
		{"https://api.example/v1///", "https://api.example/v1"},
		{"HTTPS://API.example:8443/v1", "HTTPS://API.example:8443/v1"},
		{"https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443/v1"},
		{"https://agents", "https://agents"},
		{"https://api.example/agents/v1", "https://api.example/agents/v1"},
	};
	static const struct {
		const char *given, *reason;
	} bad[] = {
		{"", "'' is not an http or https URL"},
		{"ftp://api.example", "is not an http or https URL"},
		{"https://", "is not an http or https URL"},
		{"https:///v1", "has no valid host"},
		{"https://:80/v1", "has no valid host"},
		{"https://api.example:", "has no valid host"},
		{"https://api.example:0x50", "has no valid host"},
		{"https://api.example:99999", "has no valid host"},
		{"https://[::1", "has no valid host"},
		{"https://[::1]x", "has no valid host"},
		{"https://[api]", "has no valid host"},
		{"https://api%2eexample", "has no valid host"},
		{"https://api.example/agents/", "leave that out"},
		{"https://api.example/v1/agents", "leave that out"},
		{"https://api.example/v1?page=2", "contains '?' or '#'"},
		{"https://api.example/v1#x", "contains '?' or '#'"},
		{"https://api.example/a b", "is not allowed in a URL"},
		{"https://api.example/\x1b[2J", "is not allowed in a URL"},
		{"https://api.example/\x7f", "is not allowed in a URL"},
		{"https://api.example\\@evil.example", "password"},
		{"https://api.example\\evil.example", "is not allowed in a URL"},
		{"https://b\u00fccher.example", "is not allowed in a URL"},
		{"https://me:hunter2@api.example", "must not contain a user or password"},
		{"me:hunter2@api.example", "password"},
		{"me:hunter2@api.example/v1/x.json", "password"},
		{"http:/api.example", "is not an http or https URL"},
	};
	char line[2000];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct options options;

		snprintf(line, sizeof(line), "fleetfs|%s|m", good[i].given);
		parse_valid(line, &options);
		assert_string_equal(options.source, good[i].source);
		options_done(&options);
		snprintf(line, sizeof(line), "fleetfs|--check|%s", good[i].given);
		parse_valid(line, &options);
		assert_string_equal(options.source, good[i].source);
		assert_null(options.mountpoint);
		options_done(&options);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "fleetfs|%s|m", bad[i].given);
		assert_rejected(line, 2, bad[i].reason);
		assert_null(strstr(why, "hunter2"));
	}
	snprintf(line, sizeof(line), "fleetfs|https://h/%01200d|m", 0);
	assert_rejected(line, 2, "is longer than 1024 bytes");
	(void)state;
}

static void test_plain_http_is_allowed_to_loopback_only(void **state)
{
	static const char *const here[] = {"localhost", "LocalHost:8080",      "fleet.localhost",
	                                   "127.0.0.1", "127.0.0.1:80/v1",     "127.255.1.2",
	                                   "[::1]",     "[0:0:0:0:0:0:0:1]:80"};
	static const char *const elsewhere[] = {"api.example",
	                                        "127.0.0.1.evil.example",
	                                        "127.1",
	                                        "0x7f.1",
	                                        "0x7f000001",
	                                        "2130706433",
	                                        "0177.0.0.1",
	                                        "127.0.0.01",
	                                        "127.0.0.256",
	                                        "128.0.0.1",
	                                        "0.0.0.0",
	                                        "[::]",
	                                        "[::2]",
	                                        "[::ffff:10.0.0.1]",
	                                        "localhost.evil.example",
	                                        "evil-localhost",
	                                        "xlocalhost",
	                                        ".localhost",
	                                        "localhost.",
	                                        "[fe80::1]",
	                                        "10.0.0.1"};
	struct options options;
	char line[200];

	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		snprintf(line, sizeof(line), "fleetfs|http://%s|m", here[i]);
		parse_valid(line, &options);
		options_done(&options);
	}
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		snprintf(line, sizeof(line), "fleetfs|HTTP://%s|m", elsewhere[i]);
		assert_rejected(line, 1, "--allow_http");
		snprintf(line, sizeof(line), "fleetfs|http://%s|m|-o|allow_http", elsewhere[i]);
		parse_valid(line, &options);
		options_done(&options);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_setting_has_its_default),
		cmocka_unit_test(test_every_setting_has_three_spellings),
		cmocka_unit_test(test_every_setting_is_in_help_and_has_two_spellings),
		cmocka_unit_test(test_flags_and_letters),
		cmocka_unit_test(test_relative_paths_become_absolute),
		cmocka_unit_test(test_duration_is_rounded_to_ms),
		cmocka_unit_test(test_error_names_option_value_and_what_is_allowed),
		cmocka_unit_test(test_options_of_mount_are_accepted_and_those_of_fuse_passed_on),
		cmocka_unit_test(test_value_in_quotes_contains_commas),
		cmocka_unit_test(test_help_and_version_ignore_errors),
		cmocka_unit_test(test_team_is_by_default_from_the_environment),
		cmocka_unit_test(test_ca_variables_have_no_effect_with_cacert_or_without_https),
		cmocka_unit_test(test_source_that_is_a_file),
		cmocka_unit_test(test_source_that_is_a_url),
		cmocka_unit_test(test_plain_http_is_allowed_to_loopback_only),
	};

	unsetenv("CYBERUN_TEAM_ID");
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
