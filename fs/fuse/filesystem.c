/* SPDX-License-Identifier: MIT */
#include "fs/fuse/filesystem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/tree/tree.h"

int filesystem_init(struct filesystem *fs, struct fleet *fleet, struct status *status,
                    uint64_t seed)
{
	struct node *root;

	*fs = (struct filesystem){
		.fleet = fleet,
		.status = status,
		.uid = getuid(),
		.gid = getgid(),
		.text_versions = calloc(tree_row_count, sizeof(*fs->text_versions)),
		.views = views_new(status, &fs->jobs, fleet_ttl_ms(fleet), seed),
		.events = events_new(fleet, fleet_timeout_ms(fleet), EVENTS_BYTES),
	};
	jobs_init(&fs->jobs);
	text_init(&fs->text, TREE_MAX_TEXT);
	nodes_init(&fs->nodes, seed);
	if (!fs->text_versions || !fs->views || !fs->events)
		return -ENOMEM;
	root = node_directory(&fs->nodes, &tree_rows[TREE_ROOT], NULL, 0);
	if (!root)
		return -ENOMEM;
	root->lookups = 1; /* the kernel never forgets the root */
	return 0;
}

void filesystem_done(struct filesystem *fs)
{
	nodes_done(&fs->nodes);
	views_free(fs->views);
	events_free(fs->events);
	text_done(&fs->text);
	free(fs->text_versions);
	free(fs->buffer);
	free(fs->listed);
}

int filesystem_reserve(struct filesystem *fs, size_t bytes)
{
	char *buffer;

	if (bytes <= fs->buffer_bytes)
		return 0;
	buffer = realloc(fs->buffer, bytes);
	if (!buffer)
		return -ENOMEM;
	fs->buffer = buffer;
	fs->buffer_bytes = bytes;
	return 0;
}
