/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROCESS_H
#define FLEETFS_FS_PROCESS_H

/*
 * What the process inherits from its parent, made safe before anything depends on it: standard
 * descriptors, resource limits, signal dispositions and the signal mask.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed. Otherwise the next file
 * opened would get that number, and going into the background would overwrite it. Call this first
 * in main().
 */
void process_open_standard_descriptors(void);

/*
 * Raises the soft limits of descriptors and stack to what fleetfs needs, and gives threads a stack
 * of their own size. descriptors: how many may be open at once. Returns 0; or -EMFILE or -ENOMEM,
 * with a sentence in ret_why, if a hard limit is lower.
 */
int process_raise_limits(size_t descriptors, char *ret_why, size_t why_bytes);

/*
 * Lets no program that is executed from now on inherit a descriptor but the standard ones. libcurl
 * opens some without O_CLOEXEC, and with auto_unmount fusermount3 lives as long as the mount.
 */
void process_close_on_exec(void);

/*
 * Blocks the signals that the loop reads, ignores those that would end the process without
 * unmounting, and replaces whatever mask was inherited. Call it before the first thread starts.
 * foreground: the terminal's stop signals keep their effect. Returns a signalfd(2), or -errno.
 */
int process_take_signals(bool foreground);

/*
 * Whether a SIGHUP says that the terminal of a foreground process is gone, in which case the
 * process is to end. had_terminal: process_has_terminal() at the start.
 */
bool process_terminal_gone(bool had_terminal, int signal_code);

/* Whether the process has a controlling terminal, and a SIGHUP was not ignored by its parent. Call
 * it before process_take_signals(). */
bool process_has_terminal(void);

/*
 * The time after which the kernel aborts a FUSE connection because of one unanswered request, in
 * ms; 0: never. directory: of the sysctls, "/proc/sys/fs/fuse".
 */
long process_kernel_timeout_ms(const char *directory);

#endif
