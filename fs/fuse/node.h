/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_NODE_H
#define FLEETFS_FS_FUSE_NODE_H

/*
 * What the kernel holds: folders, values, links and documents.
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
 * So a value is its text and its time, and nothing else: files that have both in common (most of
 * what agents say is what others say too) share one node, which the kernel keeps, and reads, once.
 *
 * A node lives as long as the kernel refers to it, which the kernel tells by lookups and forgets.
 * An id is never used twice in a mount: the kernel may remember longer than we do.
 *
 * A folder is a node too, but its content is not immutable: it stands for its agent, or for those
 * whom a value of a view groups together. A link is a
 * value whose text is its target. A document (fs/reports/document.h) is one text over the whole
 * fleet, too large to be copied or compared. The event log (fs/reports/events.h) is the one file
 * whose content grows.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/table.h"

struct document;
struct event_log;
struct row;

enum node_kind { NODE_FOLDER, NODE_GROUP, NODE_VALUE, NODE_LINK, NODE_DOCUMENT, NODE_LOG };

struct node {
	struct table_link by_id;   /* hash is the node id */
	struct table_link by_what; /* by what it stands for */
	uint64_t lookups;          /* the kernel's references */
	const struct row *row;     /* a folder's, or a group's; else NULL */
	struct record *record;     /* a folder's agent: a reference; NULL: it is the mount's */
	const struct agent
		*agent; /* a value whose text is this agent's json: a reference; else NULL */
	struct document *document; /* a document's: a reference; else NULL */
	struct event_log *log;     /* an event log's: a reference; else NULL */
	int64_t mtime_ns;          /* a value's: when it was first seen; wall clock */
	uint32_t bytes;            /* of text */
	uint32_t generation;       /* a folder's: nodes->generation when it was made */
	uint16_t index;            /* a folder's: the number of its GPU, else 0 */
	uint8_t kind;              /* enum node_kind */
	char text[]; /* a value's, unless it is an agent's json; what those in a group have in
	              * common; terminated by NUL, which does not count */
};

struct nodes {
	struct table by_id;
	struct table by_what;
	uint64_t next_id;
	uint32_t generation; /* folders of an earlier one are not found again, only by id */
	uint64_t seed;       /* of the hashes: texts are strangers' */
};

/* Ids begin at 1, which FUSE gives to the root: make that one first. */
void nodes_init(struct nodes *nodes, uint64_t seed);

/* Frees every node. */
void nodes_done(struct nodes *nodes);

/* The node of an id, or NULL. */
struct node *nodes_find(const struct nodes *nodes, uint64_t id);

size_t nodes_count(const struct nodes *nodes);

uint64_t node_id(const struct node *node);

/* The folder of this row, record (NULL: the mount's), index and generation; NULL if the kernel does
 * not know it. */
struct node *nodes_find_folder(const struct nodes *nodes, const struct row *row,
                               const struct record *record, uint16_t index);

/* The same, made if the kernel does not know it. NULL without memory. One without lookups must be
 * given to node_forget() in the end.
 */
struct node *node_folder(struct nodes *nodes, const struct row *row, struct record *record,
                         uint16_t index);

/* Likewise the folder of those who have a value, in the view that is this row. */
struct node *node_group(struct nodes *nodes, const struct row *row, const char *value);

/* Likewise the value of this text and time. */
struct node *node_value(struct nodes *nodes, const char *text, size_t bytes, int64_t mtime_ns);

/* Likewise the value whose text is the agent's json, shared rather than copied. */
struct node *node_json(struct nodes *nodes, const struct agent *agent, int64_t mtime_ns);

/* Likewise the link of this target and time. */
struct node *node_link(struct nodes *nodes, const char *target, size_t bytes, int64_t mtime_ns);

/* Likewise that of a document. */
struct node *node_document(struct nodes *nodes, struct document *document);

/* The node of an event log, made if the kernel does not know it. NULL without memory. */
struct node *node_log(struct nodes *nodes, struct event_log *log);

/* The text of a value: node->bytes of it. */
const char *node_text(const struct node *node);

/* Takes count of the kernel's references back (0 is fine), and frees the node without any left. */
void node_forget(struct nodes *nodes, struct node *node, uint64_t count);

#endif
