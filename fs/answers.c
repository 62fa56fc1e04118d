/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "fs/tree.h"

#define FOREVER_S      1e9 /* for the kernel: as good as for ever, and no overflow in its jiffies */
#define OWN_S          0.1
#define DIR_OFFSETS    (UINT64_C(1) << 32) /* beyond this an offset is a cursor of fleet_walk() */
#define SMALLEST_ENTRY 152 /* bytes of a READDIRPLUS entry with a one-byte name, at the least */

/* Attributes */

static void set_time(struct timespec *time, int64_t ns)
{
	time->tv_sec = ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
}

static int64_t mtime_ns_of(struct ops *ops, const struct node *node)
{
	if (!node->row)
		return node->mtime_ns;
	if (node->record)
		return tree_mtime_ns(node->row, node->record, node->index);
	if (tree_folder_of(node->row) == TREE_AGENTS)
		return fleet_list_mtime_ns(ops->fleet);
	return ops->self->mounted_ns;
}

static void fill_attr(struct ops *ops, const struct node *node, struct stat *ret_attr)
{
	*ret_attr = (struct stat){
		.st_ino = node_id(node),
		.st_mode = node->row ? S_IFDIR | 0555 : S_IFREG | 0444,
		.st_nlink = 1,
		.st_uid = ops->uid,
		.st_gid = ops->gid,
		.st_size = node->bytes,
		.st_blksize = 4096,
		.st_blocks = (node->bytes + 511) / 512,
	};
	set_time(&ret_attr->st_mtim, mtime_ns_of(ops, node));
	ret_attr->st_atim = ret_attr->st_mtim;
	ret_attr->st_ctim = ret_attr->st_mtim;
}

/* How long the kernel may keep a folder's attributes; a value's it may keep for ever. */
static double attr_timeout_s(struct ops *ops, const struct node *node)
{
	if (!node->row)
		return FOREVER_S;
	if (node->record)
		return (double)fleet_record_ms(ops->fleet, node->record) / 1000;
	if (tree_folder_of(node->row) == TREE_AGENTS)
		return (double)fleet_list_ms(ops->fleet) / 1000;
	return FOREVER_S;
}

/* How long a name may be taken to mean this node: an agent's as long as its data is fresh; a file
 * of the mount's own for a moment, so that who looks and then opens it (cp) finds the same one. */
static double entry_timeout_s(struct ops *ops, const struct node *node, const struct record *record)
{
	if (record)
		return (double)fleet_record_ms(ops->fleet, record) / 1000;
	return node->row ? FOREVER_S : OWN_S;
}

/* record: of the agent whose file or folder this name means; NULL: the mount's own. */
static void fill_entry(struct ops *ops, const struct node *node, const struct record *record,
                       struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = node_id(node),
		.attr_timeout = attr_timeout_s(ops, node),
		.entry_timeout = entry_timeout_s(ops, node, record),
	};
	fill_attr(ops, node, &ret_entry->attr);
}

/* From rows to nodes */

/* Since when a file of the mount's own has had this text. */
static int64_t own_mtime_ns(struct ops *ops, const struct row *row)
{
	struct own *own = &ops->own[row - tree_rows];
	uint64_t hash = XXH3_64bits(ops->text.length ? ops->text.bytes : "", ops->text.length);

	if (own->since_ns == 0 || own->hash != hash)
		*own = (struct own){hash, fleet_wall_ns(ops->fleet)};
	return own->since_ns;
}

static int value_of(struct ops *ops, const struct row *row, struct record *record, uint16_t index,
                    struct node **ret_node)
{
	struct node *node;
	int err;

	if (row->field == AGENT_JSON) {
		node = node_json(&ops->nodes, record->agent, tree_mtime_ns(row, record, index));
		*ret_node = node;
		return node ? 0 : -ENOMEM;
	}
	text_clear(&ops->text);
	if (record)
		tree_field_text(row, record->agent, index, &ops->text);
	else
		row->text(ops->self, &ops->text);
	err = text_error(&ops->text);
	if (err < 0)
		return err;
	node = node_value(&ops->nodes, ops->text.bytes, ops->text.length,
	                  record ? tree_mtime_ns(row, record, index) : own_mtime_ns(ops, row));
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

static int node_of(struct ops *ops, const struct row *row, struct record *record, uint16_t index,
                   struct node **ret_node)
{
	struct node *node;

