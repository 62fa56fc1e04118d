/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_DIRECTORY_H
#define FLEETFS_FS_FUSE_DIRECTORY_H

/*
 * Finds the directory that a request names, and the nodes of its entries, which the rows of the
 * tree define (fs/tree/tree.h). LOOKUP and READDIRPLUS use it.
 *
 * A node that is returned here may be new and without lookups. The caller must count a lookup and
 * reply with it, or pass it to node_forget(): see fs/fuse/node.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fuse/node.h"
#include "fs/fuse/request.h"
#include "fs/reports/groups.h"
#include "fs/tree/tree.h"

/* Finds the directory request->ino. fresh: requires that the data of its agent, or its group, has
 * not expired; a listing that continues does not require that. Returns 0; -EAGAIN; -ESTALE if the
 * node is unknown or is not a directory; or another -errno. */
int directory_find(struct request *request, bool fresh, const struct node **ret_directory);

/* Finds or makes the node of a row. record: the agent that it belongs to; NULL: none. index: from
 * directory_child_index(); for the directory of an agent 0. Returns 0, -EAGAIN or -errno. */
int directory_child(struct request *request, const struct tree_row *row, struct record *record,
                    uint16_t index, struct node **ret_node);

/* Returns the argument `index` of directory_child() for entry n of a row in a directory: n if the
 * row has an entry for each label or GPU; else directory->index. */
uint16_t directory_child_index(const struct node *directory, const struct tree_row *row, size_t n);

/* Finds or makes the node of a link to an agent, in the view of this row and the group of this
 * value. Returns 0 or -errno. */
int directory_link(struct filesystem *fs, const struct tree_row *row, const struct record *record,
                   const char *value, struct node **ret_node);

/* Whether an agent is in a directory of links to agents: a group or a question. *work is increased
 * by the number of comparisons that this took. */
bool directory_has_agent(const struct node *directory, const struct agent *agent, size_t *work);

/* Returns the name of the link to an agent in a group, or in a question that is not a ranking. The
 * name is the record's, or is written to the buffer. */
const char *directory_agent_name(const struct node *directory, const struct record *record,
                                 char buffer[static NAME_BYTES]);

/* Finds or makes the node of the link to an agent that is in a group or question. Returns 0 or
 * -errno. */
int directory_agent_link(struct filesystem *fs, const struct node *directory,
                         const struct record *record, struct node **ret_node);

/* Returns the agent that the link of a group points to, borrowed; NULL if the agent departed or no
 * longer has the value. row: a view with one link for each value (TREE_LINKS). */
struct record *directory_linked_agent(const struct tree_row *row, const struct group *group);

#endif
