/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_OPS_H
#define FLEETFS_FS_FUSE_OPS_H

/*
 * The FUSE operations, by walking the table of rows.
 *
 * An operation is a function that answers or says -EAGAIN: the cache lacks a page. Then its request
 * is parked, with a deadline and an interrupt function, and the same function runs again from the
 * start when something arrived. Every operation replies at exactly one point, in answer(). Nothing
 * waits, and what needs no page is never behind what does.
 *
 * open and opendir answer ENOSYS, after which the kernel asks neither again and serves repeated
 * reads from its page cache without any request. So no state hangs on a file handle.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/tree/status.h"

struct ops;
struct fuse_session;
struct fuse_args;

/*
 * Makes the kernel forget names (fs/fuse/invalidator.h): those of the views, or those of agents,
 * too. Called when it holds too much that is of no use any more.
 *
 * It holds what it was told until it wants the room, long after an agent left, and until then the
 * daemon must know it as well. So once more agents left than are there, it is to let go of all:
 * that bounds both at twice what is needed, for one reading again of what is still there. And of
 * the views when nobody has looked at any for a while, since some are large.
 */
typedef void ops_drop(void *user, bool agents_too);

/* NULL without memory. self and fleet are borrowed. seed: any random bits. drop may be NULL. */
struct ops *ops_new(struct fleet *fleet, struct status *status, uint64_t seed, ops_drop *drop,
                    void *user);

/* Answers what is parked with ENOTCONN, and frees all. After the session's loop has ended, before
 * the fleet is freed. NULL is fine. */
void ops_free(struct ops *ops);

/* A session for these operations, not yet mounted, or NULL (libfuse has told why). */
struct fuse_session *ops_session(struct ops *ops, struct fuse_args *args);

/* Gets a session that has just been mounted ready for loop_run(). 0 or -errno. */
int ops_attach(struct fuse_session *session);

/* From now on a folder that is looked up is another one than before, as far as the kernel knows. */
void ops_renew_folders(struct ops *ops);

/* What is known of an agent is about to change: the fleet's port of this name. */
int ops_changed(struct ops *ops, const struct record *record, const struct agent *before,
                const struct agent *after, int64_t at_ns);

/* Something arrived: runs everything parked again. */
void ops_retry(struct ops *ops);

/* Runs what is due: deadlines, and what wants to be asked again by now. Returns how long until the
 * next is due, ms; -1: nothing is. */
int64_t ops_due_ms(struct ops *ops);

#endif
