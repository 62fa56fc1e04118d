/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_ANSWERS_H
#define FLEETFS_FS_ANSWERS_H

/*
 * What each FUSE operation answers, by walking the table of rows (fs/tree.h). Inside of fs/ops.c,
 * which asks, parks and replies: see fs/ops.h for how the two go together. Whoever includes this
 * defines FUSE_USE_VERSION.
 *
 * Each answer_…() returns 0 and fills its answer, or -EAGAIN when the cache lacks a page (the same
 * call is then asked again later), or -errno. It changes nothing that a second asking would mind.
 */

#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/node.h"
#include "fs/self.h"
#include "fs/text.h"

struct answer;

/* A request of the kernel, while it is being answered. On the stack, until it has to be parked. */
struct call {
	struct call *next;
	struct call *previous;
	struct ops *ops;
	fuse_req_t req;
	int (*run)(struct call *call, struct answer *answer);
	enum self_operation operation;
	fuse_ino_t ino;
	size_t size;
	off_t offset;
	struct look look;
	int64_t deadline_ms;
	char *name; /* LOOKUP's; owned once parked */
};

/* What a call is answered with, if not with an error. */
struct answer {
	enum { ANSWER_ENTRY, ANSWER_ATTR, ANSWER_BYTES, ANSWER_STATFS, ANSWER_NOTHING } kind;
	struct fuse_entry_param entry; /* ANSWER_ATTR: its attr and attr_timeout */
	struct node *node;             /* ANSWER_ENTRY: whose it is; NULL: there is no such name */
	const char *bytes;
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
	struct self *self;
	int64_t (*now_ms)(void *user);
	void *user;
	struct nodes nodes;
	uid_t uid;
	gid_t gid;
	struct call parked; /* the ends of a ring, oldest first */
	struct text text;   /* of the file being rendered */
	struct own *own;    /* by row */
	char *listing;      /* of the folder being listed */
	struct node **listed;
	size_t listing_bytes;
	size_t leftovers; /* agents that left and whose folders the kernel may still hold */
	bool init_due;    /* the next reply is the one to INIT */
};

int answer_lookup(struct call *call, struct answer *answer);
int answer_getattr(struct call *call, struct answer *answer);
int answer_read(struct call *call, struct answer *answer);
int answer_readdirplus(struct call *call, struct answer *answer);
int answer_statfs(struct call *call, struct answer *answer);
int answer_access(struct call *call, struct answer *answer);

#endif
