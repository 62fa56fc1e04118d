/* SPDX-License-Identifier: MIT */
#include "fs/reports/build.h"

#include <errno.h>

int build_wait(struct build *build, struct query *query)
{
	bool has_waited = query->list > 0; /* an earlier call set the list */
	uint64_t list;
	int err = fleet_whole_list(build->fleet, query, &list);

	if (err == 0 && build->list >= list)
		query->list = build->list;
	if (err < 0 || build->list >= list)
		return err;
	if (!job_is_queued(&build->job)) {
		if (has_waited && build->error < 0 && build->error != -ESTALE)
			return build->error;
		build->error = 0;
		jobs_add(build->jobs, &build->job);
	}
	return -EAGAIN;
}

bool build_end_slice(struct build *build, int err)
{
	if (err == -EAGAIN) {
		jobs_add(build->jobs, &build->job);
		return false;
	}
	build->error = err;
	return true;
}
