/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

/*
 * Ties the rooms together: api/client fetches what cache/fleet wants, fs/ops shows what it knows.
 *
 * The order of the start matters. What can be refused without the network is refused first, on the
 * caller's own stderr. Then the fork, before there are threads and before libcurl is initialised,
 * since neither survives one. The child fetches page 1 and mounts; only then does the parent leave,
 * so that "mounted" means it.
 */

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "api/json/decode.h"
#include "cache/fleet.h"
#include "fs/fuse/invalidator.h"
#include "fs/fuse/loop.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/ops.h"
#include "fs/fuse/own_mount.h"
#include "fs/fuse/session.h"
#include "fs/program/background.h"
#include "fs/program/ca.h"
#include "fs/program/check.h"
#include "fs/program/fetch_results.h"
#include "fs/program/log.h"
#include "fs/program/notify.h"
#include "fs/program/options.h"
#include "fs/program/paths.h"
#include "fs/program/probe.h"
#include "fs/program/process.h"
#include "fs/program/source.h"
#include "fs/tree/names.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

#define WHY_BYTES (3 * PATH_MAX) /* of a sentence that names two paths */

/* Descriptors beside the connections to the API: standard ones, FUSE, signals, log, files. */
#define FEW_DESCRIPTORS 32

struct program {
	struct options options;
	struct status status;
	char version[512];
	struct text config; /* of .fleetfs/config; ends with NUL */
	struct mountpoint mountpoint;
	struct own_mount mount;
	int manager_fd; /* the service manager; -1: none */
	struct credential *credential;
	struct client *client;
	struct fleet *fleet;
	struct ops *ops;
	struct check check; /* with --check, instead of ops and session */
	struct fuse_session *session;
	int signals_fd;
	struct background background;
	int terminal_fd;          /* in the foreground: it ends with this terminal; -1: none */
	int64_t asked_timeout_ms; /* `timeout` as given, if the kernel's limit is lower; else 0 */
	struct fetch_results fetch_results;
	struct invalidator invalidator;
	char why[WHY_BYTES]; /* why a step failed; one buffer, since the stack may be small at first
	                      */
};

/* Ports of the cache */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Time spent suspended makes data old, too; setting the clock does not. */
static int64_t port_now_ms(void *user)
{
	(void)user;
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

static int64_t port_wall_ns(void *user)
{
	(void)user;
	return clock_ns(CLOCK_REALTIME);
}

static uint32_t port_random(void *user)
{
	uint32_t random = 0;

	(void)user;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)clock_ns(CLOCK_MONOTONIC);
	return random;
}

static int port_want(void *user, unsigned int page, const struct validator *condition,
                     bool no_cache)
{
	const struct program *program = user;

	return client_want(program->client, page, condition, no_cache);
}

static void port_duplicate(void *user, const struct record *record)
{
	struct program *program = user;
	char name[NAME_BYTES];

	snprintf(name, sizeof(name), "%s", record->name);
	client_redact(program->client, name, sizeof(name));
	malformed_log_duplicate(&program->fetch_results.malformed, name);
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct program *program = user;

	/* Before the mount nobody knows anything. */
	if (!program->fetch_results.mounted)
		return 0;
	return ops_changed(program->ops, record, before, after, at_ns);
}

/* What the loop is told of */

static bool on_arrival(void *user)
{
	struct program *program = user;

	return fetch_results_take(&program->fetch_results);
}

static void port_drop(void *user, bool agents_too)
{
	struct program *program = user;

	invalidator_begin(&program->invalidator, agents_too);
}

static bool is_dropping(void *user)
{
	struct program *program = user;

	return invalidator_busy(&program->invalidator);
}

static void on_hangup(struct program *program)
{
	log_reopen();
	log_info("SIGHUP: %severything is fetched anew when it is read",
	         source_is_file(program->options.source) ? "" : "the token is read again, and ");
	client_reread(program->client);
	fleet_expire(program->fleet);
	/* The kernel would believe every agent's name for the rest of the ttl; and what it keeps,
	 * since it is in use, it would take up again: hence new folders. */
	ops_renew_folders(program->ops);
	invalidator_begin(&program->invalidator, true);
}

static bool on_signal(void *user, int number, int code)
{
	struct program *program = user;

	if (process_must_end(number, code, program->terminal_fd))
		return true;
	on_hangup(program);
	return false;
}

