/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_CHANGES_H
#define FLEETFS_CACHE_CHANGES_H

/*
 * Which values of an agent changed, and when each of them last did.
 *
 * The modification time of a file is the time when this mount first saw its value, whether or not
 * the file was read. Most values never change while the fleet is mounted. So only those that
 * changed are stored, in a short list; all others have the time of the agent's record.
 *
 * A value is identified by its field and an index:
 *
 *	a value of a GPU                 the field and the number of the GPU
 *	a label                          AGENT_LABELS and its position
 *	a task                           AGENT_RUNNING_TASKS and its position
 *	a GPU model                      CHANGES_GPU_MODEL and the number of a GPU of this model
 *	the set of labels                AGENT_LABELS and CHANGES_WHOLE
 *	the list of tasks                AGENT_RUNNING_TASKS and CHANGES_WHOLE
 *	the set of GPUs                  AGENT_GPU_NAME and CHANGES_WHOLE
 *	any other field                  the field and CHANGES_WHOLE
 *
 * A position is the index of agent_string(). Labels, tasks and models keep their time when they
 * move to another position, since the symlinks to the agent in by-label/, tasks/ and by-gpu/ stay
 * the same. Equal strings of a field have the same time.
 *
 * Memory: 16 bytes for each value that has changed. The capacity is 8 values, or a larger power of
 * two. An agent has only as many values as its own memory holds, so the memory of its changes is at
 * most proportional to that of the agent.
 */

#include <stdint.h>

#include "api/model/agent.h"

#define CHANGES_WHOLE UINT16_MAX

/* The field of a GPU model. Its time stays when the model moves to another GPU. The time of
 * AGENT_GPU_NAME, the name of one GPU, changes then. */
#define CHANGES_GPU_MODEL AGENT_FIELDS

struct change {
	int64_t since_ns; /* when the value last changed; wall clock */
	uint16_t field;   /* enum agent_field_id */
	uint16_t index;
};

/* Zeroed changes are empty. */
struct changes {
	struct change *items; /* sorted by field, then by index */
	uint16_t count;
	uint16_t capacity;
};

/* Frees the memory; the changes are empty afterwards. */
void changes_done(struct changes *changes);

/* Creates new changes from the old ones: each value that differs between before and after has the
 * time now_ns (wall clock), any other value keeps its time. The caller frees both. first_ns: time
 * of the record, the same in each call. 0 or -ENOMEM. */
int changes_build(const struct changes *old, const struct agent *before, const struct agent *after,
                  int64_t first_ns, int64_t now_ns, struct changes *ret_changes);

/* Returns when a value last changed, wall clock; first_ns, the time of the record, if it never
 * did. */
int64_t changes_since(const struct changes *changes, enum agent_field_id field, uint16_t index,
                      int64_t first_ns);

#endif