	if (tree_folder_of(row) == TREE_FOLDERS)
		return value_of(ops, row, record, index, ret_node);
	node = node_folder(&ops->nodes, row, record, index);
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

/* The index that a child of this folder goes by: its own number, or that of the GPU it is in. */
static uint16_t child_index(const struct node *folder, const struct row *row, size_t occurrence)
{
	return row->each == TREE_ONCE ? folder->index : (uint16_t)occurrence;
}

/* The folder of an id, if what is known of its agent is fresh; a listing that goes on (fresh:
 * false) may do with what it began with. */
static int folder_of(struct call *call, bool fresh, const struct node **ret_folder)
{
	const struct node *folder = nodes_find(&call->ops->nodes, call->ino);
	int err = 0;

	if (!folder || !folder->row)
		return -ESTALE;
	if (folder->record && fresh)
		err = fleet_renew(call->ops->fleet, folder->record, &call->look);
	if (err < 0)
		return err;
	/* The agent may have fewer GPUs than when the kernel learned of this one. */
	if (folder->record && tree_folder_of(folder->row) == TREE_GPU &&
	    folder->index >= folder->record->agent->gpu_count)
		return -ENOENT;
	*ret_folder = folder;
	return 0;
}

/* The operations. Each returns 0 and its answer, -EAGAIN, or -errno. */

static int find_child(struct call *call, const struct node *folder, struct node **ret_node)
{
	char name[NAME_BYTES];

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct row *row = &tree_rows[i];
		const struct agent *agent = folder->record ? folder->record->agent : NULL;
		size_t count;

		if (row->parent != tree_folder_of(folder->row))
			continue;
		if (row->each == TREE_EACH_AGENT) {
			struct record *record;
			int err = fleet_find(call->ops->fleet, call->name, &call->look, &record);

			if (err < 0)
				return err;
			return node_of(call->ops, row, record, 0, ret_node);
		}
		if (row->each == TREE_ONCE && strcmp(row->name, call->name) != 0)
			continue;
		count = tree_count(row, agent);
		for (size_t at = 0; at < count; at++) {
			tree_name(row, agent, at, name);
			if (strcmp(name, call->name) == 0)
				return node_of(call->ops, row, folder->record,
				               child_index(folder, row, at), ret_node);
		}
	}
	return -ENOENT;
}

int answer_lookup(struct call *call, struct answer *answer)
{
	struct ops *ops = call->ops;
	const struct node *folder = NULL;
	int err = folder_of(call, true, &folder);

	if (err < 0)
		return err;
	answer->kind = ANSWER_ENTRY;
	err = find_child(call, folder, &answer->node);
	if (err == 0) {
		fill_entry(ops, answer->node,
		           answer->node->record ? answer->node->record : folder->record,
		           &answer->entry);
	} else if (err == -ENOENT) {
		/* That there is no such name is an answer too, and keeps as long. */
		answer->entry.entry_timeout = attr_timeout_s(ops, folder);
		answer->node = NULL;
		err = 0;
	}
	return err;
}

int answer_getattr(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);
	int err = 0;

	if (!node)
		return -ESTALE;
	if (node->row)
		err = folder_of(call, true, &node);
	if (err < 0)
		return err;
	answer->kind = ANSWER_ATTR;
	answer->entry.attr_timeout = attr_timeout_s(call->ops, node);
	fill_attr(call->ops, node, &answer->entry.attr);
	return 0;
}

int answer_read(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);

	if (!node)
		return -ESTALE;
	if (node->row)
		return -EISDIR;
	answer->kind = ANSWER_BYTES;
	if (call->offset < 0 || (uint64_t)call->offset >= node->bytes)
		return 0;
	answer->bytes = node_text(node) + call->offset;
	answer->length = node->bytes - (size_t)call->offset;
	if (answer->length > call->size)
		answer->length = call->size;
	return 0;
}

int answer_statfs(struct call *call, struct answer *answer)
{
	(void)call;
	answer->kind = ANSWER_STATFS;
	return 0;
}

