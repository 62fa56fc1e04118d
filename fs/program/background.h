/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_BACKGROUND_H
#define FLEETFS_FS_PROGRAM_BACKGROUND_H

/*
 * Going into the background, so that the shell gets its prompt only when the mount is there, or has
 * failed with the reason on the shell's stderr: the child does all the work, and the parent waits
 * for its word.
 *
 * Before there are threads, and before libcurl: neither survives a fork.
 */

struct background {
	int parent_fd; /* the parent waits for a byte there; -1: in the foreground */
	int null_fd;   /* /dev/null, opened before the mount: it might be mounted over later */
};

/* Forks. Returns -1 in the child, which goes on; in the parent, or if fork(2) failed, the exit
 * status of the start (a failure is printed with log_failed_start()). */
int background_begin(struct background *background);

/* Lets the parent exit and releases the terminal. Does nothing in the foreground. Returns 0 or
 * -errno. */
int background_done(struct background *background);

#endif
