/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_DOCUMENT_H
#define FLEETFS_FS_DOCUMENT_H

/*
 * A text over the whole fleet: a table, a sum, all agents as JSON.
 *
 * It is written once for each whole list that somebody asks it of, and then is immutable: who has
 * it open reads it to its end, whatever was written since. One that comes out the same as the one
 * before is that one, with its inode and its time.
 *
 * It may be long (100,000 agents are 70 MB of JSON), and who reads something else is not to wait
 * for it: so it is written some hundred agents at a time (fs/views.h), and the agents' own JSON is
 * not copied into it.
 *
 * What is written is told by its sheet: before the first agent, for each, for each status that they
 * have, and in the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/groups.h"
#include "fs/text.h"

#define DOCUMENT_MAX_TEXT (UINT64_C(1) << 30) /* bytes of each of its texts; beyond: -EFBIG */
#define DOCUMENT_TEXTS    24

/* Or it is the log of events (fs/events.h), which lines are added to.
 *
 * Its texts one after the other, and after the first the agents' JSON: a line each, which begins
 * with a comma but for the first. */
struct document {
	unsigned int refs;
	struct text texts[DOCUMENT_TEXTS];
	const struct agent **agents; /* references */
	uint64_t *ends;              /* of each agent's line, from the begin of the first */
	size_t agent_count;
	size_t agent_capacity;
	uint64_t bytes; /* all of it */
	uint64_t hash;
	int64_t mtime_ns; /* when it was first seen; wall clock */
	bool log;         /* the log of events: its name may come to mean another at any time */
	bool grows;       /* and it is the one of now */
};

/* What all agents come to, for the sheets that tell it. A sum beyond INT64_MAX stays there. */
struct sums {
	size_t agents;
	int64_t gpu_capacity;
	int64_t running_count;
	int64_t gpu_free;
	int64_t tasks_completed;
	int64_t vram_total; /* bytes */
	int64_t vram_free;  /* bytes */
	int64_t vram_used;  /* bytes */
	struct groups statuses;
	size_t with_status;
};

/* A document being written. */
struct draft {
	const struct sheet *sheet;
	struct fleet *fleet; /* borrowed */
	uint64_t seed;       /* random bits, the same in every draft of a mount */
	struct document *document;
	uint64_t list;                 /* the cursor that it began with (fleet_whole()) */
	uint64_t cursor;               /* where it is */
	size_t hashed[DOCUMENT_TEXTS]; /* bytes of each text that are in the hash */
	struct sums sums;              /* of the agents so far */
	bool walked;                   /* those are all */
	size_t statuses_told;
};

struct sheet {
	void (*begin)(struct draft *draft); /* may be NULL, as the others */
	void (*agent)(struct draft *draft, const struct record *record);
	void (*status)(struct draft *draft, const struct group *status);
	void (*end)(struct draft *draft);
};

/* An empty one, with one reference. NULL without memory. */
struct document *document_new(void);

struct document *document_ref(struct document *document);

/* NULL is fine. */
void document_unref(struct document *document);

/* Copies what is there of so many bytes from this offset on; returns how many. */
size_t document_read(const struct document *document, uint64_t offset, size_t size, char *ret);

/* A draft of what this sheet says of a list, as fleet_whole() tells it. fleet is borrowed.
 * NULL without memory. */
struct draft *draft_new(const struct sheet *sheet, struct fleet *fleet, uint64_t list,
                        uint64_t seed);

/* NULL is fine. */
void draft_free(struct draft *draft);

/* Writes about so many agents more, fewer if they have much to tell. 0 at the end, -EAGAIN, or
 * -errno: nothing comes of it. */
int draft_go_on(struct draft *draft, size_t agents);

/* What a finished draft came to; taken over. */
struct document *draft_take(struct draft *draft);

/* For a sheet: one of the texts. */
struct text *draft_text(struct draft *draft, size_t which);

/* For a sheet: the agent's JSON is part of the document. Fails as a text does. */
void draft_add_json(struct draft *draft, const struct agent *agent);

/* The agent's value, summed over its GPUs if it is theirs; AGENT_ABSENT when none tells it. */
int64_t document_sum_of(const struct agent *agent, enum agent_field_id field);

#endif
