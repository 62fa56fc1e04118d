/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_FILESYSTEM_H
#define FLEETFS_FS_FUSE_FILESYSTEM_H

/*
 * The state that all FUSE operations of a mount share: the data behind the tree, the nodes that the
 * kernel refers to, and buffers for the reply that is being built. Only the FUSE thread uses it,
 * and builds one reply at a time. Exception: the invalidator's thread reads init_reply_is_next when
 * it sends a notification.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/fleet.h"
#include "fs/fuse/node.h"
#include "fs/reports/events.h"
#include "fs/reports/jobs.h"
#include "fs/reports/views.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

/* The last rendered text of a file whose text a function writes (tree_row.text). Unused for a file
 * that never changes (tree_is_constant()). */
struct filesystem_text_version {
	uint64_t hash;    /* of the text */
	int64_t since_ns; /* when this text was first rendered; wall clock; 0: no text yet */
};

struct filesystem {
	struct fleet *fleet;   /* borrowed */
	struct status *status; /* borrowed */
	struct jobs jobs;      /* the loop runs one slice of them in each turn */
	struct views *views;
	struct events *events;
	struct nodes nodes;
	uid_t uid; /* owner of all files */
	gid_t gid;
	struct filesystem_text_version *text_versions; /* by position of the row in tree_rows */
	struct text text;        /* the file or link target that is being rendered */
	char *buffer;            /* bytes of the reply: see filesystem_reserve() */
	size_t buffer_bytes;     /* its size */
	struct node **listed;    /* READDIRPLUS: nodes in the reply that is being built */
	size_t listed_capacity;  /* number of nodes that listed has room for */
	bool init_reply_is_next; /* INIT was received and not yet replied to: fs/fuse/session.c */
};

/* Initializes a filesystem whose only node is the root. seed: random bits, for the hash tables.
 * Returns 0 or -ENOMEM. filesystem_done() must follow in both cases. */
int filesystem_init(struct filesystem *fs, struct fleet *fleet, struct status *status,
                    uint64_t seed);

/* Frees everything that the filesystem owns. A zeroed filesystem is allowed. */
void filesystem_done(struct filesystem *fs);

/* Makes fs->buffer hold at least this many bytes. Returns 0 or -ENOMEM. */
int filesystem_reserve(struct filesystem *fs, size_t bytes);

#endif
