/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_NODE_H
#define FLEETFS_FS_NODE_H

/*
 * What the kernel holds: folders, and values.
 *
 * A file is a value. The obvious design, a node per path whose content changes in place, tears
 * reads: the kernel clips what it reads to the size it learned before, so a reader who meets a
 * change gets the head of the new value at the length of the old, or two halves of different ones.
 * Notifying the kernel narrows the window and never closes it (measured: docs/design.md). So here a
 * node id names one immutable text. A refresh that brings the same text keeps the node; one that
 * brings another makes a new node under the same name, as rename(2) over a file does. Who holds the
 * old one reads it to its end, sizes are never wrong, the page cache needs no invalidation, and the
 * modification time is simply when the value was first seen.
 *
 * A node lives as long as the kernel refers to it, which the kernel tells by lookups and forgets.
 * While it is the current one of its file, it is also in the list of its agent (or of the mount),
 * to be found again. An id is never used twice in a mount: the kernel may remember longer than we
 * do.
 *
 * A folder is a node too, but its content is not immutable: it stands for its agent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/table.h"

struct row;

struct node {
	struct table_link by_id; /* hash is the node id */
	struct node *sibling;    /* in the list of its agent or of the mount */
	uint64_t lookups;        /* the kernel's references */
	const struct row *row;
	struct record *record; /* whose it is; NULL: the mount's. Folders hold a reference */
	const struct agent
		*agent;   /* a value whose text is the agent's json: a reference; else NULL */
	int64_t mtime_ns; /* a value's: when it was first seen */
	uint32_t bytes;   /* a value's */
	uint16_t index;   /* the number of its label or GPU, else 0 */
	bool folder;
	bool current; /* in the list */
	char text[];  /* a value's, unless it is the agent's json */
};

struct nodes {
	struct table by_id;
	uint64_t next_id;
	struct node *mount; /* the list of nodes that are no agent's */
	size_t count;
};

/* Ids begin at 1, which FUSE gives to the root: make that one first. */
void nodes_init(struct nodes *nodes);

/* Frees every node. Records' lists are not touched: nothing may look at them afterwards. */
void nodes_done(struct nodes *nodes);

/* The node of an id, or NULL. */
struct node *nodes_find(const struct nodes *nodes, uint64_t id);

uint64_t node_id(const struct node *node);

/* The folder of this row, record (NULL: the mount's) and index, made if the kernel does not know
 * it. NULL without memory. One without lookups must be given to node_settle() in the end. */
struct node *node_folder(struct nodes *nodes, const struct row *row, struct record *record,
                         uint16_t index);

/* Likewise the value, if the current one is this very text; else a new one takes its place. */
struct node *node_value(struct nodes *nodes, const struct row *row, struct record *record,
                        uint16_t index, const char *text, size_t bytes, int64_t mtime_ns);

/* Likewise the value whose text is the json of record->agent, shared rather than copied. */
struct node *node_json(struct nodes *nodes, const struct row *row, struct record *record,
                       int64_t mtime_ns);

/* The text of a value: node->bytes of it. */
const char *node_text(const struct node *node);

/* Takes count of the kernel's references back, and frees the node with the last one. */
void node_forget(struct nodes *nodes, struct node *node, uint64_t count);

/* Frees the node if the kernel has no reference. */
void node_settle(struct nodes *nodes, struct node *node);

/* The agent has left: none of its nodes is current any more. */
void nodes_orphan(struct record *record);

#endif
