/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_BUILD_H
#define FLEETFS_FS_REPORTS_BUILD_H

/*
 * The state of something that is built from the whole list of agents. It is built when a request
 * needs it, at most once for each list, by a job in slices (fs/reports/jobs.h).
 *
 * A request that needs list N gets -EAGAIN until a build of list N or a later one has succeeded. It
 * is to be run again when a job has ended. A later list is accepted so that a request cannot starve
 * if building takes longer than the ttl. If the build fails, the requests that waited for it get
 * its error; the next request queues a new build.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/jobs.h"

struct build {
	struct fleet *fleet; /* borrowed */
	struct jobs *jobs;   /* borrowed */
	struct job job;
	int error;     /* of the last build; 0: it succeeded or has not ended */
	uint64_t list; /* of the last build that succeeded; 0: none. The job sets it. */
};

/* Returns 0 if the last build is of the list that fleet_whole_list() returns for the query, or of a
 * later one; query->list is then the list of the build. Otherwise queues the job and returns
 * -EAGAIN. If fleet_whole_list() returns no list, returns its -EAGAIN or -errno. If a build failed
 * while the query waited for it, returns the -errno of the build. A query is for one build only. */
int build_wait(struct build *build, struct query *query);

/* Ends a slice. err: -EAGAIN queues the job again; 0 or another -errno is the result of the build,
 * which has ended. If that is -ESTALE, since the list was forgotten, the requests that wait queue a
 * build of the newest list. Returns whether the build has ended, as `slice` of a job does. */
bool build_end_slice(struct build *build, int err);

#endif
