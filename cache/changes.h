/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_CHANGES_H
#define FLEETFS_CACHE_CHANGES_H

/*
 * Old agent + new agent → which values changed, and since when each has been as it is.
 *
 * The modification time of a file is when this mount first saw its value, looked at or not. Most
 * values of an agent never change while it is mounted, so only the ones that did are kept, in a
 * short list; the rest have been there since the agent was first seen.
 *
 * A value is named by its field and an index: the GPU's number for a field of a GPU, the position
 * (agent_string()) for a label, a task (AGENT_RUNNING_TASKS) and a model of GPU
 * (CHANGES_GPU_MODEL), else CHANGES_WHOLE. Labels, tasks and models keep their time wherever they
 * move, as the links that they make stay; at each position of the same string the time is the same.
 * (AGENT_LABELS, CHANGES_WHOLE) is the set of labels and (AGENT_GPU_NAME, CHANGES_WHOLE) the set of
 * GPUs: what their directories list. (AGENT_RUNNING_TASKS, CHANGES_WHOLE) is the list of tasks as
 * it came.
 *
 * It takes 16 bytes at most for each number, string and list element of the agent: a fixed share of
 * what the agent itself takes.
 */

#include <stdint.h>

#include "api/model/agent.h"

#define CHANGES_WHOLE UINT16_MAX

/* In place of a field, with the index of a GPU that has it: a model of GPU, which keeps its time
 * when it moves to another GPU. */
#define CHANGES_GPU_MODEL AGENT_FIELDS

struct change {
	int64_t since_ns; /* wall clock */
	uint16_t field;   /* enum agent_field_id */
	uint16_t index;
};

/* A zeroed one is empty. */
struct changes {
	struct change *items; /* by field, then by index */
	uint16_t count;
	uint16_t capacity;
};

void changes_done(struct changes *changes);

/*
 * Notes at now_ns (wall clock) what differs between two looks at one agent. first_ns: what
 * changes_since() is asked with for the old agent. 0, or -ENOMEM with nothing noted.
 */
int changes_note(struct changes *changes, const struct agent *before, const struct agent *after,
                 int64_t first_ns, int64_t now_ns);

/* Since when a value is as it is; first_ns if it never changed. */
int64_t changes_since(const struct changes *changes, enum agent_field_id field, uint16_t index,
                      int64_t first_ns);

#endif
