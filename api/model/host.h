/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_HOST_H
#define FLEETFS_API_MODEL_HOST_H

/* The host of a URL. No state. */

#include <stdbool.h>

/*
 * Returns whether a host is this machine: 127.0.0.0/8, ::1 (also in brackets, as in a URL),
 * `localhost` or a name under `.localhost` (RFC 6761). Returns false if resolvers may disagree
 * about the host: 127.1 and 0177.0.0.1 (inet_pton() rejects both), 127.0.0.1.example.
 */
bool host_is_loopback(const char *host);

#endif
