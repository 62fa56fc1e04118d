/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_ATTRIBUTES_H
#define FLEETFS_FS_FUSE_ATTRIBUTES_H

/* The attributes of nodes, and how long the kernel may keep attributes and names. */

#include <fuse_lowlevel.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/fuse/request.h"

/* A timeout that never ends in practice, in s. More would overflow the kernel's jiffies. */
#define ATTRIBUTES_FOREVER_S 1e9

/* Returns the size of a node in bytes: the length of its text; 0 for a directory. */
uint64_t attributes_bytes(const struct node *node);

/* Fills in what stat(2) shows. */
void attributes_fill(struct filesystem *fs, const struct node *node, struct stat *ret_attr);

/* How long the kernel may keep the attributes of a node, in s; for a directory also the timeout of
 * negative entries in it. */
double attributes_timeout_s(const struct request *request, const struct node *node);

/* Fills in the directory entry of a node. record: the agent that the node belongs to, or NULL. */
void attributes_fill_entry(const struct request *request, const struct node *node,
                           const struct record *record, struct fuse_entry_param *ret_entry);

#endif
