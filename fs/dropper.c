/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/dropper.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree.h"

int dropper_init(struct dropper *dropper, struct fuse_session *session, const char *mountpoint)
{
	*dropper = (struct dropper){.session = session};
	pthread_mutex_init(&dropper->lock, NULL);
	return asprintf(&dropper->path, "%s/%s", mountpoint, tree_rows[TREE_AGENTS].name) < 0
	               ? -ENOMEM
	               : 0;
}

static void *drop(void *user)
{
	const char *name = tree_rows[TREE_AGENTS].name;
	struct dropper *dropper = user;

	pthread_mutex_lock(&dropper->lock);
	while (dropper->wanted) {
		dropper->wanted = false;
		pthread_mutex_unlock(&dropper->lock);
		fuse_lowlevel_notify_inval_entry(dropper->session, FUSE_ROOT_ID, name,
		                                 strlen(name));
		access(dropper->path, F_OK);
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

void dropper_begin(struct dropper *dropper)
{
	bool running;

	pthread_mutex_lock(&dropper->lock);
	dropper->wanted = true;
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
