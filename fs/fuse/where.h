/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_WHERE_H
#define FLEETFS_FS_FUSE_WHERE_H

/*
 * Lookups in where/ and in the directories of questions (fs/tree/question.h).
 *
 * A name with an operator is a component of a question: it needs no data, and always exists. Any
 * other name in a question is that of an agent (fs/tree/names.h) or, after a component `sort=…`, a
 * rank. A question that ends in `sort=…` is a ranking (fs/reports/rankings.h).
 */

#include <stdbool.h>

#include "fs/fuse/node.h"
#include "fs/fuse/request.h"

/* Whether a directory is where/ or a question. */
bool where_is_directory(const struct node *directory);

/* Returns whether this name can never exist in a question, whatever the API responds. A lookup of
 * such a name needs no data. */
bool where_cannot_contain(const struct node *question, const char *name);

/* Finds or makes the directory of a question: request->name in where/ or in another question.
 * Returns 0; -EINVAL if the name is wrong there; or -ENOMEM. */
int where_find_question(struct request *request, const struct node *directory,
                        struct node **ret_node);

/* Finds the agent whose name below where/ is request->name; whether it answers the question is not
 * checked. Returns 0 and its record, -ENOENT, -EAGAIN or -errno. */
int where_find_agent(struct request *request, struct record **ret_record);

/* Finds the agent whose rank in a ranking is request->name. Returns 0 and its record, -ENOENT,
 * -EAGAIN or -errno. */
int where_find_rank(struct request *request, const struct node *question,
                    struct record **ret_record);

#endif