/* Starting */

__attribute__((format(printf, 2, 0))) static void on_fuse_log(enum fuse_log_level level,
                                                              const char *format, va_list arguments)
{
	char line[512];
	int length = vsnprintf(line, sizeof(line), format, arguments);

	while (length > 0 && length < (int)sizeof(line) && line[length - 1] == '\n')
		line[--length] = '\0';
	log_line(level <= FUSE_LOG_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s", line);
}

/* Until it is mounted: a start that fails says why itself, in one line. */
__attribute__((format(printf, 2, 0))) static void on_early_fuse_log(enum fuse_log_level level,
                                                                    const char *format,
                                                                    va_list arguments)
{
	(void)level;
	on_fuse_log(FUSE_LOG_DEBUG, format, arguments);
}

static void limit_timeout(struct program *program)
{
	int64_t longest_ms = process_longest_request_ms();

	if (longest_ms == 0 || program->options.timeout_ms <= longest_ms || program->options.check)
		return;
	program->asked_timeout_ms = program->options.timeout_ms;
	program->options.timeout_ms = longest_ms;
}

/* What can be refused without the network. */
static int prepare(struct program *program)
{
	const struct options *options = &program->options;
	struct failure failure = {0};

	if (process_raise_limits(FEW_DESCRIPTORS + options->max_connections, program->why,
	                         sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	if (!options->check && mountpoint_prepare(&program->mountpoint, options->mountpoint,
	                                          program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	if (ca_check(options, program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	if (!source_is_file(options->source) &&
	    credential_new(options->token_file, options->team, &program->credential, &failure) < 0)
		return log_failed_start("%s", failure.message);
	credential_scrub_environment();
	limit_timeout(program);
	if (!options->check &&
	    paths_check(program->mountpoint.path, options,
	                program->credential ? credential_source(program->credential) : NULL,
	                program->why, sizeof(program->why)) < 0)
		return log_failed_start("%s", program->why);
	return 0;
}

/* Where messages go once it is mounted; until then they are for the caller's stderr. */
static int begin_log(const struct options *options)
{
	int err = log_open(options->log_file, options->foreground, options->debug);

	return err < 0 ? log_failed_start("cannot open log_file %s: %s", options->log_file,
	                                  strerror(-err))
	               : 0;
}

/* Writes the settings in force, for .fleetfs/config. Returns 0 or -errno. */
static int describe_config(struct program *program)
{
	struct text *text = &program->config;
	struct ca_system system;

	client_system_ca(&system.bundle, &system.directory);
	text_init(text, 1 << 20);
	options_text(&program->options, program->mountpoint.path, text);
	ca_text(&program->options, &system, text);
	text_bytes(text, "", 1);
	return text_error(text);
}

static int start_parts(struct program *program)
{
	const struct options *options = &program->options;
	const bool file = source_is_file(options->source);
	const struct client_config client_config = {
		.base = file ? NULL : options->source,
		.file = options->source,
		.ttl_ms = options->ttl_ms,
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
	const struct fleet_config fleet_config = {
		.ttl_ms = options->ttl_ms,
		.stale_ms = options->stale_ms,
		.timeout_ms = options->timeout_ms,
		.retries = file ? 0 : options->retries, /* it says the same at once again */
		.per_page = options->per_page,
		.max_connections = options->max_connections,
	};
	const struct fleet_ports ports = {
		.user = program,
		.want = port_want,
		.now_ms = port_now_ms,
		.wall_ns = port_wall_ns,
		.random = port_random,
		.name = name_encode,
		.changed = port_changed,
		.duplicate = port_duplicate,
	};
	int err;

	if (describe_config(program) < 0)
		return log_failed_start("out of memory");
	program->status = (struct status){
		.config = program->config.bytes,
		.version = program->version,
		.mounted_ns = port_wall_ns(NULL),
	};
	if (program->credential) {
		program->status.token_kind = credential_kind(program->credential);
		program->status.token_source = strdup(credential_source(program->credential));
		program->status.token_expiry = credential_expiry(program->credential);
		if (!program->status.token_source)
			return log_failed_start("out of memory");
	}
	err = client_new(&client_config, program->credential, &program->client);
	if (err < 0)
		return log_failed_start("cannot start the fetching thread: %s", strerror(-err));
	program->credential = NULL;
	program->fleet = fleet_new(&fleet_config, &ports);
	program->status.fleet = program->fleet;
	program->fetch_results = (struct fetch_results){
		.client = program->client,
		.fleet = program->fleet,
		.options = options,
		.status = &program->status,
		.check = options->check ? &program->check : NULL,
	};
	if (program->fleet)
		program->ops = ops_new(program->fleet, &program->status,
		                       (uint64_t)port_random(NULL) << 32 | port_random(NULL),
		                       port_drop, program);
	return program->ops ? 0 : log_failed_start("out of memory");
}

/* Returns 0 or an exit status. */
static int flush_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return log_failed_start("cannot write to stdout: %s", strerror(errno));
}

static int check(struct program *program, const struct probe *probe)
{
	int err, status;

	check_init(&program->check, &program->options, &program->status);
	err = check_run(&program->check, probe);
	if (err == 0)
		fetch_results_print_notes(&program->fetch_results);
	status = flush_stdout();
	if (status != 0)
		return status;
	return err < 0 ? probe_report_failure(probe, err) : 0;
}

static int mount_session(struct program *program)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	char *joined = options_mount(&program->options);
	int err = -EINVAL;

	if (joined && fuse_opt_add_arg(&arguments, "fleetfs") == 0 &&
	    fuse_opt_add_arg(&arguments, "-o") == 0 && fuse_opt_add_arg(&arguments, joined) == 0)
		program->session = ops_session(program->ops, &arguments);
	process_close_on_exec(); /* for fusermount3 */
	if (program->session)
		err = own_mount_make(&program->mount, program->session, program->mountpoint.path,
		                     program->options.debug, program->why, sizeof(program->why));
	mountpoint_unlock(&program->mountpoint);
	fuse_opt_free_args(&arguments);
	free(joined);
	if (!program->session)
		return log_failed_start("libfuse rejects the mount options: start with -d to see "
		                        "why");
	return err < 0 ? log_failed_start("%s", program->why) : 0;
}

static int let_go(struct program *program)
{
	int err = background_done(&program->background);

	return err < 0 ? log_failed_start("cannot go into the background: %s", strerror(-err)) : 0;
}

/* Connects to the service manager, if there is one. A failure is logged. */
static void connect_manager(struct program *program)
{
	int err = notify_connect(&program->manager_fd);

	if (err < 0)
		log_warning("cannot reach the service manager: %s", strerror(-err));
}

/* The service manager knows the parent, which exits in the background: hence MAINPID. */
static void notify_manager(const struct program *program, const char *what)
{
	char state[64];
	int err;

	if (program->manager_fd < 0)
		return;
	snprintf(state, sizeof(state), "%s\nMAINPID=%d", what, (int)getpid());
	err = notify_send(program->manager_fd, state);
	if (err < 0)
		log_warning("cannot send %s to the service manager: %s", what, strerror(-err));
}

/* Mounts, and prepares all that the loop needs. Returns 0 or an exit status. */
static int mount_all(struct program *program)
{
	int err;

	/* Everything is opened before mounting, since a path may lead into the mount afterwards. */
	if (begin_log(&program->options) != 0)
		return EXIT_FAILURE;
	connect_manager(program);
	if (mountpoint_check_unchanged(&program->mountpoint, program->why, sizeof(program->why)) <
	    0)
		return log_failed_start("%s", program->why);
	if (mount_session(program) != 0)
		return EXIT_FAILURE;
	err = ops_attach(program->session);
	if (err < 0)
		return log_failed_start("cannot use /dev/fuse: %s", strerror(-err));
	if (invalidator_init(&program->invalidator, program->session, program->mountpoint.path) < 0)
		return log_failed_start("out of memory");
	return let_go(program);
}

/* Unmounts and reports how that went. Returns the exit status. */
static int unmount(struct program *program)
{
	int err;

	/* Its thread has ended, unless the mount ended first; then the kernel does not block it. */
	invalidator_done(&program->invalidator);
	ops_free(program->ops);
	program->ops = NULL;
	program->mount.mounted = false;
	err = own_mount_remove(&program->mount, program->session, program->why,
	                       sizeof(program->why));
	if (err == -EEXIST)
		log_warning("%s", program->why);
	else if (err < 0)
		log_error("%s", program->why);
	if (err == 0 || err == -EEXIST)
		log_info("unmounted %s", program->mountpoint.path);
	return err == 0 || err == -EEXIST ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve(struct program *program)
{
	const struct loop loop = {
		.session = program->session,
		.ops = program->ops,
		.arrivals_fd = client_fd(program->client),
		.signals_fd = program->signals_fd,
		.user = program,
		.arrived = on_arrival,
		.signalled = on_signal,
		.busy = is_dropping,
	};
	int err, status;

	fuse_set_log_func(on_fuse_log);
	log_info("mounted %s on %s", program->options.source, program->mountpoint.path);
	if (program->asked_timeout_ms > 0)
		log_warning("the kernel aborts mounts whose requests take long "
		            "(fs.fuse.max_request_timeout): timeout is %g s instead of %g s",
		            (double)program->options.timeout_ms / 1000,
		            (double)program->asked_timeout_ms / 1000);
	fetch_results_mounted(&program->fetch_results);
	notify_manager(program, "READY=1");
	err = loop_run(&loop);
	notify_manager(program, "STOPPING=1");
	if (err < 0)
		log_error("the kernel's side failed: %s", strerror(-err));
	status = unmount(program);
	return err < 0 ? EXIT_FAILURE : status;
}

/* Returns the exit status. */
static int run(struct program *program)
{
	int status = start_parts(program);
	struct probe probe;

	if (status != 0)
		return status;
	probe = (struct probe){
		.options = &program->options,
		.fleet = program->fleet,
		.fetch_results = &program->fetch_results,
		.arrivals_fd = client_fd(program->client),
		.signals_fd = program->signals_fd,
		.parent_fd = program->background.parent_fd,
		.terminal_fd = program->terminal_fd,
	};
	if (program->options.check)
		return check(program, &probe);
	if (!program->options.delay_connect)
		status = probe_first_page(&probe);
	if (status == 0)
		status = mount_all(program);
	return status == 0 ? serve(program) : status;
}

/* Before any thread, so that all of them have the signals blocked. */
static int take_signals(struct program *program)
{
	bool foreground = program->background.parent_fd < 0;

	program->terminal_fd = foreground ? process_open_terminal() : -1;
	program->signals_fd = process_take_signals(foreground);
	return program->signals_fd < 0
	               ? log_failed_start("cannot take signals: %s", strerror(-program->signals_fd))
	               : 0;
}

/*
 * Undoes the start in reverse: replies to waiting readers, unmounts, and ends fetching. Returns
 * false if the fetching thread does not end. It still uses memory then, so only _exit(2) is safe.
 */
static bool finish(struct program *program)
{
	if (program->mount.mounted)
		unmount(program);
	ops_free(program->ops);
	if (program->session)
		fuse_session_destroy(program->session);
	fetch_results_done(&program->fetch_results);
	if (!client_free(program->client)) {
		log_warning("the token or the source is on a file system that hangs");
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

static int tell(void (*text_of)(struct text *text))
{
	struct text text;

	text_init(&text, 1 << 20);
	text_of(&text);
	fwrite(text.bytes, 1, text.length, stdout);
	text_done(&text);
	return flush_stdout();
}

/* What the command line asks for; its exit status. */
static int do_it(struct program *program)
{
	const struct options *options = &program->options;
	int status;

	if (options->help)
		return tell(options_help);
	if (options->version) {
		fputs(program->version, stdout);
		return flush_stdout();
	}
#ifndef __SANITIZE_ADDRESS__ /* whose search for leaks must be able to trace the process */
	/* The token is in our memory: no core dump, and no other process of the user may look. */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	fuse_set_log_func(on_early_fuse_log);
	log_open(NULL, true, options->debug);
	status = prepare(program);
	if (status != 0)
		return status;
	if (!options->foreground && !options->check) {
		status = background_begin(&program->background);
		if (status >= 0)
			return status;
	}
	status = take_signals(program);
	return status != 0 ? status : run(program);
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

	process_open_standard_descriptors();
	status = options_parse(argc, argv, &program.options, why);

	if (status != 0) {
		fprintf(stderr, "fleetfs: %s\n", why);
		return status;
	}
	snprintf(program.version, sizeof(program.version), "fleetfs %s\nlibfuse %s\n%s\ncJSON %s\n",
	         FLEETFS_VERSION, fuse_pkgversion(), client_version(), decode_version());
	status = do_it(&program);
	if (!finish(&program))
		_exit(status);
	return status;
}
