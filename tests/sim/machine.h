/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_MACHINE_H
#define FLEETFS_SIM_MACHINE_H

/*
 * One simulated machine, which the API calls an agent.
 *
 * Only what changes is kept, some 50 bytes; all the rest (name, labels, GPUs, versions, the ids of
 * its tasks) follows from its seed each time it is rendered. So a fleet of any size is small, and a
 * step of churn does not have to write any JSON. The same machine at the same time renders to the
 * same bytes.
 *
 * The fields agree with each other: a busy machine has running_tasks, running_count and
 * current_task_id, a syncing one sync_phase, sync_detail and sync_percent, and no other has these,
 * but a running_count of 0, which one in eight leaves out.
 */

#include <stdint.h>
#include <stdio.h>

#define MACHINE_ID_SIZE 32 /* bytes, NUL included */

/* A source of random numbers (splitmix64): the state alone decides what comes. */
struct random_source {
	uint64_t state;
};

/* The next 64 random bits. */
uint64_t random_next(struct random_source *source);

/* Evenly in 0 … below - 1; below is at least 1. */
uint32_t random_below(struct random_source *source, uint32_t below);

/* Two numbers mixed to one that is as good as random. */
uint64_t random_mix(uint64_t a, uint64_t b);

struct machine {
	uint64_t seed;
	int64_t connected_at_s; /* since 1970 */
	uint32_t number;        /* from 1; makes its id unique in the fleet */
	uint32_t first_task;    /* serial number of the oldest task that runs */
	uint32_t tasks_completed;
	uint32_t vram_epoch; /* how often the VRAM in use moved */
	uint8_t status;      /* enum machine_status, in machine.c */
	uint8_t gpu_model;
	uint8_t gpu_count;
	uint8_t running; /* tasks that run; above 0 only while busy */
	uint8_t sync_percent;
};

/* A machine of a fleet that exists already at now_s, connected for minutes to weeks. */
void machine_init(struct machine *machine, uint64_t fleet_seed, uint32_t number, int64_t now_s);

/* A machine that connects at now_s, idle and with nothing done. */
void machine_init_new(struct machine *machine, uint64_t fleet_seed, uint32_t number, int64_t now_s);

/* One step of its life: tasks start and finish, a sync moves on, health comes and goes. */
void machine_step(struct machine *machine, struct random_source *source);

/* Its agent_id. */
void machine_id(const struct machine *machine, char ret_id[MACHINE_ID_SIZE]);

/* Writes it as the API would, as JSON on one line; its heartbeat lies a few seconds before now_s.
 */
void machine_render(const struct machine *machine, int64_t now_s, FILE *out);

#endif
