/* SPDX-License-Identifier: MIT */
#include "fs/fuse/where.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/reports/rankings.h"
#include "fs/tree/names.h"
#include "fs/tree/question.h"
#include "fs/tree/tree.h"

#define SCAN_NAMES 1024 /* agents whose names are compared in a slice */

bool where_is_directory(const struct node *directory)
{
	return directory->kind == NODE_QUESTION ||
	       (directory->row && tree_directory_of(directory->row) == TREE_WHERE);
}

/* The index of an agent in a ranking: its rank less 1; SIZE_MAX if the name is not a rank. */
static size_t where_index(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || digits > 9 || name[digits] != '\0' || name[0] == '0')
		return SIZE_MAX;
	return strtoul(name, NULL, 10) - 1;
}

bool where_cannot_contain(const struct node *question, const char *name)
{
	char agent_name[NAME_BYTES];

	if (name_has_operator(name))
		return false;
	if (question_is_sorted(question->question))
		return where_index(name) == SIZE_MAX;
	return !name_from_where(name, agent_name);
}

int where_find_question(struct request *request, const struct node *directory,
                        struct node **ret_node)
{
	struct filesystem *fs = request->fs;
	bool is_first = directory->kind != NODE_QUESTION;
	struct question *question;
	int err = strlen(request->name) >= NAME_BYTES
	                  ? -EINVAL
	                  : question_parse(is_first ? NULL : directory->question, request->name,
	                                   &question);

	views_touch(fs->views);
	if (err < 0)
		return err;
	text_clear(&fs->text);
	if (!is_first)
		text_printf(&fs->text, "%s/", directory->text);
	text_printf(&fs->text, "%s", request->name);
	text_bytes(&fs->text, "", 1);
	err = text_error(&fs->text);
	if (err == 0) {
		*ret_node =
			node_question(&fs->nodes, &tree_rows[TREE_WHERE], fs->text.bytes, question);
		err = *ret_node ? 0 : -ENOMEM;
	}
	question_unref(question);
	return err;
}

/* Searches the whole list for the agent, in slices: the name was cut, so that the agent's name in
 * agents/ is not known. */
static int where_scan(struct request *request, struct record **ret_record)
{
	struct fleet *fleet = request->fs->fleet;
	uint64_t cursor = request->scanned;
	struct record *record;
	char name[NAME_BYTES];
	uint64_t list;
	int err = fleet_whole_list(fleet, &request->query, &list);

	if (err < 0)
		return err;
	if (cursor == 0)
		cursor = list;
	for (size_t i = 0; i < SCAN_NAMES; i++) {
		err = fleet_walk(fleet, &cursor, NULL, &record);
		if (err < 0)
			return err;
		if (!record)
			return fleet_list_absent(fleet, list);
		name_encode_in_where(record->agent->id, name);
		if (strcmp(name, request->name) == 0) {
			*ret_record = record;
			return 0;
		}
	}
	request->scanned = cursor;
	request->unfinished = true;
	return -EAGAIN;
}

int where_find_agent(struct request *request, struct record **ret_record)
{
	char name[NAME_BYTES];
	int err = -ENOENT;

	if (!name_from_where(request->name, name))
		return -ENOENT;
	if (request->scanned == 0)
		err = fleet_find(request->fs->fleet, name, &request->query, ret_record);
	return err == -ENOENT && name_is_cut(name) ? where_scan(request, ret_record) : err;
}

int where_find_rank(struct request *request, const struct node *question,
                    struct record **ret_record)
{
	size_t index = where_index(request->name);
	const struct ranking *ranking;
	int err = views_ranking(request->fs->views, question->question, &request->query, false,
	                        &ranking);

	if (err < 0)
		return err;
	if (index >= ranking_count(ranking))
		return ranking_absent(ranking);
	*ret_record = ranking_agent(ranking, index);
	return *ret_record ? 0 : -ENOENT;
}
