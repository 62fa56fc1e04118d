/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_ANSWERS_H
#define FLEETFS_FS_FUSE_ANSWERS_H

/*
 * What each FUSE operation answers, by walking the table of rows (fs/tree/tree.h). Inside of
 * fs/fuse/ops.c, which asks, parks and replies: see fs/fuse/ops.h for how the two go together.
 * Whoever includes this defines FUSE_USE_VERSION. READDIRPLUS is in fs/fuse/readdir.c, the rest in
 * fs/fuse/answers.c.
 *
 * Each answer_…() returns 0 and fills its answer, or -EAGAIN when the cache lacks a page (the same
 * call is then asked again later), or -errno. It changes nothing that a second asking would mind.
 */

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/fuse/node.h"
#include "fs/fuse/ops.h"
#include "fs/reports/events.h"
#include "fs/reports/jobs.h"
#include "fs/reports/views.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

struct answer;

/* A request of the kernel, while it is being answered. On the stack, until it has to be parked. */
struct call {
	struct call *next;
	struct call *previous;
	struct ops *ops;
	fuse_req_t req;
	int (*run)(struct call *call, struct answer *answer);
	enum status_operation operation;
	fuse_ino_t ino;
	size_t size;
	off_t offset;
	struct query query;
	int64_t deadline_ms;
	uint64_t scanned; /* a listing's: how far it has looked for more, as an offset */
	struct job job;   /* runs the call again while it is unfinished; only of a parked call */
	bool unfinished;  /* it returned -EAGAIN although it lacks no page: it has more to scan */
	bool interrupted; /* the reader got a signal that neither ends it nor is handled */
	bool reading;     /* GETATTR for a read(2), which asks where the file ends */
	char *name;       /* LOOKUP's; owned once parked */
};

/* What a call is answered with, if not with an error. */
struct answer {
	enum {
		ANSWER_ENTRY,
		ANSWER_ATTR,
		ANSWER_BYTES,
		ANSWER_TARGET,
		ANSWER_STATFS,
		ANSWER_NOTHING
	} kind;
	struct fuse_entry_param entry; /* ANSWER_ATTR: its attr and attr_timeout */
	struct node *node;             /* ANSWER_ENTRY: whose it is; NULL: there is no such name */
	const char *bytes;             /* ANSWER_TARGET: terminated by NUL */
	size_t length;
	size_t entries; /* ANSWER_BYTES: so many of ops->listed are in it */
};

/* A file of the mount's own, as it was last rendered. */
struct own {
	uint64_t hash;
	int64_t since_ns;
};

struct ops {
	struct fleet *fleet;
	struct status *status;
	ops_drop *drop;
	void *user;
	struct nodes nodes;
	uid_t uid;
	gid_t gid;
	struct call parked; /* the ends of a ring, oldest first */
	struct text text;   /* of the file being rendered */
	struct own *own;    /* by row */
	char *buffer;       /* of the bytes being answered */
	size_t buffer_bytes;
	struct node **listed; /* of the folder being listed */
	size_t listed_capacity;
	struct jobs jobs; /* one slice in each turn of the loop */
	struct views *views;
	struct events *events;
	int proc_fd;            /* from reader_open_proc() */
	int64_t readers_due_ms; /* when interrupted readers are checked next; INT64_MAX: none */
	size_t leftovers;       /* agents that left and whose folders the kernel may still hold */
	bool init_due;          /* the next reply is the one to INIT */
};

int answer_lookup(struct call *call, struct answer *answer);
int answer_getattr(struct call *call, struct answer *answer);
int answer_read(struct call *call, struct answer *answer);
int answer_readdirplus(struct call *call, struct answer *answer);
int answer_readlink(struct call *call, struct answer *answer);
int answer_statfs(struct call *call, struct answer *answer);
int answer_access(struct call *call, struct answer *answer);

/* For the two files of it */

/* The folder of an id, if what is known of its agent, or its group, is fresh; a listing that goes
 * on (fresh: false) may do with what it began with. */
int answer_folder(struct call *call, bool fresh, const struct node **ret_folder);

/* The node of a row, as of answer_child_index() (or of an agent: 0). */
int answer_node(struct call *call, const struct row *row, struct record *record, uint16_t index,
                struct node **ret_node);

/* The index that a child of this folder goes by: its own number, or that of the GPU it is in. */
uint16_t answer_child_index(const struct node *folder, const struct row *row, size_t occurrence);

/* The node of the link to an agent that has this value, in this view. */
int answer_link(struct ops *ops, const struct row *row, const struct record *record,
                const char *value, struct node **ret_node);

/* The agent that the link of a group points to, in a view with one link for each value; NULL if it
 * has left or no longer has the value. */
struct record *answer_first(const struct row *row, const struct group *group);

/* record: of the agent whose file, folder or link this name means; NULL: the mount's own. */
void answer_fill_entry(const struct call *call, const struct node *node,
                       const struct record *record, struct fuse_entry_param *ret_entry);

/* Room for so many bytes in ops->buffer. 0 or -ENOMEM. */
int ops_reserve(struct ops *ops, size_t bytes);

#endif
