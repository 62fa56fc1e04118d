/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_DOCUMENT_H
#define FLEETFS_FS_REPORTS_DOCUMENT_H

/*
 * A document: a text over the whole fleet (a table, a sum, all agents as JSON).
 *
 * It is built when it is read, once for each whole list, and is immutable afterwards: a reader that
 * has it open reads it to its end although newer ones exist. If a new document equals the previous
 * one, the previous one is kept, with its inode and its time.
 *
 * It may be long (100,000 agents are 70 MB of JSON), and other readers must not wait for it. So it
 * is built some hundred agents at a time (fs/reports/views.h).
 *
 * Memory. Text may take nine times as many bytes as the API sent, since a byte that is not safe to
 * show is escaped twice for the page. So the rows of an agent are stored only if they take no more
 * bytes than the agent, and at most 16 KiB. Longer rows, and the agents' JSON, are borrowed: the
 * document refers to the agent and writes the row again when it is read. Thus a document takes no
 * more memory than the agents that it shows, which the cache bounds (FLEET_MAX_BYTES).
 *
 * A sheet writes the content: the beginning, the rows of each agent, a line for each status, and
 * the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/fleet.h"
#include "fs/reports/groups.h"
#include "fs/tree/text.h"

#define DOCUMENT_MAX_TEXT (UINT64_C(1) << 30) /* stored bytes of one text; beyond: -EFBIG */
#define DOCUMENT_TEXTS    24

/* What the rows of an agent are written from. */
struct document_row {
	const struct agent *agent;
	int64_t first_ns;  /* when the agent was first seen; wall clock */
	int64_t status_ns; /* since when it has its status; wall clock */
	bool is_first;     /* the row of the first agent */
};

/* A row that is not stored. */
struct document_borrowed {
	struct document_row row; /* with a reference to the agent */
	uint64_t end;            /* offset of its end in its text */
	size_t stored;           /* stored bytes of its text that precede it */
};

struct document_rows {
	struct document_borrowed *items; /* in their order */
	size_t count;
	size_t capacity;
};

/* The text of the borrowed row that was read last: the next read(2) may continue in it. */
struct document_window {
	struct text text;
	const struct document_borrowed *of; /* NULL: none */
};

/* The content is its texts one after the other, each with its borrowed rows in between. The log of
 * events (fs/reports/events.h) is a document too, which grows by lines and borrows nothing. */
struct document {
	unsigned int refs;
	const struct sheet *sheet; /* writes the borrowed rows; NULL: there are none */
	struct text texts[DOCUMENT_TEXTS];
	struct document_rows borrowed[DOCUMENT_TEXTS]; /* in each text */
	struct document_window window;
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
	/* Appends an agent's row to text `number`. It must write the same bytes each time. */
	void (*row)(struct text *text, size_t number, const struct document_row *row);
	void (*status)(struct draft *draft, const struct group *status);
	void (*end)(struct draft *draft);
	uint8_t first_text; /* the first text that has rows */
	uint8_t row_texts;  /* number of texts that have rows, in sequence */
	bool borrows;       /* every row is borrowed, since the agent holds its bytes */
};

/* An empty one, with one reference. NULL without memory. */
struct document *document_new(void);

struct document *document_ref(struct document *document);

/* NULL is fine. */
void document_unref(struct document *document);

/* Copies up to size bytes from an offset on. Returns the number of bytes, fewer than size only at
 * the end, or -ENOMEM. */
ssize_t document_read(struct document *document, uint64_t offset, size_t size, char *ret);

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

/* The agent's value, summed over its GPUs if it is theirs; AGENT_ABSENT when none tells it. */
int64_t document_sum_of(const struct agent *agent, enum agent_field_id field);

#endif
