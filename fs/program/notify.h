/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_NOTIFY_H
#define FLEETFS_FS_PROGRAM_NOTIFY_H

/*
 * Tells the service manager how things stand, as sd_notify(3) does: a datagram to the socket that
 * $NOTIFY_SOCKET names. A few lines, in place of a library that would have to be loaded for them.
 */

/*
 * Connects to the service manager. Returns 1 and a descriptor; 0 if $NOTIFY_SOCKET is not set; or
 * -errno: -EINVAL for a socket that is neither an absolute path nor abstract (`@…`), -ENAMETOOLONG
 * for one that does not fit into an address. Call it before mounting: the path may lead into the
 * mount.
 */
int notify_connect(int *ret_fd);

/* Sends assignments, a line each: "READY=1\nMAINPID=42". Never waits. Returns 0 or -errno; -EAGAIN
 * if the manager's queue is full. */
int notify_send(int fd, const char *state);

#endif
