/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_LOG_H
#define FLEETFS_FS_PROGRAM_LOG_H

/*
 * Messages for the operator, a line each: to stderr, to a file, or to syslog. Any thread may log
 * once log_open() has returned. Text from the network is escaped here: a message cannot forge a
 * second line. A line that cannot be written (full disk, closed pipe) is dropped. No message
 * contains a token.
 */

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where messages go from now on. path: append there (0600 when made), reopened by log_reopen();
 * else stderr if foreground, else syslog. debug: LOG_LEVEL_DEBUG too. 0 or -errno of the file. */
int log_open(const char *path, bool foreground, bool debug);

/* Opens the log file again, after it was rotated, in the background. If that fails, a warning is
 * logged and the old file stays in use. */
void log_reopen(void);

/* Prints the reason of a failed start on stderr, wherever the log is, as one line: "fleetfs: …".
 * Returns EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int log_failed_start(const char *format, ...);

/* Writes a line: to stderr and file "2026-01-31T12:00:00.250Z warning: …" (in the foreground's
 * stderr just "fleetfs: …"), to syslog with its priority. No newline in format. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
