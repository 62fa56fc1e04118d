/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/program/serve.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/http/client.h"
#include "cache/fleet.h"
#include "fs/fuse/loop.h"
#include "fs/fuse/ops.h"
#include "fs/fuse/session.h"
#include "fs/program/libfuse_log.h"
#include "fs/program/log.h"
#include "fs/program/mount_options.h"
#include "fs/program/notify.h"
#include "fs/program/process.h"
#include "fs/program/program.h"
#include "fs/program/source.h"

/* Opens the log of the mount. Until then messages go to the caller's stderr. */
static int serve_open_log(const struct options *options)
{
	int err = log_open(options->log_file, options->foreground, options->debug);

	return err < 0 ? log_failed_start(
				 "cannot open log_file %s: %s: name a file that can be written",
				 options->log_file, strerror(-err))
	               : 0;
}

/* Connects to the service manager, if there is one. A failure is logged, and fleetfs goes on. */
static void serve_connect_manager(struct program *program)
{
	int err = notify_connect(&program->manager_fd);

	if (err < 0)
		log_warning("cannot connect to the service manager at $NOTIFY_SOCKET (%s): %s",
		            getenv("NOTIFY_SOCKET"), strerror(-err));
}

/* Sends a state to the service manager. In the background the manager knows the process ID of the
 * parent, which has exited; MAINPID is that of this process, the child. */
static void serve_notify_manager(const struct program *program, const char *state)
{
	char message[64];
	int err;

	if (program->manager_fd < 0)
		return;
	snprintf(message, sizeof(message), "%s\nMAINPID=%d", state, (int)getpid());
	err = notify_send(program->manager_fd, message);
	if (err < 0)
		log_warning("cannot send %s to the service manager: %s", state, strerror(-err));
}

static int serve_mount_session(struct program *program)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	char *joined = mount_options_join(&program->options);
	bool complete = joined && fuse_opt_add_arg(&arguments, "fleetfs") == 0 &&
	                fuse_opt_add_arg(&arguments, "-o") == 0 &&
	                fuse_opt_add_arg(&arguments, joined) == 0;
	int err = -EINVAL;

	if (complete)
		program->session =
			session_new(program->ops, &arguments, program->options.auto_unmount);
	process_close_on_exec(); /* for fusermount3 */
	if (program->session)
		err = own_mount_make(&program->mount, program->session, program->mountpoint.path,
		                     program->options.auto_unmount, program->options.debug,
		                     program->why, sizeof(program->why));
	libfuse_log_redirect(false);
	mountpoint_unlock(&program->mountpoint);
	fuse_opt_free_args(&arguments);
	free(joined);
	if (!complete)
		return log_failed_start("out of memory");
	if (!program->session)
		return log_failed_start("libfuse rejects the mount options: start with -d to see "
		                        "why");
	return err < 0 ? log_failed_start("%s", program->why) : 0;
}

int serve_mount(struct program *program)
{
	int err;

	program->waiting_for = program->options.log_file ? program->options.log_file
	                                                 : "/dev/log or the time zone ($TZ)";
	if (serve_open_log(&program->options) != 0)
		return EXIT_FAILURE;
	program->waiting_for = "the socket at $NOTIFY_SOCKET";
	serve_connect_manager(program);
	program->waiting_for = program->options.mountpoint;
	if (mountpoint_check_unchanged(&program->mountpoint, program->why, sizeof(program->why)) <
	    0)
		return log_failed_start("%s", program->why);
	if (serve_mount_session(program) != 0)
		return EXIT_FAILURE;
	err = session_attach(program->session);
	if (err < 0)
		return log_failed_start("cannot use /dev/fuse: %s", strerror(-err));
	invalidator_init(&program->invalidator, program->session, &program->mount);
	err = background_done(&program->background);
	if (err < 0)
		return log_failed_start("cannot go into the background: %s: start with -f",
		                        strerror(-err));
	return 0;
}

int serve_unmount(struct program *program)
{
	int err;

	if (!program->mount.mounted)
		return EXIT_SUCCESS;
	invalidator_done(&program->invalidator);
	/* If the thread goes on, it uses program->ops when it sends a notification. main_finish()
	 * then frees nothing. */
	if (!invalidator_is_running(&program->invalidator)) {
		ops_free(program->ops);
		program->ops = NULL;
	}
	program->mount.mounted = false;
	err = own_mount_remove(&program->mount, program->session, program->why,
	                       sizeof(program->why));
	if (err < 0 && err != -EEXIST) {
		log_error("%s", program->why);
		return EXIT_FAILURE;
	}
	if (err == -EEXIST)
		log_warning("%s", program->why);
	log_info("unmounted %s", program->mountpoint.path);
	return EXIT_SUCCESS;
}

void serve_invalidate(void *user, bool agents_too)
{
	struct program *program = user;

	invalidator_begin(&program->invalidator, agents_too);
}

static bool serve_is_invalidating(void *user)
{
	struct program *program = user;

	return invalidator_is_running(&program->invalidator);
}

static bool serve_take_result(void *user)
{
	struct program *program = user;

	return fetch_results_take(&program->fetch_results);
}

/* Handles SIGHUP: opens the log file again, and has the token or the file and all data read again.
 */
static void serve_reload(struct program *program)
{
	log_reopen();
	log_info("SIGHUP: %sall data is fetched again when it is next read",
	         source_is_file(program->options.source) ? "" : "the token is read again, and ");
	client_reread(program->client);
	program->fetch_results.logged_causes = 0;
	fleet_expire(program->fleet);
	/* Without invalidation the kernel would use the entry of each agent for the rest of its
	 * ttl. The kernel keeps a directory in use with its cached entries, and would use these
	 * again if a later lookup returned the same node. So directories get new nodes. */
	ops_renew_directories(program->ops);
	invalidator_begin(&program->invalidator, true);
}

static bool serve_handle_signal(void *user, int number, int code)
{
	struct program *program = user;

	if (process_must_end(number, code, program->terminal_fd))
		return true;
	serve_reload(program);
	return false;
}

int serve_run(struct program *program)
{
	const struct loop loop = {
		.session = program->session,
		.ops = program->ops,
		.results_fd = client_fd(program->client),
		.signals_fd = program->signals_fd,
		.user = program,
		.take_result = serve_take_result,
		.handle_signal = serve_handle_signal,
		.is_busy = serve_is_invalidating,
	};
	int err, status;

	libfuse_log_redirect(true);
	log_info("mounted %s on %s", program->options.source, program->mountpoint.path);
	if (program->configured_timeout_ms > 0)
		log_warning("timeout is %g s instead of %g s: the kernel aborts mounts whose "
		            "requests take longer (fs.fuse.max_request_timeout or "
		            "fs.fuse.default_request_timeout)",
		            (double)program->options.timeout_ms / 1000,
		            (double)program->configured_timeout_ms / 1000);
	fetch_results_set_mounted(&program->fetch_results);
	serve_notify_manager(program, "READY=1");
	err = loop_run(&loop);
	serve_notify_manager(program, "STOPPING=1");
	if (err < 0)
		log_error("cannot read requests from /dev/fuse: %s: mount again", strerror(-err));
	status = serve_unmount(program);
	return err < 0 ? EXIT_FAILURE : status;
}
