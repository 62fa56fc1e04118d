/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_LOOP_H
#define FLEETFS_FS_FUSE_LOOP_H

/*
 * The FUSE thread: requests of the kernel, arrivals, deadlines and signals in one poll(2), which
 * sleeps for ever when there is nothing to wait for.
 */

#include <stdbool.h>

struct fuse_session;
struct ops;

struct loop {
	struct fuse_session *session; /* mounted, and ops_attach()ed */
	struct ops *ops;
	int arrivals_fd; /* readable when something arrived */
	int signals_fd;  /* a signalfd(2) for the signals below */
	void *user;
	/* Take one thing that arrived, or a part of it; true: call again though the descriptor may
	 * not be readable. In between the kernel's requests are answered. */
	bool (*arrived)(void *user);
	/* Handles a signal; returns whether to end. code: si_code of siginfo_t. */
	bool (*signalled)(void *user, int number, int code);
	bool (*busy)(void *user); /* not yet to end: somebody waits for the kernel, and it for us */
};

/* Runs until signalled() returns true or the mount ends. Returns 0; or -errno if reading /dev/fuse
 * or poll(2) fails. */
int loop_run(const struct loop *loop);

#endif
