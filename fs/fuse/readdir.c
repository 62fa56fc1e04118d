/* SPDX-License-Identifier: MIT */
#include "fs/fuse/readdir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/fuse/attributes.h"
#include "fs/fuse/directory.h"
#include "fs/tree/question.h"
#include "fs/tree/tree.h"

#define FIRST_CURSOR    (UINT64_C(1) << 32) /* offsets from here on are cursors of fleet_walk() */
#define MIN_ENTRY_BYTES 152                 /* no entry is shorter: its size without the name */
#define UNKNOWN_INO     0xffffffff /* inode number of an entry without a node; 0 would hide it */
#define SCAN_AGENTS     1024  /* agents that a slice searches for members of a group or question */
#define SCAN_WORK       50000 /* comparisons with patterns in a slice; 0.1 to 0.2 ms */

/* Makes room for a reply of this many bytes and for the nodes in it. Returns 0 or -ENOMEM. */
static int readdir_reserve(struct filesystem *fs, size_t bytes)
{
	size_t max_entries = bytes / MIN_ENTRY_BYTES + 1;
	struct node **listed;

	if (max_entries > fs->listed_capacity) {
		listed = realloc(fs->listed, max_entries * sizeof(struct node *));
		if (!listed)
			return -ENOMEM;
		fs->listed = listed;
		fs->listed_capacity = max_entries;
	}
	return filesystem_reserve(fs, bytes);
}

/* Appends an entry. next: the offset after it. Returns 0, or -ENOBUFS if the entry does not fit. */
static int readdir_add(struct request *request, struct reply *reply, const char *name,
                       uint64_t next, const struct fuse_entry_param *entry)
{
	size_t left = request->size - reply->length;
	size_t bytes = fuse_add_direntry_plus(request->req, request->fs->buffer + reply->length,
	                                      left, name, entry, (off_t)next);

	if (bytes > left)
		return -ENOBUFS;
	reply->length += bytes;
	return 0;
}

/* Appends an entry without a node: entry.ino is 0, and the kernel sends a LOOKUP before it uses the
 * name. */
static int readdir_add_bare(struct request *request, struct reply *reply, const char *name,
                            uint64_t next, fuse_ino_t ino, mode_t mode)
{
	return readdir_add(request, reply, name, next,
	                   &(struct fuse_entry_param){.attr = {.st_ino = ino, .st_mode = mode}});
}

/* Whether an entry of this name fits. Check it before making the node, which would have to be freed
 * again. */
static bool readdir_fits(const struct request *request, const struct reply *reply, const char *name)
{
	return fuse_add_direntry_plus(request->req, NULL, 0, name, NULL, 0) <=
	       request->size - reply->length;
}

/* Appends an entry that fits, and counts a lookup of its node. */
static void readdir_add_node(struct request *request, struct reply *reply, const char *name,
                             uint64_t next, struct node *node, const struct record *record)
{
	struct fuse_entry_param entry;

	attributes_fill_entry(request, node, record, &entry);
	readdir_add(request, reply, name, next, &entry);
	node->lookups++;
	request->fs->listed[reply->entries++] = node;
}

static int readdir_add_row(struct request *request, struct reply *reply, const char *name,
                           uint64_t next, const struct tree_row *row, struct record *record,
                           uint16_t index)
{
	struct node *node;
	int err;

	if (row->report) /* a listing alone must not build a report or start the log */
		return readdir_add_bare(request, reply, name, next, UNKNOWN_INO, S_IFREG);
	if (!readdir_fits(request, reply, name))
		return -ENOBUFS;
	err = directory_child(request, row, record, index, &node);
	if (err < 0)
		return err;
	readdir_add_node(request, reply, name, next, node, record);
	return 0;
}

