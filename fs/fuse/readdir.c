/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/answers.h"
#include "fs/tree/tree.h"

#define DIR_OFFSETS    (UINT64_C(1) << 32) /* beyond this an offset is a place in a list of agents */
#define SMALLEST_ENTRY 152 /* bytes of a READDIRPLUS entry with a one-byte name, at the least */
#define SOME_INO       0xffffffff /* of what nobody has looked up: any number but 0 */
#define SCANNED        1024       /* agents looked at in a row for those of a group */

/* Room for a reply of so many bytes. */
static int reserve(struct ops *ops, size_t bytes)
{
	size_t most = bytes / SMALLEST_ENTRY + 1;
	struct node **listed;

	if (most > ops->listed_capacity) {
		listed = realloc(ops->listed, most * sizeof(struct node *));
		if (!listed)
			return -ENOMEM;
		ops->listed = listed;
		ops->listed_capacity = most;
	}
	return ops_reserve(ops, bytes);
}

/* Adds an entry whose successor has this offset. -ENOBUFS: it does not fit. */
static int add(struct call *call, struct answer *answer, const char *name, uint64_t next,
               const struct fuse_entry_param *entry)
{
	size_t left = call->size - answer->length;
	size_t bytes = fuse_add_direntry_plus(call->req, call->ops->buffer + answer->length, left,
	                                      name, entry, (off_t)next);

	if (bytes > left)
		return -ENOBUFS;
	answer->length += bytes;
	return 0;
}

/* An entry that says no more than that it is there: entry.ino stays 0, and who wants to know more
 * looks it up. Number 0 would make readdir(3) skip it. */
static int add_bare(struct call *call, struct answer *answer, const char *name, uint64_t next,
                    fuse_ino_t number, mode_t mode)
{
	return add(call, answer, name, next,
	           &(struct fuse_entry_param){.attr = {.st_ino = number, .st_mode = mode}});
}

/* First whether it fits, so that no node is made for nothing. */
static bool fits(const struct call *call, const struct answer *answer, const char *name)
{
	return fuse_add_direntry_plus(call->req, NULL, 0, name, NULL, 0) <=
	       call->size - answer->length;
}

/* One that fits, together with its node. */
static int add_node(struct call *call, struct answer *answer, const char *name, uint64_t next,
                    struct node *node, const struct record *record)
{
	struct fuse_entry_param entry;

	answer_fill_entry(call, node, record, &entry);
	add(call, answer, name, next, &entry);
	node->lookups++;
	call->ops->listed[answer->entries++] = node;
	return 0;
}

static int add_row(struct call *call, struct answer *answer, const char *name, uint64_t next,
                   const struct row *row, struct record *record, uint16_t index)
{
	struct node *node;
	int err;

	if (row->report) /* not written, or begun, just because the folder is listed */
		return add_bare(call, answer, name, next, SOME_INO, S_IFREG);
	if (!fits(call, answer, name))
		return -ENOBUFS;
	err = answer_node(call, row, record, index, &node);
	return err < 0 ? err : add_node(call, answer, name, next, node, record);
}

static int list_agents(struct call *call, struct answer *answer, const struct row *row)
{
	uint64_t cursor = (uint64_t)call->offset >= DIR_OFFSETS ? (uint64_t)call->offset : 0;

	for (;;) {
		struct record *record;
		/* Who has got something does not wait for more, and has not asked for it yet. */
		int err = fleet_walk(call->ops->fleet, &cursor,
		                     answer->entries > 0 ? NULL : &call->query, &record);

		if (err < 0 || !record)
			return err;
		err = add_row(call, answer, record->name, cursor, row, record, 0);
		if (err < 0)
			return err;
	}
}

/* The links to those in a group. Most agents may well not be: so it is searched in slices, of which
 * the first, mostly enough to fill the reply, waits for nobody. */
static int list_members(struct call *call, struct answer *answer, const struct node *group)
{
	uint64_t cursor = (uint64_t)call->offset;
	int err;

	if (call->scanned > 0)
		cursor = call->scanned;
	if (cursor < DIR_OFFSETS) {
		err = fleet_whole(call->ops->fleet, &call->query, &cursor);
		if (err < 0)
			return err;
	}
	for (size_t i = 0; i < SCANNED; i++) {
		struct record *record;
		struct node *node;

		call->scanned = cursor;
		err = fleet_walk(call->ops->fleet, &cursor,
		                 answer->entries > 0 ? NULL : &call->query, &record);
		if (err == -EAGAIN) /* no offset of ours: that list is not whole */
			err = -ESTALE;
		if (err < 0 || !record)
			return err;
		if (!tree_has(group->row, record->agent, group->text))
			continue;
		if (!fits(call, answer, record->name))
			return -ENOBUFS;
		err = answer_link(call->ops, group->row, record, group->text, &node);
		if (err < 0)
			return err;
		add_node(call, answer, record->name, cursor, node, record);
	}
	call->scanned = cursor;
	call->unfinished = true;
	return -EAGAIN;
}

