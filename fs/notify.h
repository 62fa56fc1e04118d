/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_NOTIFY_H
#define FLEETFS_FS_NOTIFY_H

/*
 * Tells the service manager how things stand, as sd_notify(3) does: a datagram to the socket that
 * $NOTIFY_SOCKET names. A few lines, in place of a library that would have to be loaded for them.
 */

/*
 * Sends assignments, a line each: "READY=1\nMAINPID=42". 1 when sent, 0 when nobody asked for it
 * (the variable is not set), or -errno; -EINVAL for a socket that is neither an absolute path nor
 * abstract (`@…`), -ENAMETOOLONG for one that no address holds. Never waits: a manager whose queue
 * is full is -EAGAIN.
 */
int notify_service(const char *state);

#endif
