/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_CHANGES_H
#define FLEETFS_CACHE_CHANGES_H

/*
 * Which values of an agent changed, and since when each has been as it is.
 *
 * The modification time of a file is the time when this mount first saw its value, whether or not
 * the file was read. Most values never change while the fleet is mounted. So only those that
 *changed are stored, in a short list; the rest are as old as the agent's record.
 *
 * A value is identified by its field and an index:
 *
 *	the number of a GPU         for a field of a GPU
 *	the position of a string    for a label, a task (AGENT_RUNNING_TASKS) and a model of GPU
 *	(agent_string())            (CHANGES_GPU_MODEL)
 *	CHANGES_WHOLE               for any other field, the set of labels (AGENT_LABELS), the list
 *of tasks (AGENT_RUNNING_TASKS) and the set of GPUs (AGENT_GPU_NAME)
 *
 * Labels, tasks and models keep their time when they move to another position, since the links that
 * are made of them stay. Equal strings of a field have one time.
 *
 * Memory: at most 16 bytes for each number, string and list element of the agent, a fixed share of
 * what the agent itself takes.
 */

#include <stdint.h>

#include "api/model/agent.h"

#define CHANGES_WHOLE UINT16_MAX

/* In place of a field: the model of a GPU, which keeps its time when it moves to another GPU. The
 * index is the number of a GPU that has it. */
#define CHANGES_GPU_MODEL AGENT_FIELDS

struct change {
	int64_t since_ns; /* wall clock */
	uint16_t field;   /* enum agent_field_id */
	uint16_t index;
};

/* Zeroed changes are empty. */
struct changes {
	struct change *items; /* by field, then by index */
	uint16_t count;
	uint16_t capacity;
};

/* Frees the memory; the changes are empty afterwards. */
void changes_done(struct changes *changes);

/* Notes what differs between an agent as it was before and as it is at now_ns (wall clock).
 * first_ns: the same as for changes_since(). 0, or -ENOMEM; then the changes are as before. */
int changes_note(struct changes *changes, const struct agent *before, const struct agent *after,
                 int64_t first_ns, int64_t now_ns);

/* Returns since when a value has been as it is: first_ns, the age of the agent's record, if it
 * never changed. */
int64_t changes_since(const struct changes *changes, enum agent_field_id field, uint16_t index,
                      int64_t first_ns);

#endif
