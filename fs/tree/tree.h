/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_TREE_H
#define FLEETFS_FS_TREE_TREE_H

/*
 * The table of the tree: every file and directory of the mount follows from a row of it, and no
 * other code in fs/ decides its place. To add a file, add a row. To add a directory, add a value to
 * enum tree_directory, a row at that position, and the rows whose parent it is. A view over the
 * fleet (by-status/) is one row, with all that it contains.
 *
 * A row is one entry of its parent, or one for each agent, label or GPU (`each`). The text of a
 * file is a field of the agent (`field`), comes from a function (`text`), or is a report
 * (`report`).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "fs/tree/names.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

/* The rows that are directories, except views, by position in the table. */
enum tree_directory {
	TREE_ROOT,
	TREE_STATUS,
	TREE_AGENTS,
	TREE_AGENT,
	TREE_LABELS,
	TREE_SYSTEM_STATS,
	TREE_GPUS,
	TREE_GPU,
	TREE_FLEET,
	TREE_WHERE, /* also contains questions (fs/tree/question.h), which it does not list */
	TREE_DIRECTORIES
};

/* How many entries a row has in its parent: one, or one for each agent, label or GPU. */
enum tree_each { TREE_ONCE, TREE_EACH_AGENT, TREE_EACH_LABEL, TREE_EACH_GPU };

/* A directory over the whole fleet, by the values that agents have in the row's field. TREE_GROUPS:
 * a directory for each value, with a link to each agent that has it. TREE_LINKS: a link for each
 * value, to the first agent that has it. */
enum tree_view { TREE_NO_VIEW, TREE_GROUPS, TREE_LINKS };

/* The files of fleet/, which fs/reports/ builds. */
enum tree_report {
	TREE_NO_REPORT,
	TREE_SUMMARY,
	TREE_TSV,
	TREE_GPUS_TSV,
	TREE_JSON,
	TREE_JSONL,
	TREE_METRICS,
	TREE_HTML,
	TREE_EVENTS,          /* events.log */
	TREE_EVENTS_PREVIOUS, /* events.log.1 */
	TREE_REPORTS
};

struct tree_row {
	uint8_t parent;   /* enum tree_directory */
	uint8_t each;     /* enum tree_each */
	uint8_t view;     /* enum tree_view */
	uint8_t report;   /* enum tree_report */
	uint8_t field;    /* enum agent_field_id of a file's text, a view's values or a directory's
	                     mtime; AGENT_FIELDS: none */
	const char *name; /* NULL: each entry has its own name */
	void (*text)(const struct status *status, struct text *text); /* NULL: no function */
	const char *const *always; /* values whose groups exist even if no agent has them; ends
	                              with NULL; NULL: none */
};

extern const struct tree_row tree_rows[];
extern const size_t tree_row_count;

/* The longest text of a file outside of fleet/, in bytes. A longer one is rejected with -EFBIG. */
#define TREE_MAX_TEXT (16u << 20)

/* The directory that a row is; TREE_DIRECTORIES if it is a file or a view. */
enum tree_directory tree_directory_of(const struct tree_row *row);

/* Entries of directories */

/* The number of entries that a row has in its parent. agent: may be NULL if the row is not below
 * agents/<agent>/. Not for TREE_EACH_AGENT. */
size_t tree_entry_count(const struct tree_row *row, const struct agent *agent);

/* The name of the entry with this index, below tree_entry_count(). Not for TREE_EACH_AGENT. */
void tree_entry_name(const struct tree_row *row, const struct agent *agent, size_t index,
                     char ret_name[static NAME_BYTES]);

/* Returns false if the directory of this row has no entry with this name, whatever the API
 * responds. A lookup of the name then needs no data. group: the directory is a group of this row,
 * which is a view. */
bool tree_may_contain(const struct tree_row *directory, bool group, const char *name);

/* Texts and times */

/* Appends the text of a file that shows a field. index: of the label for a file of labels/, of the
 * GPU for a file of gpus/<n>/, else ignored. Not for AGENT_JSON, whose text the agent stores. */
void tree_field_text(const struct tree_row *row, const struct agent *agent, size_t index,
                     struct text *text);

/* Whether the row is a file whose text never changes: README, where/README, .fleetfs/version. */
bool tree_is_constant(const struct tree_row *row);

/* Returns the modification time of an agent's file or directory; wall clock:
 *
 *	agents/<agent>/             the last heartbeat, or record->first_ns without a valid one
 *	system_stats/, gpus/<n>/    record->first_ns
 *	any other                   when its content last changed
 *
 * A directory's time is up to 999 ns later, so that the kernel notices new data. index: as for
 * tree_field_text(). */
int64_t tree_mtime_ns(const struct tree_row *row, const struct record *record, size_t index);

/* Files of an agent, in any of its directories */

/* Whether the row is a file that shows one field of an agent. False for agent.json, which shows all
 * fields. */
bool tree_is_field_file(const struct tree_row *row);

/* The number of files that an agent has of a row with tree_is_field_file(): one for each GPU if the
 * file is in gpus/<n>/, one for each label, or one. */
size_t tree_file_count(const struct tree_row *row, const struct agent *agent);

/* Appends the path of the file with this index, relative to the agent's directory. */
void tree_file_path(const struct tree_row *row, const struct agent *agent, size_t index,
                    struct text *text);

/* The index of the file with the same path in another agent, or SIZE_MAX. other: a finder of
 * AGENT_LABELS for that agent. */
size_t tree_file_in_other(const struct tree_row *row, const struct agent *agent, size_t index,
                          struct agent_finder *other);

/* Views */

/* Whether the agent has this value in a view's field (agent_string()). */
bool tree_agent_has(const struct tree_row *row, const struct agent *agent, const char *value);

/* Returns when an agent got the value with this index in a field; wall clock. For AGENT_GPU_NAME:
 * since when it has had a GPU of this model. The index is ignored for a field with one value. */
int64_t tree_value_since_ns(const struct record *record, enum agent_field_id field, size_t index);

/* The modification time of a view's link to an agent: when the agent got this value, which it must
 * have; wall clock. */
int64_t tree_link_mtime_ns(const struct tree_row *row, const struct record *record,
                           const char *value);

/* The value of the group with this name if the group always exists in the view, else NULL. Such a
 * value equals its name. */
const char *tree_permanent_group(const struct tree_row *row, const char *name);

/* Appends the target of a view's link to an agent, relative to the link. */
void tree_link_target(const struct tree_row *row, const char *agent_name, struct text *text);

/* Appends the target of a link to an agent. levels: how far below the root the link's directory is.
 */
void tree_agent_path(size_t levels, const char *agent_name, struct text *text);

#endif