/* One of a view's groups: its folder, or the link to the first of those in it. Who is first may
 * have left meanwhile. */
static int add_group(struct call *call, struct answer *answer, const struct row *row,
                     const struct group *group, uint64_t next)
{
	struct ops *ops = call->ops;
	struct record *record = NULL;
	char name[NAME_BYTES];
	struct node *node;
	int err = 0;

	name_encode(group->value, name);
	if (!fits(call, answer, name))
		return -ENOBUFS;
	if (row->view == TREE_LINKS) {
		record = answer_first(row, group);
		if (!record)
			return 0;
		err = answer_link(ops, row, record, group->value, &node);
	} else {
		node = node_group(&ops->nodes, row, group->value);
		err = node ? 0 : -ENOMEM;
	}
	return err < 0 ? err : add_node(call, answer, name, next, node, record);
}

/* An offset is 2 and the number of the group before: what was there all the while is listed once,
 * whatever came and went. */
static int list_groups(struct call *call, struct answer *answer, const struct row *row)
{
	uint64_t number = call->offset > 2 ? (uint64_t)call->offset - 2 : 0;
	const struct groups *groups;
	int err = 0;

	if (number == 0)
		err = views_groups(call->ops->views, row, &call->query, &groups);
	else
		groups = views_groups_after(call->ops->views, row, &call->query, number);
	if (err < 0 || !groups)
		return err < 0 ? err : -ESTALE;
	for (size_t at = groups_after(groups, number); at < groups->count; at++) {
		const struct group *group = groups->order[at];

		err = add_group(call, answer, row, group, group->number + 2);
		if (err < 0)
			return err;
	}
	return groups->end;
}

/* The rows of a folder one after the other; an offset is 2 and the position among them. */
static int list_rows(struct call *call, struct answer *answer, const struct node *folder)
{
	const struct agent *agent = folder->record ? folder->record->agent : NULL;
	uint64_t position = 2;
	char name[NAME_BYTES];

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct row *row = &tree_rows[i];
		size_t count;

		if (row->parent != tree_folder_of(folder->row))
			continue;
		if (row->each == TREE_EACH_AGENT)
			return list_agents(call, answer, row);
		count = tree_count(row, agent);
		for (size_t at = 0; at < count; at++, position++) {
			int err;

			if (position < (uint64_t)call->offset)
				continue;
			tree_name(row, agent, at, name);
			err = add_row(call, answer, name, position + 1, row, folder->record,
			              answer_child_index(folder, row, at));
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int list(struct call *call, struct answer *answer, const struct node *folder)
{
	if (folder->kind == NODE_GROUP)
		return list_members(call, answer, folder);
	return folder->row->view ? list_groups(call, answer, folder->row)
	                         : list_rows(call, answer, folder);
}

int answer_readdirplus(struct call *call, struct answer *answer)
{
	struct ops *ops = call->ops;
	const struct node *folder = NULL;
	int err = answer_folder(call, call->offset == 0, &folder);

	if (err == 0)
		err = call->size < SMALLEST_ENTRY ? -EINVAL : reserve(ops, call->size);
	if (err < 0)
		return err;
	answer->kind = ANSWER_BYTES;
	answer->bytes = ops->buffer;
	/* `.` and `..` count no look-up and need no node; the kernel knows them already. */
	if (call->offset < 1)
		err = add_bare(call, answer, ".", 1, call->ino, S_IFDIR);
	if (err == 0 && call->offset < 2)
		err = add_bare(call, answer, "..", 2, call->ino, S_IFDIR);
	if (err == 0)
		err = list(call, answer, folder);
	/* What is there already is an answer; who wants the rest asks for it. But the dots alone
	 * are none: a reader of the first entries would have to wait for the second answer anyway.
	 */
	if ((err == -ENOBUFS && answer->length > 0) || (err < 0 && answer->entries > 0))
		err = 0;
	/* Not even one fits; an empty answer would be the end of the listing. */
	return err == -ENOBUFS ? -EINVAL : err;
}
