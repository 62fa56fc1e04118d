/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_VIEWS_H
#define FLEETFS_FS_VIEWS_H

/*
 * What is known of the views over the whole fleet: the groups of each folder of groups, and the
 * documents. Made when somebody asks, once for each whole list, and given back when nobody has
 * asked for a while; groups, which a listing may go on in, a minute after at the earliest.
 *
 * Who reads something else is not to wait for it (100,000 agents take 0.8 s). So it is made in
 * slices of a millisecond or so, one for each turn of the loop, in between of which the kernel's
 * other requests are answered. A slice is done by whoever asks: while there is more to do the
 * answer is -EAGAIN, and look->wake_ms is now.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/document.h"
#include "fs/groups.h"

struct row;
struct views;

/* NULL without memory. fleet is borrowed. seed: any random bits. */
struct views *views_new(struct fleet *fleet, int64_t ttl_ms, uint64_t seed);

/* NULL is fine. */
void views_free(struct views *views);

/* The groups of a row (TREE_GROUPS or TREE_LINKS), of the list that fleet_whole() tells the look or
 * of a later one, so that whoever came meanwhile is served by the same making; look->list then is
 * that one: 0 and the groups, borrowed until the next call; -EAGAIN; or -errno. */
int views_groups(struct views *views, const struct row *row, struct look *look,
                 const struct groups **ret);

/* What is there of them for a listing that goes on after the group of this number; NULL: it was
 * left alone for so long that they are forgotten. */
const struct groups *views_groups_after(struct views *views, const struct row *row,
                                        struct look *look, uint64_t number);

/* Likewise the document of a row. */
int views_document(struct views *views, const struct row *row, struct look *look,
                   struct document **ret);

/* Whether the caller may do a slice's worth of work in this turn; then nobody else may. Else it is
 * to answer -EAGAIN, look->wake_ms being set to now. */
bool views_may_work(struct views *views, struct look *look);

/* Whether somebody did in this turn. */
bool views_worked(const struct views *views);

/* A turn of the loop begins. */
void views_turn(struct views *views);

/* Gives back what nobody asked for in a while; true: nobody asked for anything. */
bool views_tidy(struct views *views);

/* When it will be time to, on the fleet's clock, ms; INT64_MAX: there is nothing. */
int64_t views_due_ms(const struct views *views);

#endif
