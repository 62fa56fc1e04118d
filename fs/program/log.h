/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_LOG_H
#define FLEETFS_FS_PROGRAM_LOG_H

/*
 * The log for the operator: one line per message, to stderr, a file or syslog.
 *
 * Logging never waits: a line that cannot be written at once (full disk, full pipe, stopped
 * terminal) is dropped, and the number of dropped lines is logged later. Messages are escaped here
 * (text_escaped()), so text from the network cannot forge a second line. The caller must not pass a
 * token.
 *
 * Any thread may log after log_open() has returned.
 */

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Chooses where messages go from now on. path: append to this file, which is created with mode
 * 0600; NULL: stderr if foreground, else syslog. debug: also log LOG_LEVEL_DEBUG. Returns 0; or
 * -errno if the file cannot be opened, and then the log is unchanged. Not while other threads log.
 */
int log_open(const char *path, bool foreground, bool debug);

/* Opens the log file again after it was rotated, in a thread of its own. If that fails, a warning
 * is logged and the old file stays in use. Does nothing if the log is not a file. */
void log_reopen(void);

/* Prints why the start failed on stderr, wherever the log is: "fleetfs: …". Returns EXIT_FAILURE.
 */
__attribute__((format(printf, 1, 2))) int log_failed_start(const char *format, ...);

/* Logs a line. The format must not contain a newline. In a file a line is
 * "2026-01-31T12:00:00.250Z warning: …", on stderr "fleetfs: …"; syslog gets it with a priority. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
