/* SPDX-License-Identifier: MIT */
#include "fs/program/options.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"
#include "tests/fuzz/fuzz.h"

#define MOST_ARGUMENTS 64
#define TEAM           "CYBERUN_TEAM_ID"

static bool is_absolute(const char *path)
{
	return !path || *path == '/';
}

static void check_parsed(const struct options *options)
{
	char *again, message[OPTIONS_WHY_BYTES];

	if (options->help || options->version)
		return;
	expect(options->source);
	if (!source_is_file(options->source)) {
		expect(source_parse(options->source, options->allow_http, &again, message,
		                    sizeof(message)) == 0);
		expect(strcmp(again, options->source) == 0);
		free(again);
	}
	expect(options->check ? !options->mountpoint : options->mountpoint && *options->mountpoint);
	expect(options->ttl_ms >= 100 && options->ttl_ms <= 86400000);
	expect(options->stale_ms >= 0 && options->stale_ms <= 2592000000);
	expect(options->timeout_ms >= 100 && options->timeout_ms <= 3600000);
	expect(options->connect_timeout_ms >= 100 && options->connect_timeout_ms <= 600000);
	expect(options->retries <= 10);
	expect(options->per_page >= 1 && options->per_page <= 100);
	expect(options->max_connections >= 1 && options->max_connections <= 64);
	expect(is_absolute(options->token_file) && is_absolute(options->cacert) &&
	       is_absolute(options->log_file));
	expect(!options->team || (*options->team && !strpbrk(options->team, " \r\n:,/")));
	expect(options->fuse && (options->foreground || !options->debug));
}

/* .fleetfs/config has a line for each setting, which is safe to print on a terminal. */
static void check_text(const struct options *options)
{
	struct text text;
	size_t lines = 0;

	if (options->help || options->version)
		return;
	text_init(&text, 1 << 20);
	options_text(options, options->mountpoint, &text);
	expect(text_error(&text) == 0 && text.bytes[text.length - 1] == '\n');
	for (const char *at = text.bytes; at < text.bytes + text.length; lines++) {
		const char *end = memchr(at, '\n', (size_t)(text.bytes + text.length - at));

		fuzz_expect_plain(at, (size_t)(end - at));
		expect(memmem(at, (size_t)(end - at), ": ", 2));
		at = end + 1;
	}
	expect(lines == 20);
	text_done(&text);
}

/* data: the arguments, separated by NUL. If the first one is an assignment to $CYBERUN_TEAM_ID, it
 * is made in the environment instead. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "fleetfs";
	char *words = fuzz_string(data, size), *argv[MOST_ARGUMENTS + 1] = {name};
	char why[OPTIONS_WHY_BYTES] = "";
	struct options options;
	int argc = 1, status;

	unsetenv(TEAM);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	for (size_t at = 0; at < size && argc < MOST_ARGUMENTS; at += strlen(words + at) + 1) {
		if (at == 0 && strncmp(words, TEAM "=", sizeof(TEAM)) == 0)
			setenv(TEAM, words + sizeof(TEAM), 1);
		else
			argv[argc++] = words + at;
	}
	memset(&options, 0x55, sizeof(options));
	status = options_parse(argc, argv, &options, why);
	expect(status >= 0 && status <= 2);
	if (status == 0) {
		check_parsed(&options);
		check_text(&options);
		options_done(&options);
	} else {
		expect(*why && memchr(why, '\0', sizeof(why)));
		fuzz_expect_plain(why, strlen(why));
	}
	free(words);
	return 0;
}
