/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_READER_H
#define FLEETFS_FS_FUSE_READER_H

/* The threads that wait for FUSE replies, and their signals. */

#include <stdbool.h>
#include <sys/types.h>

/*
 * Returns whether a thread that waits for a FUSE reply must return: a signal is pending that ends
 * it, or that it may have meant as an interruption, such as a SIGINT or a SIGALRM that it catches.
 * FUSE reports any signal as an interrupt, also those after which the thread goes on waiting: job
 * control and a debugger's stops, SIGCHLD, SIGURG and SIGWINCH, and a SIGIO that it catches. With
 * EINTR for these, a shell would return an empty result for a glob when a background job ends.
 *
 * proc_fd: from reader_open_proc(). tid: from fuse_req_ctx(); 0 if the thread is in another PID
 * namespace. Returns true if the thread's signals are not known: its PID namespace is another one,
 * it has ended, or /proc hides it.
 */
bool reader_must_return(int proc_fd, pid_t tid);

/* Opens /proc for reader_must_return(). Call it before mounting: later the path may lead into the
 * mount, and the FUSE thread would wait for itself. Returns a descriptor; or -1 if there is no
 * /proc, or if it is that of another PID namespace and has other processes under the same IDs. */
int reader_open_proc(void);

#endif
