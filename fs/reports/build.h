/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_BUILD_H
#define FLEETFS_FS_REPORTS_BUILD_H

/*
 * Something that is built from the whole list of agents when a request needs it, once for each
 * list, by a job in slices (fs/reports/jobs.h).
 *
 * A request that needs list N gets -EAGAIN until list N or a later one has been built, and is to be
 * run again when a job has ended. A later list is accepted so that a request cannot starve if
 * building takes longer than the ttl. If the build fails, the requests that waited for it get its
 * error; the next request queues a new build.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/jobs.h"

struct build {
	struct fleet *fleet; /* borrowed */
	struct jobs *jobs;   /* borrowed */
	struct job job;
	int error;     /* of the last build; 0: it succeeded or is not over */
	uint64_t list; /* that was built last; 0: none */
};

/* Queues the job if the last build is too old for the query. Returns 0 if it is of the query's list
 * or of a later one, and query->list is then that list; -EAGAIN if the job is in the queue or the
 * list lacks a page; or -errno of the list or of a build that the query waited for. */
int build_wait(struct build *build, struct query *query);

/* Ends a slice. With -EAGAIN the job is queued again; with 0 or another -errno the build has ended.
 * If the list was forgotten (-ESTALE), the requests that wait queue a build of the newest list.
 * Returns whether the build has ended, as the function of a job does. */
bool build_end_slice(struct build *build, int err);

#endif
