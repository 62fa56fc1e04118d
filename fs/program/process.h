/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PROCESS_H
#define FLEETFS_FS_PROGRAM_PROCESS_H

/*
 * Checks and corrects the state that the process inherits from its parent, before anything depends
 * on it: standard descriptors, resource limits, signal dispositions and the signal mask. Also
 * reads the kernel's limit for FUSE requests.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Corrects what the first steps of the program depend on; call it first in main(). Opens /dev/null
 * on each of the descriptors 0, 1 and 2 that is closed. Otherwise the next file to be opened would
 * get that number, and background_done() would replace it. Gives SIGCHLD its default action: while
 * it is ignored, waitpid(2) does not return the exit status of a child.
 */
void process_prepare(void);

/*
 * Raises the soft limits of descriptors and stack to what fleetfs needs, and the default stack size
 * of threads to the same. descriptors: how many may be open at once. Returns 0; or -EMFILE or
 * -ENOMEM, with a sentence in ret_why, if a hard limit is too low.
 */
int process_raise_limits(size_t descriptors, char *ret_why, size_t why_bytes);

/* Returns the end of a message about a thread that could not be started: which limits to raise, if
 * the error is EAGAIN; else an empty text. error: an errno. */
const char *process_thread_remedy(int error);

/*
 * Sets FD_CLOEXEC on all open descriptors except the standard ones. libcurl opens some without it,
 * and with auto_unmount fusermount3 would keep them open for as long as the mount exists.
 */
void process_close_on_exec(void);

/*
 * Blocks the signals that the loop reads, ignores those that would end the process without
 * unmounting, and replaces the inherited mask. Call it while there is one thread, since later
 * threads inherit the mask. foreground: the terminal's stop signals keep their effect. Returns a
 * signalfd(2), or -errno.
 */
int process_take_signals(bool foreground);

/* Opens the controlling terminal, for process_must_end(). Call it before process_take_signals(),
 * which resets SIGHUP: an ignored SIGHUP is the sign of nohup(1). Call it before mounting: later
 * the path may lead into the mount. Returns a descriptor; or -1 without a terminal or with nohup.
 */
int process_open_terminal(void);

/*
 * Whether a signal that was read from the signalfd ends the process. SIGHUP does only if the
 * terminal of a foreground process is gone. code: si_code of siginfo_t. terminal_fd: from
 * process_open_terminal(); -1 in the background.
 */
bool process_must_end(int number, int code, int terminal_fd);

/*
 * Returns how long a FUSE request may take, in ms; 0: there is no limit. It is the limit of this
 * kernel less a margin. The kernel aborts a connection with a request that takes longer (sysctl
 * fs.fuse.default_request_timeout and fs.fuse.max_request_timeout).
 */
int64_t process_longest_request_ms(void);

#endif
