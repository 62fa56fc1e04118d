/* SPDX-License-Identifier: MIT */
#include "fs/fuse/invalidator.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse/mountinfo.h"
#include "fs/fuse/own_mount.h"
#include "fs/tree/tree.h"

#define JOIN_S 1 /* the longest wait for the thread at the end */

void invalidator_init(struct invalidator *invalidator, struct fuse_session *session,
                      const struct own_mount *mount)
{
	*invalidator = (struct invalidator){.session = session, .mount = mount};
	pthread_mutex_init(&invalidator->lock, NULL);
}

/* Reads the current list of mounts. Returns an empty one if /proc is missing or hidden. */
static struct mountinfo invalidator_read_mounts(void)
{
	struct mountinfo mounts = {0};
	int fd = mountinfo_open();

	if (fd < 0)
		return mounts;
	(void)mountinfo_read(fd, &mounts);
	close(fd);
	return mounts;
}

/* Whether something is mounted on an entry of the root or below it. */
static bool invalidator_is_mounted_on(const struct invalidator *invalidator,
                                      const struct mountinfo *mounts, const char *name)
{
	char entry[NAME_MAX + 2];

	snprintf(entry, sizeof(entry), "/%s", name);
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mountinfo_mount *mount = &mounts->mounts[i];
		const struct mountinfo_mount *parent = mountinfo_find(mounts, mount->parent_id);
		char place[MOUNTINFO_PLACE_BYTES];

		if (!parent || strcmp(parent->device, invalidator->mount->device) != 0)
			continue;
		mountinfo_place(parent, mount->path, place);
		if (strcmp(place, entry) == 0 || mountinfo_is_below(place, entry))
			return true;
	}
	return false;
}

/* Makes the kernel forget an entry of the root, and looks it up again. */
static void invalidator_forget(const struct invalidator *invalidator, const char *name)
{
	char path[PATH_MAX];
	int fd = -1;

	fuse_lowlevel_notify_inval_entry(invalidator->session, FUSE_ROOT_ID, name, strlen(name));
	if (snprintf(path, sizeof(path), "%s/%s", invalidator->mount->path, name) <
	    (int)sizeof(path))
		fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

/* Makes the kernel forget the entries of the root, except those with a mount. */
static void invalidator_forget_all(const struct invalidator *invalidator, bool agents_too)
{
	struct mountinfo mounts = invalidator_read_mounts();

	for (size_t i = 0; i < tree_row_count; i++)
		if (tree_rows[i].parent == TREE_ROOT && i != TREE_STATUS &&
		    (agents_too || i != TREE_AGENTS) &&
		    !invalidator_is_mounted_on(invalidator, &mounts, tree_rows[i].name))
			invalidator_forget(invalidator, tree_rows[i].name);
	mountinfo_free(&mounts);
}

static void *invalidator_run(void *user)
{
	struct invalidator *invalidator = user;

	pthread_mutex_lock(&invalidator->lock);
	while (invalidator->wanted) {
		bool agents_too = invalidator->agents_too;

		invalidator->wanted = false;
		invalidator->agents_too = false;
		pthread_mutex_unlock(&invalidator->lock);
		invalidator_forget_all(invalidator, agents_too);
		pthread_mutex_lock(&invalidator->lock);
	}
	invalidator->running = false;
	pthread_mutex_unlock(&invalidator->lock);
	return NULL;
}

/* Waits for the thread, if there is one. */
static void invalidator_join(struct invalidator *invalidator)
{
	if (invalidator->started)
		pthread_join(invalidator->thread, NULL);
	invalidator->started = false;
}

void invalidator_begin(struct invalidator *invalidator, bool agents_too)
{
	bool running;

	pthread_mutex_lock(&invalidator->lock);
	invalidator->wanted = true;
	invalidator->agents_too |= agents_too;
	running = invalidator->running;
	invalidator->running = true;
	pthread_mutex_unlock(&invalidator->lock);
	if (running)
		return;
	invalidator_join(invalidator);
	invalidator->started =
		pthread_create(&invalidator->thread, NULL, invalidator_run, invalidator) == 0;
	if (!invalidator->started) {
		pthread_mutex_lock(&invalidator->lock);
		invalidator->running = false;
		pthread_mutex_unlock(&invalidator->lock);
	}
}

bool invalidator_is_running(struct invalidator *invalidator)
{
	bool running;

	pthread_mutex_lock(&invalidator->lock);
	running = invalidator->running;
	pthread_mutex_unlock(&invalidator->lock);
	return running;
}

void invalidator_done(struct invalidator *invalidator)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += JOIN_S;
	if (invalidator->started && pthread_clockjoin_np(invalidator->thread, NULL, CLOCK_MONOTONIC,
	                                                 &deadline) == ETIMEDOUT)
		return;
	pthread_mutex_destroy(&invalidator->lock);
	*invalidator = (struct invalidator){0};
}
