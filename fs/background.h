/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_BACKGROUND_H
#define FLEETFS_FS_BACKGROUND_H

/*
 * Going into the background, so that the shell gets its prompt only when the mount is there, or has
 * failed with the reason on the shell's stderr: the child does all the work, and the parent waits
 * for its word.
 *
 * Before there are threads, and before libcurl: neither survives a fork.
 */

/* -1 in the child, which goes on, and *ret_parent_fd; else the exit status of the start, in the
 * parent, or without a child (told by log_failed_start()). */
int background_begin(int *ret_parent_fd);

/* The mount is there: the parent may end, and the terminal is let go of. Nothing with -1. 0 or
 * -errno. */
int background_done(int parent_fd);

#endif
