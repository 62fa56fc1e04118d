/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_BACKGROUND_H
#define FLEETFS_FS_PROGRAM_BACKGROUND_H

/*
 * Going into the background once the mount exists. The parent waits, so the shell gets its prompt
 * when the mount is there, or the reason on its stderr if the start failed. The child does all the
 * work.
 */

struct background {
	int parent_fd; /* pipe on which the parent waits for a byte; -1: in the foreground */
	int null_fd;   /* /dev/null, opened before the mount, which may cover /dev later */
};

/* Forks. Call it before there are threads and before libcurl is initialised, since neither survives
 * a fork. Returns -1 in the child, which continues. Otherwise returns the exit status: in the
 * parent once the start has ended, or after a failure, whose reason is printed. */
int background_begin(struct background *background);

/* Lets the parent exit, and replaces the standard descriptors with /dev/null. Does nothing in the
 * foreground. Returns 0 or -errno. */
int background_done(struct background *background);

#endif
