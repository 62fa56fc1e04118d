/* SPDX-License-Identifier: MIT */
#include "fs/fuse/directory.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "fs/tree/question.h"

/* Returns when a file whose row has a function last changed. fs->text: its text. A file that never
 * changes has the same time as values from the first list, so that `find -newer` such a file
 * selects everything that changed since the mount. */
static int64_t directory_text_mtime_ns(struct filesystem *fs, const struct tree_row *row)
{
	struct filesystem_text_version *last = &fs->text_versions[row - tree_rows];
	uint64_t hash = XXH3_64bits(fs->text.length ? fs->text.bytes : "", fs->text.length);

	if (tree_is_constant(row))
		return fleet_started_ns(fs->fleet);
	if (last->since_ns == 0 || last->hash != hash)
		*last = (struct filesystem_text_version){hash, fleet_wall_ns(fs->fleet)};
	return last->since_ns;
}

/* Finds or makes the node of a file of an agent, or of a file whose row has a function. */
static int directory_value(struct filesystem *fs, const struct tree_row *row, struct record *record,
                           uint16_t index, struct node **ret_node)
{
	struct node *node;
	int err;

	if (row->field == AGENT_JSON) {
		node = node_json(&fs->nodes, record->agent, tree_mtime_ns(row, record, index));
		*ret_node = node;
		return node ? 0 : -ENOMEM;
	}
	text_clear(&fs->text);
	if (record)
		tree_field_text(row, record->agent, index, &fs->text);
	else
		row->text(fs->status, &fs->text);
	err = text_error(&fs->text);
	if (err < 0)
		return err;
	node = node_value(&fs->nodes, fs->text.bytes, fs->text.length,
	                  record ? tree_mtime_ns(row, record, index)
	                         : directory_text_mtime_ns(fs, row));
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

static int directory_report(struct request *request, const struct tree_row *row,
                            struct node **ret_node)
{
	struct filesystem *fs = request->fs;
	struct report *report;
	int err = views_report(fs->views, row, &request->query, &report);

	if (err < 0)
		return err;
	*ret_node = node_report(&fs->nodes, report);
	return *ret_node ? 0 : -ENOMEM;
}

static int directory_log(struct request *request, const struct tree_row *row,
                         struct node **ret_node)
{
	struct filesystem *fs = request->fs;
	struct event_log *log = events_previous(fs->events);
	int err = 0;

	if (row->report == TREE_EVENTS)
		err = events_query(fs->events, &request->query, false, &log);
	if (err < 0)
		return err;
	*ret_node = log ? node_log(&fs->nodes, log)
	                : node_value(&fs->nodes, "", 0, fs->status->started_ns);
	return *ret_node ? 0 : -ENOMEM;
}

int directory_link(struct filesystem *fs, const struct tree_row *row, const struct record *record,
                   const char *value, struct node **ret_node)
{
	text_clear(&fs->text);
	tree_link_target(row, record->name, &fs->text);
	if (text_error(&fs->text) < 0)
		return text_error(&fs->text);
	*ret_node = node_link(&fs->nodes, fs->text.bytes, fs->text.length,
	                      tree_link_mtime_ns(row, record, value));
	return *ret_node ? 0 : -ENOMEM;
}

bool directory_has_agent(const struct node *directory, const struct agent *agent, size_t *work)
{
	if (directory->kind == NODE_QUESTION)
		return question_matches(directory->question, agent, work);
	return tree_agent_has(directory->row, agent, directory->text);
}

const char *directory_agent_name(const struct node *directory, const struct record *record,
                                 char buffer[static NAME_BYTES])
{
	if (directory->kind != NODE_QUESTION || !name_has_operator(record->name))
		return record->name;
	name_encode_in_where(record->agent->id, buffer);
	return buffer;
}

int directory_agent_link(struct filesystem *fs, const struct node *directory,
                         const struct record *record, struct node **ret_node)
{
	const struct question *question = directory->question;

	if (directory->kind == NODE_GROUP)
		return directory_link(fs, directory->row, record, directory->text, ret_node);
	text_clear(&fs->text);
	/* The directory itself is one level below where/ for each component. */
	tree_agent_path(question_depth(question) + 1, record->name, &fs->text);
	if (text_error(&fs->text) < 0)
		return text_error(&fs->text);
	*ret_node = node_link(&fs->nodes, fs->text.bytes, fs->text.length,
	                      question_since_ns(question, record));
	return *ret_node ? 0 : -ENOMEM;
}

/* Whether a row is a file. tree_directory_of() returns TREE_DIRECTORIES for files and views. */
static bool directory_row_is_file(const struct tree_row *row)
{
	return tree_directory_of(row) == TREE_DIRECTORIES && !row->view;
}

int directory_child(struct request *request, const struct tree_row *row, struct record *record,
                    uint16_t index, struct node **ret_node)
{
	if (row->report == TREE_EVENTS || row->report == TREE_EVENTS_PREVIOUS)
		return directory_log(request, row, ret_node);
	if (row->report)
		return directory_report(request, row, ret_node);
	if (directory_row_is_file(row))
		return directory_value(request->fs, row, record, index, ret_node);
	*ret_node = node_directory(&request->fs->nodes, row, record, index);
	return *ret_node ? 0 : -ENOMEM;
}

uint16_t directory_child_index(const struct node *directory, const struct tree_row *row, size_t n)
{
	return row->each == TREE_ONCE ? directory->index : (uint16_t)n;
}

struct record *directory_linked_agent(const struct tree_row *row, const struct group *group)
{
	struct record *record = group->first;

	return record && record->present && tree_agent_has(row, record->agent, group->value)
	               ? record
	               : NULL;
}

/* Checks that the group still exists: an agent has its value, or it is permanent. */
static int directory_check_group(struct request *request, const struct node *directory)
{
	const struct groups *groups;
	char name[NAME_BYTES];
	int err;

	if (tree_permanent_group(directory->row, directory->text))
		return 0;
	err = views_groups(request->fs->views, directory->row, &request->query, &groups);
	if (err < 0)
		return err;
	name_encode(directory->text, name);
	return groups_find(groups, name) ? 0 : groups->absent;
}

int directory_find(struct request *request, bool fresh, const struct node **ret_directory)
{
	struct filesystem *fs = request->fs;
	const struct node *directory = nodes_find(&fs->nodes, request->ino);
	int err = 0;

	if (!directory || !directory->row)
		return -ESTALE;
	if (directory->kind == NODE_QUESTION)
		views_touch(fs->views);
	if (directory->record && fresh)
		err = fleet_renew(fs->fleet, directory->record, &request->query);
	else if (directory->kind == NODE_GROUP && fresh)
		err = directory_check_group(request, directory);
	if (err < 0)
		return err;
	/* The agent may have fewer GPUs than when the kernel learned of this one. */
	if (directory->record && tree_directory_of(directory->row) == TREE_GPU &&
	    directory->index >= directory->record->agent->gpu_count)
		return -ENOENT;
	*ret_directory = directory;
	return 0;
}