static int readdir_list_agents(struct request *request, struct reply *reply,
                               const struct tree_row *row)
{
	uint64_t cursor = (uint64_t)request->offset >= FIRST_CURSOR ? (uint64_t)request->offset : 0;

	for (;;) {
		struct record *record;
		/* Once the reply has entries, the walk gets no query, so it fetches nothing: the
		 * entries are sent now, and the next request waits for the missing page. */
		int err = fleet_walk(request->fs->fleet, &cursor,
		                     reply->entries > 0 ? NULL : &request->query, &record);

		if (err < 0 || !record)
			return err;
		err = readdir_add_row(request, reply, record->name, cursor, row, record, 0);
		if (err < 0)
			return err;
	}
}

/* Lists the links of a group, or of a question. Few agents may be in it, so the list is searched in
 * slices. The first slice runs at once, since it usually fills the reply; further ones run as a
 * job. */
static int readdir_list_members(struct request *request, struct reply *reply,
                                const struct node *directory)
{
	uint64_t cursor = (uint64_t)request->offset;
	size_t work = 0;
	int err;

	if (request->scanned > 0)
		cursor = request->scanned;
	if (cursor < FIRST_CURSOR) {
		err = fleet_whole_list(request->fs->fleet, &request->query, &cursor);
		if (err < 0)
			return err;
	}
	for (size_t i = 0; i < SCAN_AGENTS && work < SCAN_WORK; i++) {
		char buffer[NAME_BYTES];
		struct record *record;
		struct node *node;
		const char *name;

		request->scanned = cursor;
		err = fleet_walk(request->fs->fleet, &cursor,
		                 reply->entries > 0 ? NULL : &request->query, &record);
		/* The offset is in a list that is not complete. A listing of this directory never
		 * returns such an offset, so the caller made it up. */
		if (err == -EAGAIN)
			err = -ESTALE;
		if (err < 0 || !record)
			return err;
		if (!directory_has_agent(directory, record->agent, &work))
			continue;
		name = directory_agent_name(directory, record, buffer);
		if (!readdir_fits(request, reply, name))
			return -ENOBUFS;
		err = directory_agent_link(request->fs, directory, record, &node);
		if (err < 0)
			return err;
		readdir_add_node(request, reply, name, cursor, node, record);
	}
	request->scanned = cursor;
	request->unfinished = true;
	return -EAGAIN;
}

/* Lists the links of a ranking, whose names are ranks. Since an offset contains a rank, a listing
 * continues with the next rank, also in a later list. */
static int readdir_list_ranking(struct request *request, struct reply *reply,
                                const struct node *directory)
{
	uint64_t index = request->offset > 2 ? (uint64_t)request->offset - 2 : 0;
	const struct ranking *ranking;
	int err = views_ranking(request->fs->views, directory->question, &request->query, index > 0,
	                        &ranking);

	if (err < 0)
		return err;
	for (; index < ranking_count(ranking); index++) {
		const struct record *record = ranking_agent(ranking, index);
		char name[NAME_BYTES];
		struct node *node;

		if (!record)
			continue;
		snprintf(name, sizeof(name), "%" PRIu64, index + 1);
		if (!readdir_fits(request, reply, name))
			return -ENOBUFS;
		err = directory_agent_link(request->fs, directory, record, &node);
		if (err < 0)
			return err;
		readdir_add_node(request, reply, name, index + 3, node, NULL);
	}
	return ranking_end(ranking);
}

/* Appends a group of a view: its directory, or the link to its first agent. A group whose first
 * agent departed meanwhile is skipped. */
static int readdir_add_group(struct request *request, struct reply *reply,
                             const struct tree_row *row, const struct group *group, uint64_t next)
{
	struct record *record = NULL;
	char name[NAME_BYTES];
	struct node *node;
	int err = 0;

	name_encode(group->value, name);
	if (!readdir_fits(request, reply, name))
		return -ENOBUFS;
	if (row->view == TREE_LINKS) {
		record = directory_linked_agent(row, group);
		if (!record)
			return 0;
		err = directory_link(request->fs, row, record, group->value, &node);
	} else {
		node = node_group(&request->fs->nodes, row, group->value);
		err = node ? 0 : -ENOMEM;
	}
	if (err < 0)
		return err;
	readdir_add_node(request, reply, name, next, node, record);
	return 0;
}

