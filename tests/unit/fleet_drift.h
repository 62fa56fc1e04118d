/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_FLEET_DRIFT_H
#define FLEETFS_TESTS_UNIT_FLEET_DRIFT_H

/*
 * Ways in which the list of a simulated API drifts while it is read. Each function makes one step;
 * as world->drift it is called before drift_percent of the requests. Machines that are permanent
 * stay, though their position changes.
 */

#include "tests/unit/fleet_world.h"

/* So many machines join at this position, or leave from there on. */
void drift_join_many(struct world *world, size_t position, size_t count);
void drift_leave_many(struct world *world, size_t position, size_t count);

/* A machine joins at a random position. */
void drift_join(struct world *world);

/* A machine leaves. */
void drift_leave(struct world *world);

/* A machine joins or leaves. */
void drift_join_or_leave(struct world *world);

/* One leaves as another joins, each at a random position, so total_count stays. */
void drift_one_for_one(struct world *world);

/* The first leaves and a new one joins at the end, so the others move towards the front. */
void drift_queue(struct world *world);

/* The last leaves and a new one joins at the front, so the others move towards the end. */
void drift_stack(struct world *world);

/* A random machine moves to the front, as in a list sorted by the last heartbeat. */
void drift_to_front(struct world *world);

/* The machines of one random page change places among themselves. */
void drift_within_page(struct world *world);

/* All machines change places. */
void drift_shuffle(struct world *world);

#endif
