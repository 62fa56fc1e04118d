/* SPDX-License-Identifier: MIT */
#include "fs/fuse/request.h"

/* Returns 0, or -errno if the kernel did not take the reply. */
static int request_send(struct request *request, const struct reply *reply)
{
	const struct statvfs statfs = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	/* What the kernel assumes after ENOSYS. */
	const struct fuse_file_info opened = {.keep_cache = 1, .cache_readdir = 1};

	switch (reply->kind) {
	case REPLY_ENTRY:
		return fuse_reply_entry(request->req, &reply->entry);
	case REPLY_ATTR:
		return fuse_reply_attr(request->req, &reply->entry.attr, reply->entry.attr_timeout);
	case REPLY_BYTES:
		return fuse_reply_buf(request->req, reply->bytes, reply->length);
	case REPLY_TARGET:
		return fuse_reply_readlink(request->req, reply->bytes);
	case REPLY_STATFS:
		return fuse_reply_statfs(request->req, &statfs);
	case REPLY_OPENED:
		return fuse_reply_open(request->req, &opened);
	case REPLY_EMPTY:
		break;
	}
	return fuse_reply_err(request->req, 0);
}

void request_reply(struct request *request, int err, const struct reply *reply)
{
	struct filesystem *fs = request->fs;

	fs->status->operations[request->operation]++;
	if (err < 0) {
		fuse_reply_err(request->req, -err);
		return;
	}
	if (reply->node)
		reply->node->lookups++;
	if (request_send(request, reply) < 0) {
		for (size_t i = 0; i < reply->entries; i++)
			node_forget(&fs->nodes, fs->listed[i], 1);
		if (reply->node)
			node_forget(&fs->nodes, reply->node, 1);
	}
	fs->status->nodes = nodes_count(&fs->nodes);
}

void request_reply_error(struct request *request, int err)
{
	request_reply(request, err, &(struct reply){0});
}
