/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_SYSLOG_H
#define FLEETFS_FS_PROGRAM_SYSLOG_H

/* A connection to the syslog daemon that never waits, unlike syslog(3). */

#include <stddef.h>
#include <sys/types.h>

/* Returns a socket, or -1. If no daemon is there, syslog_send() connects the socket later. */
int syslog_open(void);

/* Sends one message, which begins with its priority and time stamp. Connects again if the daemon
 * was restarted. Returns the number of bytes, or -1 and errno; EAGAIN if the daemon's queue is
 * full. */
ssize_t syslog_send(int fd, const char *message, size_t length);

#endif
