/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_LIBFUSE_LOG_H
#define FLEETFS_FS_PROGRAM_LIBFUSE_LOG_H

#include <stdbool.h>

/*
 * Sends the messages of libfuse to the log. Once mounted, its warnings and errors are logged as
 * warnings. Before that all its messages are logged at debug level, since a start that fails prints
 * its own reason, in one line.
 */
void libfuse_log_redirect(bool mounted);

#endif
