/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_REPORT_H
#define FLEETFS_FS_REPORTS_REPORT_H

/*
 * A report: the content of a file over the whole fleet (a table, a sum, all agents as JSON).
 *
 * A report is built in slices (fs/reports/report_builder.h), once for each list of agents, and is
 * immutable afterwards: a reader that has it open reads it to its end although newer ones exist.
 *
 * The content is one or more sections in sequence, so that a builder can append to several places.
 * For example, all samples of a metric have to be adjacent, but a builder writes agent by agent.
 *
 * A section is a list of chunks. A stored chunk has bytes of the report. A referenced chunk has a
 * reference to an agent, and the report writes the agent's row again when it is read.
 *
 * Memory. Rows may be many times longer than what the API sent: for the HTML page a byte may be
 * escaped twice, and gpus.tsv repeats values of the agent for each GPU. So the rows of an agent are
 * stored only if they take no more bytes than the agent, and at most 16 KiB; longer rows, and the
 * agents' JSON, are referenced. Thus the stored rows take no more bytes than the agents, which the
 * cache bounds (FLEET_MAX_BYTES).
 *
 * Not thread-safe: only the FUSE thread uses reports.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/model/agent.h"
#include "fs/tree/text.h"

#define REPORT_MAX_TEXT (UINT64_C(1) << 30) /* stored bytes of one section; beyond: -EFBIG */

/* What the rows of an agent are written from. */
struct report_row {
	const struct agent *agent;
	const char *fleet_name; /* NULL: the fleet has none; borrowed */
	int64_t first_ns;       /* when the agent was first seen; wall clock */
	int64_t status_ns;      /* since when it has its status; wall clock */
	bool is_first;          /* the row of the first agent */
};

/* Appends an agent's row in a section. It must append the same bytes each time it is called. */
typedef void report_write_row(struct text *text, size_t section, const struct report_row *row);

struct report_chunk {
	struct report_row row; /* of a referenced chunk: row.agent is a reference; else all zero */
	size_t stored;         /* of a stored chunk: offset of its bytes in the section's text */
	uint64_t end;          /* offset of the chunk's end in the section */
};

struct report_section {
	struct text text; /* the bytes of the stored chunks, in their order */
	struct report_chunk *chunks;
	size_t count;
	size_t capacity;
	size_t chunked; /* bytes of text that are in chunks; all of them in a finished report */
	size_t hashed;  /* bytes of text that are in the report's hash */
};

/* The referenced row that was read last: the next read(2) may continue in it. */
struct report_window {
	struct text text;
	const struct report_chunk *chunk; /* NULL: none */
};

struct report {
	unsigned int refs;
	report_write_row *write_row;
	struct report_window window;
	uint64_t bytes;   /* of the finished report */
	uint64_t hash;    /* of the content, slice by slice: see report_hash() */
	int64_t mtime_ns; /* when it was built, wall clock; the caller sets it */
	size_t section_count;
	struct report_section sections[];
};

/* Reading */

/* Adds a reference. */
struct report *report_ref(struct report *report);

/* Releases a reference; the last one frees the report. NULL is allowed. */
void report_unref(struct report *report);

/* Copies up to size bytes of a finished report, from an offset on. Returns the number of bytes,
 * fewer than size only at the end, or -ENOMEM. */
ssize_t report_read(struct report *report, uint64_t offset, size_t size, char *ret_bytes);

/* Building */

/* Creates an empty report with one reference. seed: random bits for the hash. Returns NULL without
 * memory. */
struct report *report_new(report_write_row *write_row, size_t section_count, uint64_t seed);

/* The number of bytes so far of a report that is being built. */
uint64_t report_bytes(const struct report *report);

/* Turns the row that was appended to a section's text into a referenced chunk. number: of the
 * section. begin: the length of the text without the row. Returns 0 or -ENOMEM. */
int report_reference_row(struct report *report, size_t number, size_t begin,
                         const struct report_row *row);

/* Hashes the bytes that were appended since the previous call, which ended the previous slice. So
 * reports with different content have different hashes. Reports with the same content may have
 * different hashes, too, if their slices ended at different places. Returns 0, or the error of a
 * section's text. */
int report_hash(struct report *report);

/* Ends building. Returns 0 or -ENOMEM. */
int report_finish(struct report *report);

#endif
