/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_VIEWS_H
#define FLEETFS_FS_REPORTS_VIEWS_H

/*
 * What is built from the whole list of agents. "View" here means more than the directories that
 * fs/tree/tree.h calls views: the groups of one of them (by-status/, tasks/), one report of fleet/,
 * or a ranking, which answers a question with an order (where/…/sort=FIELD/). A view is built when
 * a request needs it, once for each list, by a job in slices (fs/reports/build.h): building one
 * takes 0.8 s for 100,000 agents.
 *
 * All reports are freed when no view was used for two ttls and a second. Groups stay, since a
 * listing of them may continue at any time (fs/reports/groups.h), and rankings are freed one by one
 * (fs/reports/rankings.h). If all groups take more than 16 MiB, those of the view that was listed
 * the longest ago are freed, a minute after that listing at the earliest.
 *
 * One thread.
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

/* Views of status->fleet. status and jobs are borrowed. seed: random bits for hashes. Returns NULL
 * without memory. */
struct views *views_new(const struct status *status, struct jobs *jobs, int64_t ttl_ms,
                        uint64_t seed);

/* Removes the jobs from the queue. NULL is allowed. */
void views_free(struct views *views);

/* The groups of a row (TREE_GROUPS or TREE_LINKS), of the list that fleet_whole_list() returns for
 * the query or of a later one; query->list is then that list. Returns 0 and the groups, borrowed
 * until the next call; -EAGAIN; or -errno. */
int views_groups(struct views *views, const struct tree_row *row, struct query *query,
                 const struct groups **ret_groups);

/* The groups for a listing that continues after the group of this number. They may be of any list,
 * also an expired one; query->list is then that list. Returns NULL if the groups that the listing
 * began with were freed to save memory. */
const struct groups *views_groups_after(struct views *views, const struct tree_row *row,
                                        struct query *query, uint64_t number);

/* The report of a row. Returns 0, -EAGAIN or -errno, and sets query->list, as views_groups() does.
 */
int views_report(struct views *views, const struct tree_row *row, struct query *query,
                 struct report **ret_report);

/* The answer to a question with an order. Returns 0, -EAGAIN or -errno, and sets query->list, as
 * views_groups() does. continues: a listing goes on in it, so that any list will do, also an
 * expired one; query->list is then that list. */
int views_ranking(struct views *views, struct question *question, struct query *query,
                  bool continues, const struct ranking **ret_ranking);

/* Postpones the freeing of the reports, as the use of a view does. For a question below where/ that
 * needs no ranking. */
void views_touch(struct views *views);

/* Frees what was not used for a while. Returns whether the reports were freed. */
bool views_tidy(struct views *views);

/* When views_tidy() is due, on the fleet's clock, in ms; INT64_MAX: there is nothing to free. */
int64_t views_due_ms(const struct views *views);

#endif
