/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_NOTIFY_H
#define FLEETFS_FS_PROGRAM_NOTIFY_H

/*
 * Notifies the service manager as sd_notify(3) does: a datagram to the socket $NOTIFY_SOCKET. This
 * avoids a dependency on libsystemd. Connecting and sending are separate, since the path of the
 * socket may lead into the mount later.
 */

/*
 * Connects to the service manager; call it before mounting. Returns 1 and a descriptor; 0 if
 * $NOTIFY_SOCKET is unset or empty; or -errno: -EINVAL if it is neither an absolute path nor
 * abstract (`@…`), -ENAMETOOLONG if it does not fit into an address.
 */
int notify_connect(int *ret_fd);

/* Sends assignments, one per line: "READY=1\nMAINPID=42". Never waits. Returns 0 or -errno; -EAGAIN
 * if the manager's queue is full. */
int notify_send(int fd, const char *state);

#endif
