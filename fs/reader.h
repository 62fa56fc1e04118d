/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_READER_H
#define FLEETFS_FS_READER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether a thread that waits for a FUSE reply has a signal pending that ends it or that it
 * handles. FUSE reports every pending signal in the same way, also SIGSTOP, SIGTSTP, SIGCONT and
 * what a debugger does, after which the thread goes on waiting.
 *
 * tid: as fuse_req_ctx() gives it. Returns true too if the thread cannot be looked at: 0 (it is in
 * another PID namespace), ended, or hidden.
 */
bool reader_must_return(pid_t tid);

#endif
