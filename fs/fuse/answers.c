/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/fuse/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "fs/tree/tree.h"

#define FOREVER_S 1e9 /* for the kernel: as good as for ever, and no overflow in its jiffies */
#define MOMENT_S  0.1

/* Attributes */

static void set_time(struct timespec *time, int64_t ns)
{
	time->tv_sec = ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
}

/* Whether it shows the list of agents: it changes and expires as that does. */
static bool is_of_list(const struct node *node)
{
	return node->row && (tree_folder_of(node->row) == TREE_AGENTS || node->row->view);
}

static int64_t mtime_ns_of(struct ops *ops, const struct node *node)
{
	if (node->document)
		return node->document->mtime_ns;
	if (node->log)
		return node->log->mtime_ns;
	if (!node->row)
		return node->mtime_ns;
	if (node->record)
		return tree_mtime_ns(node->row, node->record, node->index);
	return is_of_list(node) ? fleet_list_mtime_ns(ops->fleet) : ops->status->mounted_ns;
}

static uint64_t bytes_of(const struct node *node)
{
	if (node->document)
		return node->document->bytes;
	if (node->log)
		return node->log->text.length;
	return node->row ? 0 : node->bytes;
}

static void fill_attr(struct ops *ops, const struct node *node, struct stat *ret_attr)
{
	static const mode_t modes[] = {
		[NODE_FOLDER] = S_IFDIR | 0555,   [NODE_GROUP] = S_IFDIR | 0555,
		[NODE_VALUE] = S_IFREG | 0444,    [NODE_LINK] = S_IFLNK | 0777,
		[NODE_DOCUMENT] = S_IFREG | 0444, [NODE_LOG] = S_IFREG | 0444,
	};
	uint64_t bytes = bytes_of(node);

	*ret_attr = (struct stat){
		.st_ino = node_id(node),
		.st_mode = modes[node->kind],
		.st_nlink = 1,
		.st_uid = ops->uid,
		.st_gid = ops->gid,
		.st_size = (off_t)bytes,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((bytes + 511) / 512),
	};
	set_time(&ret_attr->st_mtim, mtime_ns_of(ops, node));
	ret_attr->st_atim = ret_attr->st_mtim;
	ret_attr->st_ctim = ret_attr->st_mtim;
}

/* How long what comes of the list of agents may be taken for what is: as long as that list is
 * fresh; not at all what comes of one that is not the newest any more. */
static double list_timeout_s(const struct call *call)
{
	const struct fleet *fleet = call->ops->fleet;

	if (call->query.list > 0 && call->query.list != fleet_newest(fleet))
		return 0;
	return (double)fleet_list_ms(fleet) / 1000;
}

/* How long the kernel may keep a folder's attributes; a value's it may keep for ever. Of what grows
 * it is to ask again: that costs less than to let somebody wait for what is there. */
static double attr_timeout_s(const struct call *call, const struct node *node)
{
	if (node->log && events_is_current(call->ops->events, node->log))
		return MOMENT_S;
	if (!node->row)
		return FOREVER_S;
	if (node->record)
		return (double)fleet_record_ms(call->ops->fleet, node->record) / 1000;
	return is_of_list(node) ? list_timeout_s(call) : FOREVER_S;
}

/* How long a name may be taken to mean this node: an agent's as long as its data is fresh, what is
 * made of all of them as long as the list is; a file of the mount's own, or the log, for a moment,
 * so that who looks and then opens it (cp) finds the same one. */
static double entry_timeout_s(const struct call *call, const struct node *node,
                              const struct record *record)
{
	if (record)
		return (double)fleet_record_ms(call->ops->fleet, record) / 1000;
	if (node->log)
		return MOMENT_S;
	if (node->kind == NODE_GROUP || node->kind == NODE_DOCUMENT)
		return list_timeout_s(call);
	return node->row ? FOREVER_S : MOMENT_S;
}

void answer_fill_entry(const struct call *call, const struct node *node,
                       const struct record *record, struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = node_id(node),
		.attr_timeout = attr_timeout_s(call, node),
		.entry_timeout = entry_timeout_s(call, node, record),
	};
	fill_attr(call->ops, node, &ret_entry->attr);
}

/* From rows to nodes */

/* When a file of the mount's own last changed. A file that never changes has the time of the first
 * values, so that `find -newer` selects what changed since the mount. */
