/* SPDX-License-Identifier: MIT */
#include "tests/unit/fleet_drift.h"

#include <stdio.h>

static void drift_swap(struct world *world, size_t a, size_t b)
{
	struct machine machine = world->machines[a];

	world->machines[a] = world->machines[b];
	world->machines[b] = machine;
}

/* Shuffles machines from a position up to another, exclusive. */
static void drift_shuffle_range(struct world *world, size_t first, size_t end)
{
	for (size_t i = end; i > first + 1; i--)
		drift_swap(world, i - 1, first + world_random_below(world, i - first));
}

static void drift_add(struct world *world, size_t position)
{
	char id[ID_BYTES];

	snprintf(id, sizeof(id), "t%u", world->numbered++);
	world_add(world, position, id);
}

void drift_join_many(struct world *world, size_t position, size_t count)
{
	for (size_t i = 0; i < count; i++)
		drift_add(world, position + i);
}

void drift_leave_many(struct world *world, size_t position, size_t count)
{
	size_t kept = position;

	for (size_t i = position; i < world->count; i++) {
		if (count > 0 && !world->machines[i].permanent)
			count--;
		else
			world->machines[kept++] = world->machines[i];
	}
	world->count = kept;
}

void drift_join(struct world *world)
{
	world_join(world);
}

void drift_leave(struct world *world)
{
	world_leave(world);
}

void drift_join_or_leave(struct world *world)
{
	if (world_random_below(world, 2))
		world_join(world);
	else
		world_leave(world);
}

void drift_one_for_one(struct world *world)
{
	if (world_leave(world))
		world_join(world);
}

void drift_queue(struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		if (world->machines[i].permanent)
			continue;
		world_remove(world, i);
		drift_add(world, world->count);
		return;
	}
}

void drift_stack(struct world *world)
{
	for (size_t i = world->count; i > 0; i--) {
		if (world->machines[i - 1].permanent)
			continue;
		world_remove(world, i - 1);
		drift_add(world, 0);
		return;
	}
}

void drift_to_front(struct world *world)
{
	if (world->count > 0)
		world_move(world, world_random_below(world, world->count), 0);
}

void drift_within_page(struct world *world)
{
	size_t pages = (world->count + world->per_page - 1) / world->per_page;
	size_t first = world_random_below(world, pages) * world->per_page;
	size_t end = first + world->per_page;

	drift_shuffle_range(world, first, end < world->count ? end : world->count);
}

void drift_shuffle(struct world *world)
{
	drift_shuffle_range(world, 0, world->count);
}
