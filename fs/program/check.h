/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_CHECK_H
#define FLEETFS_FS_PROGRAM_CHECK_H

/*
 * `fleetfs --check`: reads the whole list without mounting, and prints `key: value` lines on
 * stdout. The lines token, ca and proxy show what is used; resolve, connect, tls, authenticate and
 * list are steps with their times. On a terminal a bar shows the progress of the list.
 * probe_report_failure() prints the reason of a failure on stderr.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/failure.h"
#include "api/model/trace.h"
#include "fs/tree/status.h"

struct options;
struct probe;

struct check {
	const struct options *options;
	const struct status *status;
	bool is_terminal;        /* stdout is a terminal: draw a bar */
	bool bar_drawn;          /* the bar must be erased before the next line */
	bool connection_printed; /* the steps of the connection are printed */
	struct trace trace;      /* of the last request that made a connection */
};

/* options and status are borrowed. status->fleet and the token members of status must be set. */
void check_init(struct check *check, const struct options *options, const struct status *status);

/*
 * Takes the result of a fetch and prints the steps of the first connection that succeeded, and the
 * bar. failure: NULL for a page. total_count: of the page; below 0 if not known.
 */
void check_take_result(struct check *check, const struct trace *trace,
                       const struct failure *failure, int64_t total_count);

/*
 * Reads the list with a probe, whose fetch_results call check_take_result(). Returns 0, or -errno
 * as probe_next_agent() does. The caller flushes stdout and checks it for errors.
 */
int check_run(struct check *check, const struct probe *probe);

#endif
