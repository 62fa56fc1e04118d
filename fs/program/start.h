/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_START_H
#define FLEETFS_FS_PROGRAM_START_H

/*
 * The steps of a start, up to the mount (fs/program/serve.h). Their order matters:
 *
 * 1. start_check_local(): checks everything that can be checked without the network.
 * 2. The fork into the background, before there are threads and before libcurl is initialised,
 *    since neither survives a fork.
 * 3. start_signals(), before the first thread, so that every thread has the signals blocked.
 * 4. start_parts(): the fetching thread, the cache and the runner of requests.
 *
 * The functions print why they failed, and return 0 or the exit status.
 */

struct program;

/* Checks limits, mount point, CA bundle, token and paths; reads the token and removes it from the
 * environment; locks the mount point. */
int start_check_local(struct program *program);

/* Blocks the signals that the loop reads and opens signals_fd and terminal_fd. */
int start_signals(struct program *program);

/* Starts the fetching thread and creates the cache and the runner of requests
 * (fs/fuse/ops.h). */
int start_parts(struct program *program);

#endif
