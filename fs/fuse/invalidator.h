/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_INVALIDATOR_H
#define FLEETFS_FS_FUSE_INVALIDATOR_H

/*
 * Makes the kernel forget the names in `agents/` and in the views. The kernel gives back what
 * nobody uses, and keeps what is in use: an open file, a working directory.
 *
 * One notification is sent for each of these directories: it names the directory, in the root. A
 * notification for each agent would be finer, but the kernel takes the lock of `agents/` for it. A
 * lookup there that waits for the API holds that lock, and every later reader of `agents/` would
 * wait for both. Lookups in the root never wait for long.
 *
 * The notification makes the directory itself unreachable, too: a process that works in it finds it
 * without a name (getcwd(2) fails), and the next notification does not reach it, until a process
 * looks its path up again. So the invalidator looks it up at once.
 *
 * The kernel finishes a notification only after a pending lookup in the root was replied to, and
 * the FUSE thread replies to lookups. Therefore a thread of its own sends the notifications. It
 * exists only as long as there is work. The other functions are called by the FUSE thread.
 */

#include <pthread.h>
#include <stdbool.h>

struct fuse_session;

/* A zeroed invalidator is idle, too. */
struct invalidator {
	struct fuse_session *session; /* borrowed */
	char *path;                   /* of the mount point */
	pthread_mutex_t lock;         /* for the next three members */
	bool wanted;                  /* names are to be forgotten, from the beginning */
	bool agents_too;              /* also those of agents */
	bool running;                 /* the thread has not finished */
	bool started;                 /* the thread has to be joined */
	pthread_t thread;
};

/* mountpoint: absolute; copied. Returns 0 or -ENOMEM; invalidator_done() must follow in both cases.
 */
int invalidator_init(struct invalidator *invalidator, struct fuse_session *session,
                     const char *mountpoint);

/* Starts to make the kernel forget the names in the views; with agents_too also those in `agents/`.
 * If the thread is running, it does so again when it has finished. If no thread can be made, the
 * kernel keeps the names. */
void invalidator_begin(struct invalidator *invalidator, bool agents_too);

/* Whether the thread is running. The session must be served as long as it is. */
bool invalidator_busy(struct invalidator *invalidator);

/* Waits for the thread to finish, and frees. Call it when invalidator_busy() returned false, or
 * after the mount has ended: then the kernel does not block the thread. */
void invalidator_done(struct invalidator *invalidator);

#endif
