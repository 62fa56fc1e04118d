/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SERVE_H
#define FLEETFS_FS_PROGRAM_SERVE_H

/* Mounting, the callbacks of the loop, and unmounting. */

#include <stdbool.h>

struct program;

/*
 * Mounts the tree and lets the parent process exit. The log, the sockets and /dev/null are opened
 * before the mount, since their paths may lead into it afterwards. A step of bounded_run(). Returns
 * 0; or the exit status, after the reason was printed on stderr.
 */
int serve_mount(struct program *program);

/* Runs the loop until a signal that ends the process (process_must_end()) or until the mount ends,
 * and unmounts. Returns the exit status. */
int serve_run(struct program *program);

/*
 * Frees program->ops (fs/fuse/ops.h), which replies to every waiting reader, and unmounts. If the
 * invalidator's thread goes on, program->ops stays, and the requests of waiting readers fail when
 * the connection is closed. The result is logged. Returns the exit status. Does nothing if nothing
 * is mounted.
 */
int serve_unmount(struct program *program);

/* Makes the kernel forget names: an ops_invalidate for ops_new(). user: the program. */
void serve_invalidate(void *user, bool agents_too);

#endif
