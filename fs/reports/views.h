/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_VIEWS_H
#define FLEETFS_FS_REPORTS_VIEWS_H

/*
 * The results that are built from the whole list of agents: the groups of a directory (by-status/,
 * tasks/), a report of fleet/, or a ranking (where/…/sort=FIELD/). The groups and links of a
 * directory are the view in fs/tree/tree.h.
 *
 * A result is built when a request needs it, once for each list, by a job in slices
 * (fs/reports/build.h): building one takes 0.8 s for 100,000 agents.
 *
 * All reports are freed when no result was used for two ttls and a second. Rankings are freed one
 * by one (fs/reports/rankings.h). Groups stay, since a listing of them may continue at any time
 * (fs/reports/groups.h). But if all groups together take more than 16 MiB, those that were not used
 * for the longest time are freed: at the earliest a minute after their last use, or two ttls and a
 * second if that is longer.
 *
 * Not thread-safe: only the FUSE thread uses these functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/build.h"
#include "fs/reports/groups.h"
#include "fs/reports/jobs.h"
#include "fs/reports/rankings.h"
#include "fs/reports/report.h"

struct status;
struct tree_row;
struct views;

/* For the results of status->fleet; none is built yet. status and jobs are borrowed. seed: random
 * bits for hashes. Returns NULL without memory. */
struct views *views_new(const struct status *status, struct jobs *jobs, int64_t ttl_ms,
                        uint64_t seed);

/* Frees all results, and removes their jobs from the queue. NULL is allowed. */
void views_free(struct views *views);

/* Finds the groups of a row (TREE_GROUPS or TREE_LINKS). They are built from the list that
 * fleet_whole_list() returns for the query, or from a later one; query->list is then their list.
 * Returns 0 and the groups, borrowed until the next call; -EAGAIN; or -errno. */
int views_groups(struct views *views, const struct tree_row *row, struct query *query,
                 const struct groups **ret_groups);

/* Returns the groups for a listing that continues after the group with this number. They may be of
 * any list, also an expired one, which is then query->list. Returns NULL if the groups that the
 * listing began with were freed to save memory. */
const struct groups *views_groups_after(struct views *views, const struct tree_row *row,
                                        struct query *query, uint64_t number);

/* Finds the report of a row. Returns the same results as views_groups(), and sets query->list as it
 * does. */
int views_report(struct views *views, const struct tree_row *row, struct query *query,
                 struct report **ret_report);

/* Finds the ranking of a sorted question. Returns the same results as views_groups(), and sets
 * query->list as it does. continues: for a listing that continues, the existing ranking is returned
 * whatever its list, also if that has expired. */
int views_ranking(struct views *views, struct question *question, struct query *query,
                  bool continues, const struct ranking **ret_ranking);

/* Records a use, so that views_tidy() returns true later. The functions above call it. Their caller
 * calls it when a program uses a question below where/: the question may need no result, but the
 * kernel's entries of it are to be invalidated, too. */
void views_touch(struct views *views);

/* Frees the results that are due. Returns true, once, when none was used for two ttls and a second,
 * even if no report was freed. The caller then invalidates the kernel's entries. */
bool views_tidy(struct views *views);

/* When views_tidy() is due, on the fleet's clock, in ms; INT64_MAX: there is nothing to free. */
int64_t views_due_ms(const struct views *views);

#endif
