/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PROBE_H
#define FLEETFS_FS_PROGRAM_PROBE_H

/*
 * Reads the list of agents before there is a mount and a loop: page 1 at the start, and the whole
 * list for --check. Meanwhile a signal or the end of the parent interrupts the start.
 */

#include <stdint.h>

#include "cache/fleet.h"
#include "fs/program/fetch_results.h"
#include "fs/program/options.h"

/* All pointers are borrowed. */
struct probe {
	const struct options *options;
	struct fleet *fleet;
	struct fetch_results *fetch_results;
	int arrivals_fd; /* readable when the intake has something to take */
	int signals_fd;  /* a signalfd(2) */
	int parent_fd;   /* reports POLLERR when the parent has ended; -1: in the foreground */
	int terminal_fd; /* as in process_must_end() */
};

/*
 * Reads the next agent of the list, and waits for its page if necessary. cursor: 0 at first, as in
 * fleet_walk(). Returns 0 and a record, or NULL at the end of the list; -EINTR if the start is
 * interrupted; or -errno.
 */
int probe_next_agent(const struct probe *probe, uint64_t *cursor, struct record **ret_record);

/* Prints why a start failed with this -errno of probe_next_agent(), on stderr. Returns the exit
 * status. */
int probe_report_failure(const struct probe *probe, int err);

/* Reads page 1, so that a mount that cannot work is refused. Returns 0 or an exit status; the
 * reason is printed. */
int probe_first_page(const struct probe *probe);

#endif
