/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_NODE_H
#define FLEETFS_FS_FUSE_NODE_H

/*
 * Nodes: the directories, values, links, reports and logs that the kernel refers to.
 *
 * A file is a value. The obvious design, a node per path whose content changes in place, tears
 * reads: the kernel cuts a read at the size that it learned before. A read during a change returns
 * the beginning of the new value at the length of the old one, or halves of two values.
 * Notifications to the kernel make this rarer and do not prevent it (measured: docs/design.md). So
 * a node ID names one immutable text. A refresh that brings the same text keeps the node. A refresh
 * that brings another text makes a new node under the same name, as rename(2) over a file does.
 * Therefore a reader that has the old value open reads it to its end, sizes are never wrong, the
 * page cache needs no invalidation, and the modification time is when the value was first seen.
 *
 * A value consists of its text and its time. Files with equal text and time share a node, so the
 * kernel reads and stores it once. That saves much, since most texts of an agent equal those of
 * other agents.
 *
 * A link is a value whose text is its target. A report (fs/reports/report.h) is an immutable text
 * over the whole fleet, too large to be copied or compared. The event log (fs/reports/events.h) is
 * the one file that grows. The content of a directory changes: its node stands for an agent, a part
 * of an agent, the group of agents that have a value in common, or the agents that answer a
 * question (fs/tree/question.h). A question has a node for each path that asks it: the kernel gives
 * a directory only one name, so a node with several would move between them under its readers.
 *
 * A node lives as long as the kernel refers to it: the kernel counts a lookup for each entry that
 * it receives, and sends the number of lookups that it forgets. Node IDs are never reused in a
 * mount, since a program may compare inode numbers (st_ino) after that.
 *
 * Only the FUSE thread uses nodes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/table.h"

struct report;
struct event_log;
struct question;
struct tree_row;

enum node_kind {
	NODE_DIRECTORY,
	NODE_GROUP,
	NODE_QUESTION,
	NODE_VALUE,
	NODE_LINK,
	NODE_REPORT,
	NODE_LOG
};

struct node {
	struct table_link by_id;    /* its hash is the node ID */
	struct table_link by_key;   /* its hash is a hash of the content */
	uint64_t lookups;           /* references of the kernel */
	const struct tree_row *row; /* DIRECTORY, GROUP, QUESTION: the row of the tree; else NULL */
	struct record *record;      /* DIRECTORY of an agent: a reference; else NULL */
	const struct agent *agent;  /* VALUE whose text is agent->json: a reference; else NULL */
	struct report *report;      /* REPORT: a reference; else NULL */
	struct event_log *log;      /* LOG: a reference; else NULL */
	union {
		int64_t mtime_ns;          /* VALUE, LINK: when it was first seen; wall clock */
		struct question *question; /* QUESTION: a reference */
	};
	uint32_t bytes;      /* length of the text; REPORT, LOG: 0 */
	uint32_t generation; /* DIRECTORY, GROUP, QUESTION: nodes->generation when it was made */
	uint16_t index;      /* DIRECTORY of a GPU: its number; else 0 */
	uint8_t kind;        /* enum node_kind */
	char text[];         /* VALUE, unless it is agent->json; LINK: the target; GROUP: the
	                      * common value; QUESTION: its path below where/. A NUL follows, which bytes
	                      * does not count. */
};

struct nodes {
	struct table by_id;
	struct table by_key;
	uint64_t next_id;
	uint32_t generation;   /* directories of earlier generations are found by ID only */
	uint64_t seed;         /* of the hashes, since the API controls the texts */
	size_t questions_made; /* nodes of questions that were made; the owner may reset it */
};

/* Initializes an empty table. seed: random bits. The first node gets ID 1, which FUSE reserves for
 * the root: make the root first. */
void nodes_init(struct nodes *nodes, uint64_t seed);

/* Frees every node. */
void nodes_done(struct nodes *nodes);

/* Returns the node with this ID, or NULL. */
struct node *nodes_find(const struct nodes *nodes, uint64_t id);

size_t nodes_count(const struct nodes *nodes);

uint64_t node_id(const struct node *node);

/* Finds the directory of a row, an agent (record NULL: of no agent) and an index in the present
 * generation. Returns NULL if the kernel does not refer to it. */
struct node *nodes_find_directory(const struct nodes *nodes, const struct tree_row *row,
                                  const struct record *record, uint16_t index);

/*
 * The functions below return the node with this content; a new node if the kernel refers to none.
 * A new node has no lookups: the caller must count one or call node_forget(). They return NULL
 * if out of memory.
 */

/* The directory that nodes_find_directory() finds. */
struct node *node_directory(struct nodes *nodes, const struct tree_row *row, struct record *record,
                            uint16_t index);

/* The directory of the agents that have a value, in the view of this row. */
struct node *node_group(struct nodes *nodes, const struct tree_row *row, const char *value);

/* The directory of a question, which the node keeps, at the path below where/ that asks it. */
struct node *node_question(struct nodes *nodes, const struct tree_row *row, const char *path,
                           struct question *question);

/* The value with this text, which is copied, and time. */
struct node *node_value(struct nodes *nodes, const char *text, size_t bytes, int64_t mtime_ns);

/* The value whose text is agent->json, which is not copied: the node keeps the agent. */
struct node *node_json(struct nodes *nodes, const struct agent *agent, int64_t mtime_ns);

/* The link with this target, which is copied, and time. */
struct node *node_link(struct nodes *nodes, const char *target, size_t bytes, int64_t mtime_ns);

/* The node of a report; the node keeps it. */
struct node *node_report(struct nodes *nodes, struct report *report);

/* The node of an event log; the node keeps it. */
struct node *node_log(struct nodes *nodes, struct event_log *log);

/* The text of a VALUE, LINK or LOG: attributes_bytes() bytes. */
const char *node_text(const struct node *node);

/* Subtracts count from the lookups of a node, and frees the node if none is left. count: 0 frees a
 * new node without lookups; a count above the lookups frees the node, too. */
void node_forget(struct nodes *nodes, struct node *node, uint64_t count);

#endif