int answer_access(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);

	if (!node)
		return -ESTALE;
	answer->kind = ANSWER_NOTHING;
	if (call->size & W_OK)
		return -EROFS;
	return call->size & X_OK && !node->row ? -EACCES : 0;
}

/* Listing */

static int reserve_listing(struct ops *ops, size_t bytes)
{
	char *listing;
	struct node **listed;

	if (bytes <= ops->listing_bytes)
		return 0;
	listing = realloc(ops->listing, bytes);
	if (!listing)
		return -ENOMEM;
	ops->listing = listing;
	listed = realloc(ops->listed, (bytes / SMALLEST_ENTRY + 1) * sizeof(struct node *));
	if (!listed)
		return -ENOMEM;
	ops->listed = listed;
	ops->listing_bytes = bytes;
	return 0;
}

/* Adds an entry whose successor has this offset. -ENOBUFS: it does not fit. */
static int add_entry(struct call *call, struct answer *answer, const char *name, uint64_t next,
                     const struct row *row, struct record *record, uint16_t index)
{
	struct ops *ops = call->ops;
	struct fuse_entry_param entry;
	size_t left = call->size - answer->length;
	struct node *node;
	int err;

	/* First whether it fits, so that no node is made for nothing. */
	if (fuse_add_direntry_plus(call->req, NULL, 0, name, NULL, 0) > left)
		return -ENOBUFS;
	err = node_of(ops, row, record, index, &node);
	if (err < 0)
		return err;
	fill_entry(ops, node, record, &entry);
	answer->length += fuse_add_direntry_plus(call->req, ops->listing + answer->length, left,
	                                         name, &entry, (off_t)next);
	node->lookups++;
	ops->listed[answer->entries++] = node;
	return 0;
}

/* `.` and `..` count no look-up and need no node; the kernel knows them already. */
static int add_dot(struct call *call, struct answer *answer, const char *name, uint64_t next)
{
	/* Number 0 would make readdir(3) skip it. Not to be looked up: entry.ino stays 0. */
	const struct fuse_entry_param entry = {.attr = {.st_ino = call->ino, .st_mode = S_IFDIR}};
	size_t left = call->size - answer->length;
	size_t bytes = fuse_add_direntry_plus(call->req, call->ops->listing + answer->length, left,
	                                      name, &entry, (off_t)next);

	if (bytes > left)
		return -ENOBUFS;
	answer->length += bytes;
	return 0;
}

static int list_agents(struct call *call, struct answer *answer, const struct row *row)
{
	uint64_t cursor = (uint64_t)call->offset >= DIR_OFFSETS ? (uint64_t)call->offset : 0;

	for (;;) {
		struct record *record;
		/* Who has got something does not wait for more, and has not asked for it yet. */
		int err = fleet_walk(call->ops->fleet, &cursor,
		                     answer->entries > 0 ? NULL : &call->look, &record);

		if (err < 0 || !record)
			return err;
		err = add_entry(call, answer, record->name, cursor, row, record, 0);
		if (err < 0)
			return err;
	}
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
			err = add_entry(call, answer, name, position + 1, row, folder->record,
			                child_index(folder, row, at));
			if (err < 0)
				return err;
		}
	}
	return 0;
}

int answer_readdirplus(struct call *call, struct answer *answer)
{
	struct ops *ops = call->ops;
	const struct node *folder = NULL;
	int err = folder_of(call, call->offset == 0, &folder);

	if (err == 0)
		err = call->size < SMALLEST_ENTRY ? -EINVAL : reserve_listing(ops, call->size);
	if (err < 0)
		return err;
	answer->kind = ANSWER_BYTES;
	answer->bytes = ops->listing;
	if (call->offset < 1)
		err = add_dot(call, answer, ".", 1);
	if (err == 0 && call->offset < 2)
		err = add_dot(call, answer, "..", 2);
	if (err == 0)
		err = list_rows(call, answer, folder);
	/* What is there already is an answer; who wants the rest asks for it. But the dots alone
	 * are none: a reader of the first entries would have to wait for the second answer anyway.
	 */
	if ((err == -ENOBUFS && answer->length > 0) || (err < 0 && answer->entries > 0))
		err = 0;
	/* Not even one fits; an empty answer would be the end of the listing. */
	return err == -ENOBUFS ? -EINVAL : err;
}
