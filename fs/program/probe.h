/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_PROBE_H
#define FLEETFS_FS_PROGRAM_PROBE_H

/*
 * Reads the list of agents before there is a mount and a loop: page 1 for a start, the whole list
 * for --check. A signal, or the end of the parent process, interrupts the wait.
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
	int results_fd;  /* client_fd() */
	int signals_fd;  /* a signalfd(2) */
	int parent_fd;   /* a pipe that reports POLLERR once the parent has ended; -1: none */
	int terminal_fd; /* as in process_must_end() */
};

/*
 * Reads the next agent of the list. If its page is missing, waits for it, at most 500 ms longer
 * than `timeout`. *cursor: 0 at first, as in fleet_walk(). Returns 0 and a borrowed record, or NULL
 * at the end of the list; -EINTR if the start is interrupted; or -errno.
 */
int probe_next_agent(const struct probe *probe, uint64_t *cursor, struct record **ret_record);

/* Prints on stderr why the start failed. err: of probe_next_agent(). Returns the exit status. */
int probe_report_failure(const struct probe *probe, int err);

/* Reads page 1, so that a mount that cannot work fails at the start. Returns 0; or the exit status,
 * after the reason was printed. */
int probe_first_page(const struct probe *probe);

#endif
