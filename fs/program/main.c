/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

/* From the command line to the exit status. */

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "api/json/decode.h"
#include "cache/fleet.h"
#include "fs/fuse/ops.h"
#include "fs/program/bounded.h"
#include "fs/program/libfuse_log.h"
#include "fs/program/log.h"
#include "fs/program/probe.h"
#include "fs/program/process.h"
#include "fs/program/program.h"
#include "fs/program/serve.h"
#include "fs/program/start.h"

#define MAX_HELP_BYTES (1u << 20)

/* Returns 0; or the exit status, after the reason was printed. */
static int main_flush_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return log_failed_start("cannot write to stdout: %s", strerror(errno));
}

static int main_print_help(void)
{
	struct text text;

	text_init(&text, MAX_HELP_BYTES);
	options_help(&text);
	fwrite(text.bytes, 1, text.length, stdout);
	text_done(&text);
	return main_flush_stdout();
}

/* Returns the exit status of --check. */
static int main_check(struct program *program, const struct probe *probe)
{
	int err, status;

	check_init(&program->check, &program->options, &program->status);
	err = check_run(&program->check, probe);
	if (err == 0)
		fetch_results_print_notes(&program->fetch_results);
	status = main_flush_stdout();
	if (status != 0)
		return status;
	return err < 0 ? probe_report_failure(probe, err) : 0;
}

/* With --check, reads the whole list. Otherwise fetches page 1, except with delay_connect, and then
 * mounts and serves. Returns the exit status. */
static int main_fetch_and_serve(struct program *program)
{
	const struct probe probe = {
		.options = &program->options,
		.fleet = program->fleet,
		.fetch_results = &program->fetch_results,
		.results_fd = client_fd(program->client),
		.signals_fd = program->signals_fd,
		.parent_fd = program->background.parent_fd,
		.terminal_fd = program->terminal_fd,
	};
	int status = 0;

	if (program->options.check)
		return main_check(program, &probe);
	if (!program->options.delay_connect)
		status = probe_first_page(&probe);
	if (status == 0)
		status = bounded_run(program, serve_mount);
	return status == 0 ? serve_run(program) : status;
}

/* Does what the command line asks for. Returns the exit status. */
static int main_run(struct program *program)
{
	const struct options *options = &program->options;
	int status;

	if (options->help)
		return main_print_help();
	if (options->version) {
		fputs(program->version, stdout);
		return main_flush_stdout();
	}
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer must be able to trace the process */
	/* The token is in memory: no core dump, and no access for other processes of the user. */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	libfuse_log_redirect(false);
	log_open(NULL, true, options->debug);
	status = start_check_local(program);
	if (status != 0)
		return status;
	if (!options->foreground && !options->check) {
		status = background_begin(&program->background);
		if (status >= 0)
			return status; /* in the parent, or after a failure */
	}
	status = start_signals(program);
	if (status == 0)
		status = start_parts(program);
	return status == 0 ? main_fetch_and_serve(program) : status;
}

/*
 * Stops the parts in reverse order, and frees everything. Returns false, and leaves the rest
 * allocated, if the thread of the invalidator or the fetching thread does not end: it still uses
 * memory, so only _exit(2) is safe.
 */
static bool main_finish(struct program *program)
{
	serve_unmount(program);
	if (invalidator_is_running(&program->invalidator)) {
		log_warning("a file system that does not respond is mounted over the mount point: "
		            "exiting without waiting for it");
		return false;
	}
	ops_free(program->ops);
	if (program->session)
		fuse_session_destroy(program->session);
	fetch_results_done(&program->fetch_results);
	if (!client_free(program->client)) {
		log_warning("the token file or the source is on a file system that does not "
		            "respond: exiting without waiting for it");
		return false;
	}
	fleet_free(program->fleet);
	credential_free(program->credential);
	free((char *)(uintptr_t)program->status.token_source);
	text_done(&program->config);
	mountpoint_done(&program->mountpoint);
	options_done(&program->options);
	return true;
}

int main(int argc, char *argv[])
{
	struct program program = {
		.background.parent_fd = -1,
		.signals_fd = -1,
		.terminal_fd = -1,
		.mountpoint.lock_fd = -1,
		.manager_fd = -1,
	};
	char why[OPTIONS_WHY_BYTES];
	int status;

	process_prepare();
	status = options_parse(argc, argv, &program.options, why);
	if (status != 0) {
		fprintf(stderr, "fleetfs: %s\n", why);
		return status;
	}
	snprintf(program.version, sizeof(program.version), "fleetfs %s\nlibfuse %s\n%s\ncJSON %s\n",
	         FLEETFS_VERSION, fuse_pkgversion(), client_version(), decode_cjson_version());
	status = main_run(&program);
	if (program.abandoned)
		bounded_exit(&program, status);
	if (!main_finish(&program))
		_exit(status);
	return status;
}
