/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_CHECK_H
#define FLEETFS_FS_PROGRAM_CHECK_H

/*
 * `fleetfs --check`: the whole way to the fleet, told step by step on stdout, `key: value` lines
 * with the seconds that each took; a bar shows how far the list is read, on a terminal only. Why a
 * step failed, and what to do, is for the caller's stderr. Nothing is mounted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/failure.h"
#include "api/model/trace.h"
#include "cache/record.h"
#include "fs/tree/status.h"

struct probe;

struct check {
	const struct options *options;
	const struct status *status;
	bool terminal;      /* stdout is one: draw a bar */
	bool drawn;         /* the bar is there, and has to be wiped before anything else */
	bool told;          /* of the route */
	struct trace trace; /* of the last request that made a connection */
};

/* options and self are borrowed; self has its fleet and token. */
void check_init(struct check *check, const struct options *options, const struct status *status);

/* A page came, or failed (failure not NULL). total: agents, as the API counts, or less than 0. */
void check_arrived(struct check *check, const struct trace *trace, const struct failure *failure,
                   int64_t total);

/* Reads the list with a probe, whose intake calls check_arrived(). Returns 0 or the -errno of
 * probe_next_agent(). The caller flushes stdout. */
int check_run(struct check *check, const struct probe *probe);

#endif
