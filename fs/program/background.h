/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_BACKGROUND_H
#define FLEETFS_FS_PROGRAM_BACKGROUND_H

/*
 * Puts the process into the background once the mount exists: a child process does all the work,
 * and the parent waits until the start has ended. So the shell shows its prompt when the mount
 * exists, or the reason on stderr if the start failed.
 */

struct background {
	int parent_fd; /* pipe on which the parent waits for a byte; -1: in the foreground */
	int null_fd;   /* /dev/null, opened before the mount, which may cover /dev later. Not set
	                  while parent_fd is -1 */
};

/* Forks. Call it while there is one thread and before libcurl is initialised, since neither libcurl
 * nor other threads survive a fork. Returns -1 in the child, which continues with the start.
 * Otherwise returns the exit status, with which the process must end: in the parent once the start
 * has ended; and in either process after a failure, whose reason is printed. */
int background_begin(struct background *background);

/* Changes the directory to `/`, lets the parent exit, and replaces the standard descriptors with
 * /dev/null. Does nothing in the foreground. Returns 0 or -errno. */
int background_done(struct background *background);

#endif
