/* SPDX-License-Identifier: MIT */
#include "fs/fuse/read.h"

#include <errno.h>

#include "fs/fuse/attributes.h"

int operation_open(struct request *request, struct reply *reply)
{
	(void)request;
	(void)reply;
	return -ENOSYS; /* no state for open files is needed: the kernel sends no more of these */
}

int operation_opendir(struct request *request, struct reply *reply)
{
	(void)request;
	reply->kind = REPLY_OPENED;
	return 0;
}

int operation_read(struct request *request, struct reply *reply)
{
	struct filesystem *fs = request->fs;
	const struct node *node = nodes_find(&fs->nodes, request->ino);
	uint64_t left;
	ssize_t copied;

	if (!node)
		return -ESTALE;
	if (node->row)
		return -EISDIR;
	if (node->kind == NODE_LINK)
		return -EINVAL;
	reply->kind = REPLY_BYTES;
	if (request->offset < 0 || (uint64_t)request->offset >= attributes_bytes(node))
		return 0;
	left = attributes_bytes(node) - (uint64_t)request->offset;
	reply->length = request->size < left ? request->size : (size_t)left;
	if (!node->report) {
		reply->bytes = node_text(node) + request->offset;
		return 0;
	}
	if (filesystem_reserve(fs, reply->length) < 0)
		return -ENOMEM;
	reply->bytes = fs->buffer;
	copied = report_read(node->report, (uint64_t)request->offset, reply->length, fs->buffer);
	return copied < 0 ? (int)copied : 0;
}

int operation_readlink(struct request *request, struct reply *reply)
{
	const struct node *node = nodes_find(&request->fs->nodes, request->ino);

	if (!node)
		return -ESTALE;
	if (node->kind != NODE_LINK)
		return -EINVAL;
	reply->kind = REPLY_TARGET;
	reply->bytes = node->text;
	return 0;
}
