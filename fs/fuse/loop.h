/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_LOOP_H
#define FLEETFS_FS_FUSE_LOOP_H

/*
 * The loop of the FUSE thread: serves the kernel's requests, fetch results, deadlines and signals
 * with one poll(2), which sleeps without a timeout if nothing is due.
 */

#include <stdbool.h>

struct fuse_session;
struct ops;

/* What the loop serves; all borrowed. */
struct loop {
	struct fuse_session *session; /* mounted, and prepared by session_attach() */
	struct ops *ops;
	int results_fd; /* readable when a fetch result has arrived */
	int signals_fd; /* a signalfd(2) for the signals to handle */
	void *user;     /* of the functions below */
	/* Takes one fetch result, or a part of a large one. Returns whether a part is left: then it
	 * is called again even if results_fd is not readable. The kernel's requests are served in
	 * between. */
	bool (*take_result)(void *user);
	/* Handles a signal. Returns whether the loop ends. code: si_code of siginfo_t. */
	bool (*handle_signal)(void *user, int number, int code);
	/* Whether a thread waits for the kernel, which in turn waits for replies of this session.
	 * After the loop has ended, the session is served for up to 2 s more, as long as this
	 * returns true. */
	bool (*is_busy)(void *user);
};

/* Runs until handle_signal() returns true or the mount ends. Returns 0; or -errno if reading
 * /dev/fuse or poll(2) fails. */
int loop_run(const struct loop *loop);

#endif
