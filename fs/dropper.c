/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/dropper.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree.h"

int dropper_init(struct dropper *dropper, struct fuse_session *session, const char *mountpoint)
{
	*dropper = (struct dropper){.session = session, .path = strdup(mountpoint)};
	pthread_mutex_init(&dropper->lock, NULL);
	return dropper->path ? 0 : -ENOMEM;
}

static void drop_one(const struct dropper *dropper, const char *name)
{
	char path[PATH_MAX];
	int fd = -1;

	fuse_lowlevel_notify_inval_entry(dropper->session, FUSE_ROOT_ID, name, strlen(name));
	if (snprintf(path, sizeof(path), "%s/%s", dropper->path, name) < (int)sizeof(path))
		fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

static void *drop(void *user)
{
	struct dropper *dropper = user;

	pthread_mutex_lock(&dropper->lock);
	while (dropper->wanted) {
		bool agents_too = dropper->agents_too;

		dropper->wanted = false;
		dropper->agents_too = false;
		pthread_mutex_unlock(&dropper->lock);
		for (size_t i = 0; i < tree_row_count; i++)
			if (tree_rows[i].parent == TREE_ROOT && i != TREE_SELF &&
			    (agents_too || i != TREE_AGENTS))
				drop_one(dropper, tree_rows[i].name);
		pthread_mutex_lock(&dropper->lock);
	}
	dropper->running = false;
	pthread_mutex_unlock(&dropper->lock);
	return NULL;
}

/* The thread has nothing more to do, or is none. */
static void join(struct dropper *dropper)
{
	if (dropper->started)
		pthread_join(dropper->thread, NULL);
	dropper->started = false;
}

void dropper_begin(struct dropper *dropper, bool agents_too)
{
	bool running;

	pthread_mutex_lock(&dropper->lock);
	dropper->wanted = true;
	dropper->agents_too |= agents_too;
	running = dropper->running;
	dropper->running = true;
	pthread_mutex_unlock(&dropper->lock);
	if (running)
		return;
	join(dropper);
	dropper->started = pthread_create(&dropper->thread, NULL, drop, dropper) == 0;
	if (!dropper->started)
		dropper->running = false;
}

bool dropper_busy(struct dropper *dropper)
{
	bool running;

	pthread_mutex_lock(&dropper->lock);
	running = dropper->running;
	pthread_mutex_unlock(&dropper->lock);
	return running;
}

void dropper_done(struct dropper *dropper)
{
	join(dropper);
	pthread_mutex_destroy(&dropper->lock);
	free(dropper->path);
}
