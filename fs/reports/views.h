/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_VIEWS_H
#define FLEETFS_FS_REPORTS_VIEWS_H

/*
 * The views over the whole fleet: the groups of each view, and the documents. Each is built when a
 * request needs it, once for each whole list.
 *
 * All documents are freed when none was used for two ttls. Groups stay, since a listing of them may
 * continue at any time (fs/reports/groups.h). If all groups take more than 16 MiB, those of the
 * view that was listed the longest ago are freed, a minute after that listing at the earliest.
 *
 * Building takes 0.8 s for 100,000 agents, and other readers must not wait for it. So it is done in
 * slices of about a millisecond, one for each turn of the loop, and the kernel's other requests are
 * answered in between. The request that needs the view does the slice: while there is more to do
 * the result is -EAGAIN, and look->wake_ms is now.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/document.h"
#include "fs/reports/groups.h"

struct row;
struct views;

/* NULL without memory. fleet is borrowed. seed: any random bits. */
struct views *views_new(struct fleet *fleet, int64_t ttl_ms, uint64_t seed);

/* NULL is fine. */
void views_free(struct views *views);

/* The groups of a row (TREE_GROUPS or TREE_LINKS), of the list that fleet_whole() tells the look or
 * of a later one, so that whoever came meanwhile is served by the same making; look->list then is
 * that one: 0 and the groups, borrowed until the next call; -EAGAIN; or -errno. */
int views_groups(struct views *views, const struct row *row, struct query *query,
                 const struct groups **ret);

/* The groups for a listing that continues after the group of this number; NULL if they were freed
 * since. */
const struct groups *views_groups_after(struct views *views, const struct row *row,
                                        struct query *query, uint64_t number);

/* Likewise the document of a row. */
int views_document(struct views *views, const struct row *row, struct query *query,
                   struct document **ret);

/* Whether the caller may do a slice's worth of work in this turn; then nobody else may. Else it is
 * to answer -EAGAIN, look->wake_ms being set to now. */
bool views_may_work(struct views *views, struct query *query);

/* Whether somebody did in this turn. */
bool views_worked(const struct views *views);

/* A turn of the loop begins. */
void views_turn(struct views *views);

/* Frees what was not used for a while. Returns whether the documents were freed. */
bool views_tidy(struct views *views);

/* When views_tidy() is due, on the fleet's clock, ms; INT64_MAX: there is nothing to free. */
int64_t views_due_ms(const struct views *views);

#endif
