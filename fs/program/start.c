/* SPDX-License-Identifier: MIT */
#include "fs/program/start.h"

#include <errno.h>
#include <string.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "cache/fleet.h"
#include "fs/fuse/ops.h"
#include "fs/program/bounded.h"
#include "fs/program/ca.h"
#include "fs/program/cache_ports.h"
#include "fs/program/log.h"
#include "fs/program/paths.h"
#include "fs/program/process.h"
#include "fs/program/program.h"
#include "fs/program/serve.h"
#include "fs/program/source.h"

/* Descriptors besides the connections to the API: standard ones, FUSE, signals, log, files. */
#define OTHER_DESCRIPTORS 32

#define MAX_CONFIG_BYTES (1u << 20)

/* Lowers `timeout` to the time after which the kernel would abort the mount. */
static void start_limit_timeout(struct program *program)
{
	int64_t longest_ms = process_longest_request_ms();

	if (longest_ms == 0 || program->options.timeout_ms <= longest_ms || program->options.check)
		return;
	program->configured_timeout_ms = program->options.timeout_ms;
	program->options.timeout_ms = longest_ms;
}

/* Does what start_check_local() does after the limits: a step of bounded_run(). */
static int start_check_files(struct program *program)
{
	const struct options *options = &program->options;
	struct failure failure = {0};

	program->waiting_for = options->mountpoint;
	if (!options->check && mountpoint_prepare(&program->mountpoint, options->mountpoint,
	                                          program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	program->waiting_for = options->cacert;
	if (ca_check(options, program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	program->waiting_for = options->token_file ? options->token_file : "the token file";
	if (!source_is_file(options->source) &&
	    credential_new(options->token_file, options->team, &program->credential, &failure) < 0)
		return log_failed_start("%s", failure.message);
	credential_scrub_environment();
	start_limit_timeout(program);
	if (!options->check &&
	    paths_check(program->mountpoint.path, options,
	                program->credential ? credential_source(program->credential) : NULL,
	                &program->waiting_for, program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	return 0;
}

int start_check_local(struct program *program)
{
	if (process_raise_limits(OTHER_DESCRIPTORS + program->options.max_connections, program->why,
	                         sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	return bounded_run(program, start_check_files);
}

int start_signals(struct program *program)
{
	bool foreground = program->background.parent_fd < 0;

	program->terminal_fd = foreground ? process_open_terminal() : -1;
	program->signals_fd = process_take_signals(foreground);
	if (program->signals_fd < 0)
		return log_failed_start("cannot receive signals: %s",
		                        strerror(-program->signals_fd));
	return 0;
}

/* Writes the text of .fleetfs/config. Returns 0 or -errno. */
static int start_config(struct program *program)
{
	struct text *text = &program->config;
	struct ca_system system;

	client_system_ca(&system.bundle, &system.directory);
	text_init(text, MAX_CONFIG_BYTES);
	options_text(&program->options, program->mountpoint.path, text);
	ca_text(&program->options, &system, text);
	text_bytes(text, "", 1);
	return text_error(text);
}

/* Fills in the status except its fleet. Returns 0 or -ENOMEM. */
static int start_status(struct program *program)
{
	const struct credential *credential = program->credential;

	if (start_config(program) < 0)
		return -ENOMEM;
	source_title(program->options.source, program->title, sizeof(program->title));
	program->status = (struct status){
		.name = program->options.name,
		.title = program->options.name ? program->options.name : program->title,
		.config = program->config.bytes,
		.version = program->version,
		.started_ns = cache_ports_wall_ns(),
	};
	if (!credential)
		return 0;
	program->status.token_kind = credential_kind_name(credential);
	program->status.token_source = strdup(credential_source(credential));
	program->status.token_expiry = credential_expiry(credential);
	return program->status.token_source ? 0 : -ENOMEM;
}

/* Starts the fetching thread, which takes over the credential. Returns 0 or -errno. */
static int start_client(struct program *program)
{
	const struct options *options = &program->options;
	const struct client_config config = {
		.base = source_is_file(options->source) ? NULL : options->source,
		.file = options->source,
		/* A response from an HTTP cache, or the last check of a file, must not be older
	         * than the interval `refresh`. */
		.ttl_ms = options->refresh_ms > 0 && options->refresh_ms < options->ttl_ms
	                          ? options->refresh_ms
	                          : options->ttl_ms,
		.stale_ms = options->stale_ms,
		.cacert = options->cacert,
		.ca_dirs = options->ca_dirs,
		.ca_exclusive = options->ca_exclusive,
		.timeout_ms = options->timeout_ms,
		.connect_timeout_ms = options->connect_timeout_ms,
		.per_page = options->per_page,
		.max_connections = options->max_connections,
		.diagnostics = options->check,
	};
	int err = client_new(&config, program->credential, &program->client);

	if (err == 0)
		program->credential = NULL;
	return err;
}

/* Creates the cache and program->ops. Returns 0 or -ENOMEM. */
static int start_fleet(struct program *program)
{
	const struct options *options = &program->options;
	const struct fleet_config config = {
		.ttl_ms = options->ttl_ms,
		.stale_ms = options->stale_ms,
		.refresh_ms = options->refresh_ms,
		.timeout_ms = options->timeout_ms,
		/* A file that cannot be read seldom becomes readable within the backoff. */
		.retries = source_is_file(options->source) ? 0 : options->retries,
		.per_page = options->per_page,
		.max_connections = options->max_connections,
	};
	const struct fleet_ports ports = cache_ports(program);

	program->fleet = fleet_new(&config, &ports);
	if (!program->fleet)
		return -ENOMEM;
	program->status.fleet = program->fleet;
	program->fetch_results = (struct fetch_results){
		.client = program->client,
		.fleet = program->fleet,
		.options = options,
		.status = &program->status,
		.check = options->check ? &program->check : NULL,
	};
	program->ops = ops_new(program->fleet, &program->status,
	                       (uint64_t)cache_ports_random() << 32 | cache_ports_random(),
	                       serve_invalidate, program);
	return program->ops ? 0 : -ENOMEM;
}

int start_parts(struct program *program)
{
	int err;

	if (start_status(program) < 0)
		return log_failed_start("out of memory");
	err = start_client(program);
	if (err < 0)
		return log_failed_start("cannot start the fetching thread: %s%s", strerror(-err),
		                        process_thread_remedy(-err));
	return start_fleet(program) == 0 ? 0 : log_failed_start("out of memory");
}
