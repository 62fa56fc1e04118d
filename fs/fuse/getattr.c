/* SPDX-License-Identifier: MIT */
#include "fs/fuse/getattr.h"

#include <errno.h>
#include <unistd.h>

#include "fs/fuse/attributes.h"
#include "fs/fuse/directory.h"

int operation_getattr(struct request *request, struct reply *reply)
{
	struct filesystem *fs = request->fs;
	const struct node *node = nodes_find(&fs->nodes, request->ino);
	struct event_log *log;
	int err = 0;

	if (!node)
		return -ESTALE;
	if (node->row)
		err = directory_find(request, true, &node);
	else if (node->log && events_is_current(fs->events, node->log))
		err = events_query(fs->events, &request->query, request->reading, &log);
	if (err < 0)
		return err;
	reply->kind = REPLY_ATTR;
	reply->entry.attr_timeout = attributes_timeout_s(request, node);
	attributes_fill(fs, node, &reply->entry.attr);
	return 0;
}

int operation_access(struct request *request, struct reply *reply)
{
	const struct node *node = nodes_find(&request->fs->nodes, request->ino);

	if (!node)
		return -ESTALE;
	reply->kind = REPLY_EMPTY;
	if (request->mask & W_OK)
		return -EROFS;
	return request->mask & X_OK && !node->row ? -EACCES : 0;
}

int operation_statfs(struct request *request, struct reply *reply)
{
	(void)request;
	reply->kind = REPLY_STATFS;
	return 0;
}
