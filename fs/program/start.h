/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_START_H
#define FLEETFS_FS_PROGRAM_START_H

/*
 * The steps of a start, up to the mount (fs/program/serve.h). Their order matters:
 *
 * 1. start_check_local(): checks everything that can be checked without the network. Its thread
 *    (fs/program/bounded.h) has ended before step 2.
 * 2. The fork into the background, before libcurl is initialised and while there is one thread,
 *    since neither libcurl nor other threads survive a fork.
 * 3. start_signals(), while there is one thread, so that later threads have the signals blocked.
 * 4. start_parts(): the fetching thread, the cache and program->ops.
 *
 * The functions print why they failed, and return 0 or the exit status.
 */

struct program;

/* Raises the limits of descriptors and stack. Checks and locks the mount point, and detaches a dead
 * mount there. Checks the CA bundle. Reads the token and removes it from the environment. Lowers
 * `timeout` to the kernel's limit. Checks the paths. */
int start_check_local(struct program *program);

/* Blocks the signals that the loop reads and opens signals_fd and terminal_fd. */
int start_signals(struct program *program);

/* Starts the fetching thread, and creates the cache and program->ops (fs/fuse/ops.h). */
int start_parts(struct program *program);

#endif