static int64_t own_mtime_ns(struct ops *ops, const struct row *row)
{
	struct own *own = &ops->own[row - tree_rows];
	uint64_t hash = XXH3_64bits(ops->text.length ? ops->text.bytes : "", ops->text.length);

	if (tree_is_constant(row))
		return fleet_mounted_ns(ops->fleet);
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
		row->text(ops->status, &ops->text);
	err = text_error(&ops->text);
	if (err < 0)
		return err;
	node = node_value(&ops->nodes, ops->text.bytes, ops->text.length,
	                  record ? tree_mtime_ns(row, record, index) : own_mtime_ns(ops, row));
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

static int document_of(struct call *call, const struct row *row, struct node **ret_node)
{
	struct document *document;
	int err = views_document(call->ops->views, row, &call->query, &document);

	if (err < 0)
		return err;
	*ret_node = node_document(&call->ops->nodes, document);
	return *ret_node ? 0 : -ENOMEM;
}

static int log_of(struct call *call, const struct row *row, struct node **ret_node)
{
	struct ops *ops = call->ops;
	struct event_log *log = events_before(ops->events);
	int err = 0;

	if (row->report == TREE_EVENTS)
		err = events_look(ops->events, &call->query, false, &log);
	if (err < 0)
		return err;
	*ret_node = log ? node_log(&ops->nodes, log)
	                : node_value(&ops->nodes, "", 0, ops->status->mounted_ns);
	return *ret_node ? 0 : -ENOMEM;
}

int answer_link(struct ops *ops, const struct row *row, const struct record *record,
                const char *value, struct node **ret_node)
{
	text_clear(&ops->text);
	tree_target(row, record->name, &ops->text);
	if (text_error(&ops->text) < 0)
		return text_error(&ops->text);
	*ret_node = node_link(&ops->nodes, ops->text.bytes, ops->text.length,
	                      tree_link_mtime_ns(row, record, value));
	return *ret_node ? 0 : -ENOMEM;
}

int answer_node(struct call *call, const struct row *row, struct record *record, uint16_t index,
                struct node **ret_node)
{
	struct ops *ops = call->ops;
	struct node *node;

	if (row->report == TREE_EVENTS || row->report == TREE_EVENTS_BEFORE)
		return log_of(call, row, ret_node);
	if (row->report)
		return document_of(call, row, ret_node);
	if (tree_folder_of(row) == TREE_FOLDERS && !row->view)
		return value_of(ops, row, record, index, ret_node);
	node = node_folder(&ops->nodes, row, record, index);
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

uint16_t answer_child_index(const struct node *folder, const struct row *row, size_t occurrence)
{
	return row->each == TREE_ONCE ? folder->index : (uint16_t)occurrence;
}

/* Whether there is still somebody in this group. */
static int renew_group(struct call *call, const struct node *group)
{
	const struct groups *groups;
	char name[NAME_BYTES];
	int err;

	if (tree_lasting_group(group->row, group->text))
		return 0;
	err = views_groups(call->ops->views, group->row, &call->query, &groups);
	if (err < 0)
		return err;
	name_encode(group->text, name);
	return groups_find(groups, name) ? 0 : groups->absent;
}

int answer_folder(struct call *call, bool fresh, const struct node **ret_folder)
{
	const struct node *folder = nodes_find(&call->ops->nodes, call->ino);
	int err = 0;

	if (!folder || !folder->row)
		return -ESTALE;
	if (folder->record && fresh)
		err = fleet_renew(call->ops->fleet, folder->record, &call->query);
	else if (folder->kind == NODE_GROUP && fresh)
		err = renew_group(call, folder);
	if (err < 0)
		return err;
	/* The agent may have fewer GPUs than when the kernel learned of this one. */
	if (folder->record && tree_folder_of(folder->row) == TREE_GPU &&
	    folder->index >= folder->record->agent->gpu_count)
		return -ENOENT;
	*ret_folder = folder;
	return 0;
}

struct record *answer_first(const struct row *row, const struct group *group)
{
	struct record *record = group->first;

	return record && record->present && tree_has(row, record->agent, group->value) ? record
	                                                                               : NULL;
}

/* The operations. Each returns 0 and its answer, -EAGAIN, or -errno. */

/* In a group: the link to an agent that is in it. */
static int find_member(struct call *call, const struct node *group, struct node **ret_node,
                       struct record **ret_record)
{
	int err = fleet_find(call->ops->fleet, call->name, &call->query, ret_record);

	if (err < 0)
		return err;
	if (!tree_has(group->row, (*ret_record)->agent, group->text))
		return -ENOENT;
	return answer_link(call->ops, group->row, *ret_record, group->text, ret_node);
}

/* In a view: the folder of a group, or the link to the first of those in it. */
static int find_group(struct call *call, const struct row *row, struct node **ret_node,
                      struct record **ret_record)
{
	struct ops *ops = call->ops;
	const struct groups *groups;
	const struct group *group;
	const char *lasting = tree_lasting_group(row, call->name);
	int err;

	if (lasting) { /* known without any list */
		*ret_node = node_group(&ops->nodes, row, lasting);
		return *ret_node ? 0 : -ENOMEM;
	}
	err = views_groups(ops->views, row, &call->query, &groups);
	if (err < 0)
		return err;
	group = groups_find(groups, call->name);
	if (!group)
		return groups->absent;
	if (row->view == TREE_GROUPS) {
		*ret_node = node_group(&ops->nodes, row, group->value);
		return *ret_node ? 0 : -ENOMEM;
	}
	*ret_record = answer_first(row, group);
	return *ret_record ? answer_link(ops, row, *ret_record, group->value, ret_node) : -ENOENT;
}

/* *ret_record: the agent whose it is, if it is one's. */
static int find_child(struct call *call, const struct node *folder, struct node **ret_node,
                      struct record **ret_record)
{
	char name[NAME_BYTES];

	if (folder->kind == NODE_GROUP)
		return find_member(call, folder, ret_node, ret_record);
	if (folder->row->view)
		return find_group(call, folder->row, ret_node, ret_record);
	*ret_record = folder->record;

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct row *row = &tree_rows[i];
		const struct agent *agent = folder->record ? folder->record->agent : NULL;
		size_t count;

		if (row->parent != tree_folder_of(folder->row))
			continue;
		if (row->each == TREE_EACH_AGENT) {
			int err =
				fleet_find(call->ops->fleet, call->name, &call->query, ret_record);

			if (err < 0)
				return err;
			return answer_node(call, row, *ret_record, 0, ret_node);
		}
		if (row->each == TREE_ONCE && strcmp(row->name, call->name) != 0)
			continue;
		count = tree_count(row, agent);
		for (size_t at = 0; at < count; at++) {
			tree_name(row, agent, at, name);
			if (strcmp(name, call->name) == 0)
				return answer_node(call, row, folder->record,
				                   answer_child_index(folder, row, at), ret_node);
		}
	}
	return -ENOENT;
}

/* Whether the directory can never have this name. Shells, editors and version control look up such
 * names (.git, .hg) all the time. */
static bool is_impossible(const struct call *call)
{
	const struct node *folder = nodes_find(&call->ops->nodes, call->ino);

	return folder && folder->row &&
	       !tree_may_have(folder->row, folder->kind == NODE_GROUP, call->name);
}

int answer_lookup(struct call *call, struct answer *answer)
{
	const struct node *folder = NULL;
	struct record *record = NULL;
	int err;

	answer->kind = ANSWER_ENTRY;
	if (is_impossible(call)) {
		answer->entry.entry_timeout = FOREVER_S;
		return 0;
	}
	err = answer_folder(call, true, &folder);
	if (err < 0)
		return err;
	err = find_child(call, folder, &answer->node, &record);
	if (err == 0) {
		answer_fill_entry(call, answer->node, record, &answer->entry);
	} else if (err == -ENOENT) {
		/* That there is no such name is an answer too, and keeps as long. */
		answer->entry.entry_timeout = attr_timeout_s(call, folder);
		answer->node = NULL;
		err = 0;
	}
	return err;
}

int answer_getattr(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);
	struct event_log *log;
	int err = 0;

	if (!node)
		return -ESTALE;
	if (node->row)
		err = answer_folder(call, true, &node);
	else if (node->log && events_is_current(call->ops->events, node->log))
		err = events_look(call->ops->events, &call->query, call->reading, &log);
	if (err < 0)
		return err;
	answer->kind = ANSWER_ATTR;
	answer->entry.attr_timeout = attr_timeout_s(call, node);
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
	if (node->kind == NODE_LINK)
		return -EINVAL;
	answer->kind = ANSWER_BYTES;
	if (call->offset < 0 || (uint64_t)call->offset >= bytes_of(node))
		return 0;
	if (node->document) {
		uint64_t left = bytes_of(node) - (uint64_t)call->offset;
		ssize_t copied;

		answer->length = call->size < left ? call->size : (size_t)left;
		if (ops_reserve(call->ops, answer->length) < 0)
			return -ENOMEM;
		answer->bytes = call->ops->buffer;
		copied = document_read(node->document, (uint64_t)call->offset, answer->length,
		                       call->ops->buffer);
		return copied < 0 ? (int)copied : 0;
	}
	answer->bytes = node_text(node) + call->offset;
	answer->length = (size_t)bytes_of(node) - (size_t)call->offset;
	if (answer->length > call->size)
		answer->length = call->size;
	return 0;
}

int answer_readlink(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);

	if (!node)
		return -ESTALE;
	if (node->kind != NODE_LINK)
		return -EINVAL;
	answer->kind = ANSWER_TARGET;
	answer->bytes = node->text;
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