/* Lists the groups of a view. Since offsets contain the number of a group, a group that exists all
 * the time is listed exactly once. */
static int readdir_list_groups(struct request *request, struct reply *reply,
                               const struct tree_row *row)
{
	uint64_t number = request->offset > 2 ? (uint64_t)request->offset - 2 : 0;
	const struct groups *groups;
	int err = 0;

	if (number == 0)
		err = views_groups(request->fs->views, row, &request->query, &groups);
	else
		groups = views_groups_after(request->fs->views, row, &request->query, number);
	if (err < 0 || !groups)
		return err < 0 ? err : -ESTALE;
	for (size_t at = groups_after(groups, number); at < groups->count; at++) {
		const struct group *group = groups->order[at];

		err = readdir_add_group(request, reply, row, group, group->number + 2);
		if (err < 0)
			return err;
	}
	return groups->end;
}

/* Lists the rows of a directory. */
static int readdir_list_rows(struct request *request, struct reply *reply,
                             const struct node *directory)
{
	const struct agent *agent = directory->record ? directory->record->agent : NULL;
	uint64_t position = 2;
	char name[NAME_BYTES];

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];
		size_t count;

		if (row->parent != tree_directory_of(directory->row))
			continue;
		if (row->each == TREE_EACH_AGENT)
			return readdir_list_agents(request, reply, row);
		count = tree_entry_count(row, agent);
		for (size_t at = 0; at < count; at++, position++) {
			int err;

			if (position < (uint64_t)request->offset)
				continue;
			tree_entry_name(row, agent, at, name);
			err = readdir_add_row(request, reply, name, position + 1, row,
			                      directory->record,
			                      directory_child_index(directory, row, at));
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int readdir_list(struct request *request, struct reply *reply, const struct node *directory)
{
	if (directory->kind == NODE_QUESTION && question_is_sorted(directory->question))
		return readdir_list_ranking(request, reply, directory);
	if (directory->kind == NODE_GROUP || directory->kind == NODE_QUESTION)
		return readdir_list_members(request, reply, directory);
	return directory->row->view ? readdir_list_groups(request, reply, directory->row)
	                            : readdir_list_rows(request, reply, directory);
}

int operation_readdirplus(struct request *request, struct reply *reply)
{
	const struct node *directory = NULL;
	int err = directory_find(request, request->offset == 0, &directory);

	if (err < 0)
		return err;
	if (request->size < MIN_ENTRY_BYTES)
		return -EINVAL;
	if (readdir_reserve(request->fs, request->size) < 0)
		return -ENOMEM;
	reply->kind = REPLY_BYTES;
	reply->bytes = request->fs->buffer;
	/* The kernel knows the nodes of `.` and `..`; their entries count no lookup. */
	if (request->offset < 1)
		err = readdir_add_bare(request, reply, ".", 1, request->ino, S_IFDIR);
	if (err == 0 && request->offset < 2)
		err = readdir_add_bare(request, reply, "..", 2, request->ino, S_IFDIR);
	if (err == 0)
		err = readdir_list(request, reply, directory);
	/*
	 * Entries are returned although an error follows them, as getdents(2) itself does:
	 * otherwise the reader would lose them. The error is not lost. The kernel continues at the
	 * entry that failed, and the next reply has nothing before the error: the listing ends only
	 * with an empty reply. `.` and `..` alone are not returned early, since a reader that wants
	 * the first agent would have to wait for the next reply anyway.
	 */
	if (err < 0 && reply->entries > 0)
		return 0;
	/* If not even one entry fits, an empty reply would end the listing. */
	if (err == -ENOBUFS)
		return reply->length > 0 ? 0 : -EINVAL;
	return err;
}
