/* SPDX-License-Identifier: MIT */
#include "fs/fuse/lookup.h"

#include <errno.h>
#include <string.h>

#include "fs/fuse/attributes.h"
#include "fs/fuse/directory.h"
#include "fs/fuse/where.h"
#include "fs/tree/question.h"
#include "fs/tree/tree.h"

/* Finds the link to an agent in a group or a question. */
static int lookup_member(struct request *request, const struct node *directory,
                         struct node **ret_node, struct record **ret_record)
{
	size_t work = 0;
	int err = directory->kind == NODE_GROUP ? fleet_find(request->fs->fleet, request->name,
	                                                     &request->query, ret_record)
	                                        : where_find_agent(request, ret_record);

	if (err < 0)
		return err;
	if (!directory_has_agent(directory, (*ret_record)->agent, &work))
		return -ENOENT;
	return directory_agent_link(request->fs, directory, *ret_record, ret_node);
}

/* Finds the link with the rank request->name in a ranking. */
static int lookup_rank(struct request *request, const struct node *directory,
                       struct node **ret_node)
{
	struct record *record;
	int err = where_find_rank(request, directory, &record);

	return err < 0 ? err : directory_agent_link(request->fs, directory, record, ret_node);
}

/* Finds an entry of a view: the directory of a group, or the link to the first agent in it. */
static int lookup_group(struct request *request, const struct tree_row *row, struct node **ret_node,
                        struct record **ret_record)
{
	struct filesystem *fs = request->fs;
	const struct groups *groups;
	const struct group *group;
	const char *permanent = tree_permanent_group(row, request->name);
	int err;

	if (permanent) { /* exists without an agent: no list is needed */
		*ret_node = node_group(&fs->nodes, row, permanent);
		return *ret_node ? 0 : -ENOMEM;
	}
	err = views_groups(fs->views, row, &request->query, &groups);
	if (err < 0)
		return err;
	group = groups_find(groups, request->name);
	if (!group)
		return groups->absent;
	if (row->view == TREE_GROUPS) {
		*ret_node = node_group(&fs->nodes, row, group->value);
		return *ret_node ? 0 : -ENOMEM;
	}
	*ret_record = directory_linked_agent(row, group);
	return *ret_record ? directory_link(fs, row, *ret_record, group->value, ret_node) : -ENOENT;
}

/* Finds an entry among the rows of a directory. */
static int lookup_row(struct request *request, const struct node *directory, struct node **ret_node,
                      struct record **ret_record)
{
	const struct agent *agent = directory->record ? directory->record->agent : NULL;
	char name[NAME_BYTES];

	*ret_record = directory->record;
	for (size_t i = 0; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];
		size_t count;

		if (row->parent != tree_directory_of(directory->row))
			continue;
		if (row->each == TREE_EACH_AGENT) {
			int err = fleet_find(request->fs->fleet, request->name, &request->query,
			                     ret_record);

			if (err < 0)
				return err;
			return directory_child(request, row, *ret_record, 0, ret_node);
		}
		if (row->each == TREE_ONCE && strcmp(row->name, request->name) != 0)
			continue;
		count = tree_entry_count(row, agent);
		for (size_t n = 0; n < count; n++) {
			tree_entry_name(row, agent, n, name);
			if (strcmp(name, request->name) == 0)
				return directory_child(request, row, directory->record,
				                       directory_child_index(directory, row, n),
				                       ret_node);
		}
	}
	return -ENOENT;
}

/* Finds an entry. *ret_record must be NULL before. Returns 0, and in *ret_record the agent that the
 * entry belongs to, or NULL if it belongs to none; or -errno, and then *ret_record is undefined. */
static int lookup_child(struct request *request, const struct node *directory,
                        struct node **ret_node, struct record **ret_record)
{
	if (where_is_directory(directory) && name_has_operator(request->name))
		return where_find_question(request, directory, ret_node);
	if (directory->kind == NODE_QUESTION && question_is_sorted(directory->question))
		return lookup_rank(request, directory, ret_node);
	if (directory->kind == NODE_GROUP || directory->kind == NODE_QUESTION)
		return lookup_member(request, directory, ret_node, ret_record);
	if (directory->row->view)
		return lookup_group(request, directory->row, ret_node, ret_record);
	return lookup_row(request, directory, ret_node, ret_record);
}

/* Returns whether this name can never exist in the directory, whatever the API responds. Shells,
 * editors and version control look up such names (.git, .hg) all the time; no data is fetched for
 * them. */
static bool lookup_is_impossible(const struct request *request)
{
	const struct node *directory = nodes_find(&request->fs->nodes, request->ino);

	if (!directory || !directory->row)
		return false;
	if (directory->kind == NODE_QUESTION)
		return where_cannot_contain(directory, request->name);
	return !tree_may_contain(directory->row, directory->kind == NODE_GROUP, request->name);
}

int operation_lookup(struct request *request, struct reply *reply)
{
	const struct node *directory = NULL;
	struct record *record = NULL;
	int err;

	reply->kind = REPLY_ENTRY;
	if (lookup_is_impossible(request)) {
		reply->entry.entry_timeout = ATTRIBUTES_FOREVER_S;
		return 0;
	}
	err = directory_find(request, true, &directory);
	if (err < 0)
		return err;
	err = lookup_child(request, directory, &reply->node, &record);
	if (err == 0) {
		attributes_fill_entry(request, reply->node, record, &reply->entry);
	} else if (err == -ENOENT) { /* the kernel may keep that, too */
		reply->entry.entry_timeout = attributes_timeout_s(request, directory);
		err = 0;
	}
	return err;
}
