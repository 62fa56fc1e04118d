/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_BOUNDED_H
#define FLEETFS_FS_PROGRAM_BOUNDED_H

/*
 * Steps of the start that may hang, since they use paths: a system call on a file system that does
 * not respond cannot be interrupted, nor can fusermount3. Such a step runs in a thread of its own,
 * which is abandoned after a limit.
 */

struct program;

/*
 * Runs a step, which returns 0 or the exit status. Returns its result. If it takes longer than 5 s,
 * prints why, sets program->abandoned and returns the exit status; the thread then still uses the
 * program, so the process must end by bounded_exit(). program->waiting_for: what the step waits
 * for.
 */
int bounded_run(struct program *program, int (*step)(struct program *program));

/* Kills the children of an abandoned step, such as a fusermount3 that hangs, and ends the process
 * before the step can start another one. */
_Noreturn void bounded_exit(const struct program *program, int status);

#endif
