/* SPDX-License-Identifier: MIT */
#include "fs/fuse/attributes.h"

#include "fs/tree/tree.h"

/* Timeout in s for attributes and entries that may change at any time: long enough for a program
 * that calls stat(2) and then open(2), as cp does, to find the same node. */
#define BRIEF_S 0.1

static void attributes_set_time(struct timespec *time, int64_t ns)
{
	time->tv_sec = ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
}

/* Returns whether a node is a directory that shows the list of agents: the directory changes and
 * expires with the list. */
static bool attributes_shows_list(const struct node *node)
{
	return node->row && (tree_directory_of(node->row) == TREE_AGENTS || node->row->view ||
	                     node->kind == NODE_QUESTION);
}

static int64_t attributes_mtime_ns(struct filesystem *fs, const struct node *node)
{
	if (node->report)
		return node->report->mtime_ns;
	if (node->log)
		return node->log->mtime_ns;
	if (!node->row)
		return node->mtime_ns;
	if (node->record)
		return tree_mtime_ns(node->row, node->record, node->index);
	return attributes_shows_list(node) ? fleet_list_mtime_ns(fs->fleet)
	                                   : fs->status->started_ns;
}

uint64_t attributes_bytes(const struct node *node)
{
	if (node->report)
		return node->report->bytes;
	if (node->log)
		return node->log->text.length;
	return node->row ? 0 : node->bytes;
}

void attributes_fill(struct filesystem *fs, const struct node *node, struct stat *ret_attr)
{
	static const mode_t modes[] = {
		[NODE_DIRECTORY] = S_IFDIR | 0555, [NODE_GROUP] = S_IFDIR | 0555,
		[NODE_QUESTION] = S_IFDIR | 0555,  [NODE_VALUE] = S_IFREG | 0444,
		[NODE_LINK] = S_IFLNK | 0777,      [NODE_REPORT] = S_IFREG | 0444,
		[NODE_LOG] = S_IFREG | 0444,
	};
	uint64_t bytes = attributes_bytes(node);

	*ret_attr = (struct stat){
		.st_ino = node_id(node),
		.st_mode = modes[node->kind],
		.st_nlink = 1,
		.st_uid = fs->uid,
		.st_gid = fs->gid,
		.st_size = (off_t)bytes,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((bytes + 511) / 512),
	};
	attributes_set_time(&ret_attr->st_mtim, attributes_mtime_ns(fs, node));
	ret_attr->st_atim = ret_attr->st_mtim;
	ret_attr->st_ctim = ret_attr->st_mtim;
}

/* How long data from the list of agents may be kept: until that list expires. 0 if the request used
 * a list that is no longer the newest. */
static double attributes_list_timeout_s(const struct request *request)
{
	const struct fleet *fleet = request->fs->fleet;

	if (request->query.list > 0 && request->query.list != fleet_newest_list(fleet))
		return 0;
	return (double)fleet_list_left_ms(fleet) / 1000;
}

double attributes_timeout_s(const struct request *request, const struct node *node)
{
	/* The log may grow at any time. Readers that wait for more lines ask for its size. */
	if (node->log && events_is_current(request->fs->events, node->log))
		return BRIEF_S;
	if (!node->row)
		return ATTRIBUTES_FOREVER_S;
	if (node->record)
		return (double)fleet_record_left_ms(request->fs->fleet, node->record) / 1000;
	return attributes_shows_list(node) ? attributes_list_timeout_s(request)
	                                   : ATTRIBUTES_FOREVER_S;
}

/* How long the kernel may keep the entry that leads from a name to this node. A file of the status
 * directory, and the log, may get another node at any time. For a numbered link of a ranking,
 * record is NULL: it may lead to another agent in the next list. */
static double attributes_entry_timeout_s(const struct request *request, const struct node *node,
                                         const struct record *record)
{
	if (record)
		return (double)fleet_record_left_ms(request->fs->fleet, record) / 1000;
	if (node->log)
		return BRIEF_S;
	if (node->kind == NODE_GROUP || node->kind == NODE_REPORT || node->kind == NODE_LINK)
		return attributes_list_timeout_s(request);
	return node->row ? ATTRIBUTES_FOREVER_S : BRIEF_S;
}

void attributes_fill_entry(const struct request *request, const struct node *node,
                           const struct record *record, struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = node_id(node),
		.attr_timeout = attributes_timeout_s(request, node),
		.entry_timeout = attributes_entry_timeout_s(request, node, record),
	};
	attributes_fill(request->fs, node, &ret_entry->attr);
}
