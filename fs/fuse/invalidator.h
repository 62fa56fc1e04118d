/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_INVALIDATOR_H
#define FLEETFS_FS_FUSE_INVALIDATOR_H

/*
 * Makes the kernel forget the entries of the root except `.fleetfs/`, and everything below them;
 * `agents/` only if that is wanted. The kernel then forgets their nodes, except those in use, such
 * as an open file or a working directory.
 *
 * One notification is sent for each entry of the root. It invalidates this entry, and with it
 * everything below. A notification for each agent would be finer, but the kernel would take the
 * lock of `agents/` exclusively for it. A lookup there that waits for the API holds that lock, so
 * the notification would wait for the lookup, and every later reader of `agents/` for the
 * notification. Lookups in the root never wait for long.
 *
 * The kernel would detach every file system that is mounted on an invalidated entry or below it. So
 * an entry with such a mount is left out; what it holds in memory stays until the mount is gone.
 * Mounts in other mount namespaces cannot be seen here, and are detached.
 *
 * After the notification a directory has no name until its path is looked up again. Until then
 * getcwd(2) fails in a process whose working directory it is, and a further notification does not
 * find it. So the invalidator looks the path up at once.
 *
 * The kernel finishes a notification only after a pending lookup in the root was replied to, and
 * the FUSE thread replies to lookups. Therefore a thread of its own sends the notifications. It
 * exists only as long as there is work. Only the FUSE thread calls the functions below.
 */

#include <pthread.h>
#include <stdbool.h>

struct fuse_session;
struct own_mount;

/* A zeroed invalidator is valid and idle. */
struct invalidator {
	struct fuse_session *session;  /* borrowed */
	const struct own_mount *mount; /* borrowed */
	pthread_mutex_t lock;          /* protects the next three members */
	bool wanted;                   /* the thread must go through the entries once more */
	bool agents_too;               /* the next pass invalidates `agents/` as well */
	bool running;                  /* the thread has not finished */
	bool started;                  /* the thread has to be joined */
	pthread_t thread;
};

/* session and mount are borrowed until invalidator_done(), or until the end of the process if the
 * thread goes on. */
void invalidator_init(struct invalidator *invalidator, struct fuse_session *session,
                      const struct own_mount *mount);

/* Starts to make the kernel forget all entries of the root except `.fleetfs/`, `agents/` and those
 * with a mount, and everything below them; with agents_too also `agents/`. If the thread is
 * running, it does so after its present pass. If no thread can be made, the kernel keeps the names.
 */
void invalidator_begin(struct invalidator *invalidator, bool agents_too);

/* Whether the thread is running. The session must be served as long as it is. */
bool invalidator_is_running(struct invalidator *invalidator);

/* Waits for the thread to finish. The invalidator is then idle. If the thread does not finish
 * within a second, because a file system that hangs is mounted over the mount point, it goes on:
 * then invalidator_is_running() stays true, and the process must end by _exit(2). */
void invalidator_done(struct invalidator *invalidator);

#endif
