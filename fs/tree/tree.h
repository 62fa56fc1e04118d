/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_TREE_H
#define FLEETFS_FS_TREE_TREE_H

/*
 * THE table: every file and folder of the mount is one row of it, and nothing else in fs/ knows a
 * name. To add a file, add a row; to add a folder, a row and the rows whose parent it is.
 *
 * A view over the fleet is one row, too, whatever is in it.
 *
 * A row stands once in its parent, or once for each agent, label or GPU (`each`). A file's text
 * comes from a field of the agent (`field`) or, for what is no agent's, from a function (`text`).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "fs/tree/names.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

enum tree_folder { /* the rows that are folders, by position in the table */
	           TREE_ROOT,
	           TREE_STATUS,
	           TREE_AGENTS,
	           TREE_AGENT,
	           TREE_LABELS,
	           TREE_SYSTEM_STATS,
	           TREE_GPUS,
	           TREE_GPU,
	           TREE_FLEET,
	           TREE_FOLDERS
};

enum tree_each { TREE_ONCE, TREE_EACH_AGENT, TREE_EACH_LABEL, TREE_EACH_GPU };

/* A folder over the whole fleet, by the values that agents have in the row's field: of a folder for
 * each value with a link to each agent that has it, or of a link for each to the first of them. */
enum tree_view { TREE_NO_VIEW, TREE_GROUPS, TREE_LINKS };

/* Which file of fleet/ a row is, as made by the room fs/reports/. */
enum tree_report {
	TREE_NO_REPORT,
	TREE_SUMMARY,
	TREE_TSV,
	TREE_JSON,
	TREE_METRICS,
	TREE_HTML,
	TREE_EVENTS,        /* events.log */
	TREE_EVENTS_BEFORE, /* events.log.1 */
	TREE_REPORTS
};

struct row {
	uint8_t parent; /* enum tree_folder */
	uint8_t each;   /* enum tree_each */
	uint8_t view;   /* enum tree_view */
	uint8_t report; /* enum tree_report */
	uint8_t field;  /* enum agent_field_id of a file's text or of a folder's mtime; AGENT_FIELDS
	                 */
	const char *name;                                         /* NULL: by each */
	void (*text)(const struct status *status, struct text *); /* NULL: by field */
	const char *const *always; /* values whose groups exist even if no agent has them; ends
	                              with NULL; NULL: none */
};

extern const struct row tree_rows[];
extern const size_t tree_row_count;

/* The longest text of a file; a value that would be longer is refused (-EFBIG). */
#define TREE_MAX_TEXT (16u << 20)

enum tree_folder tree_folder_of(const struct row *row); /* TREE_FOLDERS: a file, or a view */

/* How often a row stands in its folder; not for TREE_EACH_AGENT. agent: NULL if it is no agent's.
 */
size_t tree_count(const struct row *row, const struct agent *agent);

/* The name of its index-th occurrence; not for TREE_EACH_AGENT. */
void tree_name(const struct row *row, const struct agent *agent, size_t index,
               char ret_name[static NAME_BYTES]);

/* Whether a directory of this row may ever have an entry of this name, whatever the API's data is.
 * False: a look-up there needs no data to be answered. group: it is a group of that view. */
bool tree_may_have(const struct row *directory, bool group, const char *name);

/* The text of a file that shows a field, appended. Not for AGENT_JSON, which agent.json holds. */
void tree_field_text(const struct row *row, const struct agent *agent, size_t index,
                     struct text *text);

/* Whether it is a file of an agent that shows one of its values. Of such: how many of it an agent
 * has in all its folders; the path of one, from the agent's folder on; and which one of the
 * finder's agent has the same path, SIZE_MAX: none. */
bool tree_is_value(const struct row *row);
size_t tree_occurrences(const struct row *row, const struct agent *agent);
void tree_path(const struct row *row, const struct agent *agent, size_t index, struct text *text);
size_t tree_same(const struct row *row, const struct agent *agent, size_t index,
                 struct agent_finder *other);

/* Whether it is a file of the mount's own whose text never changes. */
bool tree_is_constant(const struct row *row);

/* Whether the agent has this value in a view's field (agent_string()). */
bool tree_has(const struct row *row, const struct agent *agent, const char *value);

/* The time of the link to an agent in the group of a value that it has: when the agent came to have
 * it; wall clock. */
int64_t tree_link_mtime_ns(const struct row *row, const struct record *record, const char *value);

/* Of the groups that always exist in a view, the value of the one with this name, or NULL. Such a
 * value is its own name. */
const char *tree_lasting_group(const struct row *row, const char *name);

/* Where the link to an agent in a view points, relative to the link; not terminated. */
void tree_target(const struct row *row, const char *agent_name, struct text *text);

/* When a folder or file of an agent was last changed, wall clock. */
int64_t tree_mtime_ns(const struct row *row, const struct record *record, size_t index);

#endif
