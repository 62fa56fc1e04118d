/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_INVALIDATOR_H
#define FLEETFS_FS_FUSE_INVALIDATOR_H

/*
 * Makes the kernel forget the names below `agents/` and the views: what it holds of them and nobody
 * uses it gives back, what is in use (an open file, a working folder) it keeps.
 *
 * That is one notification for each, for its name in the root. To name each agent instead would be
 * finer, and is no way: the kernel takes the lock of the folder for it, `agents/`, which a look-up
 * that waits for the API holds, and everybody who comes after would wait for both. In the root
 * nobody waits for long.
 *
 * With its name a folder itself goes out of reach: whose working folder it is finds it nameless
 * (getcwd(2) fails), and so does the next notification, until somebody takes its path again. Hence
 * that is done here, too.
 *
 * It is sent from a thread of its own, since the kernel answers once a look-up in the root that is
 * under way was answered, by the FUSE thread. The thread lives just for that.
 */

#include <pthread.h>
#include <stdbool.h>

struct fuse_session;

/* A zeroed one is idle, too. */
struct invalidator {
	struct fuse_session *session;
	char *path;           /* of the mount point */
	pthread_mutex_t lock; /* of the three below */
	bool wanted;
	bool agents_too;
	bool running;
	bool started; /* there is a thread to be joined */
	pthread_t thread;
};

/* mountpoint: absolute. 0 or -ENOMEM. */
int invalidator_init(struct invalidator *invalidator, struct fuse_session *session,
                     const char *mountpoint);

/* Begins, with the names of the views or with all; if it is under way already, it is done once more
 * after that. Without a thread to be had nothing is dropped. */
void invalidator_begin(struct invalidator *invalidator, bool agents_too);

/* Whether it is under way; the session must be served meanwhile. */
bool invalidator_busy(struct invalidator *invalidator);

/* Waits for its end, and frees. The session is served, or its mount has ended. */
void invalidator_done(struct invalidator *invalidator);

#endif
