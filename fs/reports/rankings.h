/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_RANKINGS_H
#define FLEETFS_FS_REPORTS_RANKINGS_H

/*
 * Rankings: the agents that match a question with `sort=` (fs/tree/question.h), in its order.
 *
 * A ranking is built when a request needs it, once for each list (fs/reports/build.h). Questions
 * with the same question_key() share one. A ranking is freed when it was not used for two ttls and
 * a second. If all rankings together take more than 16 MiB, those that were not used for the
 * longest time are freed, except while they are being built. A listing continues after a number,
 * the rank, so it can continue in a later ranking of the question.
 *
 * A build takes the time of a heap sort. A ranking takes 8 bytes for each agent that matches, for a
 * reference to its record. During a build it takes 50 to 100 more bytes for each of these agents,
 * which the limit of 16 MiB does not include.
 *
 * Not thread-safe: only the FUSE thread uses rankings.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "cache/table.h"
#include "fs/reports/build.h"
#include "fs/tree/question.h"

struct ranking;

struct rankings {
	struct fleet *fleet; /* borrowed */
	struct jobs *jobs;   /* borrowed */
	int64_t idle_ms;     /* a ranking that was not used for this time is freed */
	uint64_t seed;
	struct table by_key;
	struct ranking *oldest; /* by last use; NULL: none */
	struct ranking *newest;
	size_t bytes;     /* of all rankings, without builds */
	size_t max_bytes; /* beyond this, rankings are freed */
};

/* Makes an empty set of rankings; allocates nothing. seed: random bits for hashes. */
void rankings_init(struct rankings *rankings, struct fleet *fleet, struct jobs *jobs,
                   int64_t idle_ms, uint64_t seed);

/* Frees all rankings, and removes their jobs from the queue. */
void rankings_done(struct rankings *rankings);

/* Finds the ranking of a sorted question. It is built from the list that fleet_whole_list() returns
 * for the query, or from a later one; query->list is then the list of the ranking. any_list: if a
 * ranking exists, it is returned whatever its list. Returns 0 and the ranking, borrowed until the
 * next call; -EAGAIN; or -errno. */
int rankings_find(struct rankings *rankings, struct question *question, struct query *query,
                  bool any_list, const struct ranking **ret_ranking);

/* The number of agents. */
size_t ranking_count(const struct ranking *ranking);

/* The agent at an index below ranking_count(), borrowed. NULL if it departed or no longer matches
 * the question. */
struct record *ranking_agent(const struct ranking *ranking, size_t index);

/* The result of looking up an index without an agent: -ENOENT, or the -errno of a page that the
 * list lacks. */
int ranking_absent(const struct ranking *ranking);

/* The result at the end of a listing: 0, or the -errno of such a page. */
int ranking_end(const struct ranking *ranking);

/* Frees the rankings that were not used for idle_ms. */
void rankings_tidy(struct rankings *rankings);

/* When rankings_tidy() is due, on the fleet's clock, in ms; INT64_MAX: there is nothing to free. */
int64_t rankings_due_ms(const struct rankings *rankings);

#endif
