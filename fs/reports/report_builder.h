/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_REPORT_BUILDER_H
#define FLEETFS_FS_REPORTS_REPORT_BUILDER_H

/*
 * Builds a report of one list of agents, in slices.
 *
 * A report may be long (100,000 agents are 70 MB of JSON), and other requests must not wait for it.
 * So a builder writes one slice of agents at a time.
 *
 * The kind of the report decides what is written: the beginning, then the rows of each agent, then
 * a line for each status, then the end. Each of these can be in several sections.
 *
 * Not thread-safe: only the FUSE thread uses builders.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/report.h"
#include "fs/reports/totals.h"
#include "fs/tree/status.h"

struct report_builder;

/* What a report contains. A function that is NULL writes nothing. */
struct report_kind {
	void (*begin)(struct report_builder *builder);
	report_write_row *write_row; /* must not be NULL if a section has rows */
	/* Called for each status: first for the documented ones, in the order of the API's
	 * documentation, then for the others, sorted. group: of the agents with this status. */
	void (*write_status)(struct report_builder *builder, const struct group *group);
	void (*end)(struct report_builder *builder);
	uint8_t sections;         /* how many; at least 1 */
	uint8_t rows_begin;       /* the first section that has rows */
	uint8_t rows_end;         /* the section after the last one that has rows */
	bool rows_are_referenced; /* even short ones: the agent holds their bytes anyway */
};

struct report_builder {
	const struct report_kind *kind;
	const struct status *status; /* of the mount; borrowed */
	struct fleet *fleet;         /* borrowed */
	uint64_t seed;               /* random bits, the same in every builder of a mount */
	struct report *report;
	uint64_t list;        /* the whole list that the report shows */
	uint64_t cursor;      /* of the next agent of the list (fleet_walk()) */
	struct totals totals; /* of the agents so far */
	bool has_all_agents;
	size_t statuses_written; /* of those in totals.statuses */
};

/* Creates a builder. status: borrowed, also by the report. list: a whole list of status->fleet,
 * such as fleet_newest_list() returns. seed: random bits. Returns NULL without memory. */
struct report_builder *report_builder_new(const struct report_kind *kind,
                                          const struct status *status, uint64_t list,
                                          uint64_t seed);

/* Frees the builder and its unfinished report. NULL is allowed. */
void report_builder_free(struct report_builder *builder);

/* Writes one slice: up to max_rows agents or statuses, fewer if their rows are long. Returns 0 at
 * the end of the report; -EAGAIN if more slices follow; -ESTALE if the list was forgotten; the
 * -errno of a page that the list lacks; or another -errno. */
int report_builder_continue(struct report_builder *builder, size_t max_rows);

/* Frees the builder and returns its finished report, with the reference. */
struct report *report_builder_finish(struct report_builder *builder);

/* For the functions of a kind: the text of a section, to append to. */
struct text *report_builder_text(struct report_builder *builder, size_t section);

#endif
