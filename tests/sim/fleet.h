/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_FLEET_H
#define FLEETFS_SIM_FLEET_H

/*
 * The simulated fleet: the list that GET /agents shows page by page, and what happens to it.
 *
 * A member is either a generated machine (tests/sim/machine.h), rendered when asked, or a JSON text
 * that a test gave, served byte for byte and never touched by churn. Positions count from 0.
 *
 * A step of churn moves every machine, lets some leave and lets others join at random places, so
 * that pages shift. What a step does follows from the seed and its number alone, but for the times
 * of heartbeats and joins, which are the wall clock's. Some members are permanent: the first half
 * of the generated ones and every given one. No step removes them, so that a test knows ids which
 * are there throughout.
 *
 * Every change counts up the generation: what was rendered in another generation is stale.
 *
 * No lock and no HTTP here: the caller holds the simulator's lock.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct fleet;

/* A fleet of generated machines. 0 or -ENOMEM. */
int fleet_new(uint64_t seed, size_t machines, struct fleet **ret_fleet);

/* NULL is fine. */
void fleet_free(struct fleet *fleet);

size_t fleet_count(const struct fleet *fleet);

uint64_t fleet_generation(const struct fleet *fleet);

/* Writes the members from a position on, at most count, with commas between them. */
void fleet_render(const struct fleet *fleet, size_t first, size_t count, FILE *out);

/* Writes the permanent members' ids as a JSON array, in the order of the list. */
void fleet_render_permanent(const struct fleet *fleet, FILE *out);

/* The elements of this JSON array become the whole fleet. 0, -EINVAL or -ENOMEM. */
int fleet_replace(struct fleet *fleet, const char *text, size_t bytes);

/* This JSON value takes the place of the member at index. 0, -ENOENT, -EINVAL or -ENOMEM. */
int fleet_put(struct fleet *fleet, size_t index, const char *text, size_t bytes);

/* This JSON value joins before the member at index, which may be the count. 0, -ENOENT, -EINVAL or
 * -ENOMEM. */
int fleet_insert(struct fleet *fleet, size_t index, const char *text, size_t bytes);

/* 0 or -ENOENT. */
int fleet_remove(struct fleet *fleet, size_t index);

/* Puts the members into another random order. */
void fleet_shuffle(struct fleet *fleet);

/* One step of churn. 0, or -ENOMEM when not all could join that should. */
int fleet_step(struct fleet *fleet);

#endif
