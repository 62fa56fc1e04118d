/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_REPORT_BUILDER_H
#define FLEETFS_FS_REPORTS_REPORT_BUILDER_H

/*
 * Builds a report of one list of agents, in slices.
 *
 * A report may be long (100,000 agents are 70 MB of JSON), and other requests must not wait for it.
 * So a builder writes one slice of agents at a time.
 *
 * The kind of the report decides what is written: the beginning, the rows of each agent, a line for
 * each status, and the end, each in one or several sections.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/report.h"
#include "fs/reports/totals.h"
#include "fs/tree/status.h"

struct report_builder;

/* Every function may be NULL. */
struct report_kind {
	void (*begin)(struct report_builder *builder);
	report_write_row *write_row;
	/* The documented statuses come first, in the order of the API's documentation; then the
	 * others by name. */
	void (*status)(struct report_builder *builder, const struct group *status);
	void (*end)(struct report_builder *builder);
	uint8_t sections;         /* at least 1 */
	uint8_t rows_begin;       /* the first section that has rows */
	uint8_t rows_end;         /* after the last section that has rows */
	bool rows_are_referenced; /* even short ones: the agent holds their bytes anyway */
};

struct report_builder {
	const struct report_kind *kind;
	const struct status *status; /* borrowed */
	struct fleet *fleet;         /* borrowed */
	uint64_t seed;               /* random bits, the same in every builder of a mount */
	struct report *report;
	uint64_t list;        /* that the report shows: a result of fleet_whole_list() */
	uint64_t cursor;      /* of the next agent */
	struct totals totals; /* of the agents so far */
	bool has_all_agents;
	size_t statuses_written;
};

/* A builder for a list of status->fleet, a result of fleet_whole_list(). status is borrowed, also
 * by the report. Returns NULL without memory. */
struct report_builder *report_builder_new(const struct report_kind *kind,
                                          const struct status *status, uint64_t list,
                                          uint64_t seed);

/* NULL is allowed. */
void report_builder_free(struct report_builder *builder);

/* Writes one slice: up to `most` agents or statuses, fewer if their rows are long. Returns 0 at the
 * end of the report; -EAGAIN if more slices follow; -ESTALE if the list was forgotten; or another
 * -errno. */
int report_builder_continue(struct report_builder *builder, size_t most);

/* Returns the finished report, with its reference, and frees the builder. */
struct report *report_builder_finish(struct report_builder *builder);

/* For the functions of a kind: the text of a section, to append to. */
struct text *report_builder_text(struct report_builder *builder, size_t section);

#endif
