/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_TOTALS_H
#define FLEETFS_FS_REPORTS_TOTALS_H

/*
 * Sums over all agents of a list. A sum that would exceed INT64_MAX becomes INT64_MAX, and one that
 * would fall below -INT64_MAX becomes -INT64_MAX. Such a sum then stays the same, whatever is
 * added.
 *
 * Not thread-safe: only the FUSE thread uses totals.
 */

#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "fs/reports/groups.h"

struct totals {
	size_t agents;
	int64_t gpu_capacity;
	int64_t gpu_free;
	int64_t gpu_available; /* gpu_free of the agents that accept tasks: idle or busy ones */
	int64_t running_count;
	int64_t tasks_completed;
	int64_t vram_total;     /* bytes */
	int64_t vram_free;      /* bytes */
	int64_t vram_used;      /* bytes */
	struct groups statuses; /* the documented statuses first, even if no agent has them */
	size_t with_status;     /* agents that have a status */
};

/* Begins without agents. seed: random bits for hashes. Returns 0, or -ENOMEM: then totals_done()
 * must be called, too. */
int totals_init(struct totals *totals, uint64_t seed);

/* Frees the memory. */
void totals_done(struct totals *totals);

/* Adds an agent. Returns 0 or -ENOMEM. */
int totals_add(struct totals *totals, const struct agent *agent);

/* Returns the value of a numeric field of one agent; for a field of GPUs, the sum over its GPUs.
 * Returns AGENT_ABSENT if no value is present. */
int64_t totals_agent_sum(const struct agent *agent, enum agent_field_id field);

#endif
