/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PROGRAM_H
#define FLEETFS_FS_PROGRAM_PROGRAM_H

/*
 * The parts of the running program. main.c creates and destroys it, start.c starts the parts,
 * cache_ports.c connects the cache to them, and serve.c runs the mount. Used by the FUSE thread
 * alone, and during the start by the thread of bounded_run() while the FUSE thread waits for it.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/fuse/invalidator.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/own_mount.h"
#include "fs/program/background.h"
#include "fs/program/check.h"
#include "fs/program/fetch_results.h"
#include "fs/program/options.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

struct client;
struct credential;
struct fleet;
struct fuse_session;
struct ops;

/* The pointers to parts are owned. A pointer to a part is NULL, and a descriptor of this struct is
 * -1, until the start sets it. */
struct program {
	struct options options;
	int64_t configured_timeout_ms; /* `timeout` as configured, if it was lowered to the kernel's
	                                  limit; else 0 */
	char version[512];             /* the text of --version and .fleetfs/version */
	char title[256];               /* of the HTML page, unless the fleet has a name */
	struct text config;            /* the text of .fleetfs/config; ends with NUL */
	struct status status;
	struct background background;
	int signals_fd;                /* a signalfd(2) */
	int terminal_fd;               /* as in process_must_end() */
	int manager_fd;                /* socket of the service manager, or -1 without one */
	struct credential *credential; /* NULL also once the client has taken it over */
	struct client *client;
	struct fleet *fleet;
	struct fetch_results fetch_results;
	struct check check; /* with --check */
	struct ops *ops;
	struct mountpoint mountpoint;
	struct fuse_session *session;
	struct own_mount mount;
	struct invalidator invalidator;
	/* What a step of bounded_run() waits for: a path or a description; NULL: not known. Set
	 * by its thread. The text must stay valid until the process ends, since it is printed
	 * while an abandoned step goes on. */
	const char *_Atomic waiting_for;
	pid_t abandoned; /* thread ID of a step that bounded_run() has abandoned; -1: it has not
	                    begun; 0: none */
	char why[3 * PATH_MAX]; /* why a step failed: a sentence that may name two paths. Here,
	                           since the stack may be small before process_raise_limits() */
};

#endif
