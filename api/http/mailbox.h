/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_MAILBOX_H
#define FLEETFS_API_HTTP_MAILBOX_H

/*
 * What the fetching thread and other threads exchange: the queue of wanted pages, the queue of
 * finished ones, and two flags. (They also share the secrets, see fetcher_redact().) All functions
 * except init and done may be called by any thread.
 *
 * A job moves through both queues, so delivering a result needs no memory and cannot fail.
 */

#include <pthread.h>
#include <stdbool.h>

#include "api/http/fetch_job.h"

struct mailbox_queue {
	struct fetch_job *first;
	struct fetch_job **end; /* where the next job is linked */
};

struct mailbox {
	int event_fd; /* its count is 1 while `finished` is not empty, else 0 */

	pthread_mutex_t lock; /* guards the members below */
	struct mailbox_queue wanted;
	struct mailbox_queue finished;
	bool reread; /* before the next page, read the token or the saved list again */
	bool stopped;
};

/* 0 or -errno. On failure mailbox_done() must not follow. */
int mailbox_init(struct mailbox *mailbox);

/* Frees the jobs in both queues. */
void mailbox_done(struct mailbox *mailbox);

/* Adds a job to the wanted ones. Takes ownership. */
void mailbox_want(struct mailbox *mailbox, struct fetch_job *job);

/* Removes the next wanted job and returns it. Returns NULL if no job is wanted, or after
 * mailbox_stop(). With a job, sets *ret_reread to whether mailbox_reread() was called since the
 * previous job. */
struct fetch_job *mailbox_next(struct mailbox *mailbox, bool *ret_reread);

/* Adds a job to the finished ones. Takes ownership. */
void mailbox_deliver(struct mailbox *mailbox, struct fetch_job *job);

/* Removes the next finished job and returns its result, owned by the caller; or NULL. */
struct fetch *mailbox_take(struct mailbox *mailbox);

/* Makes the next mailbox_next() that returns a job set *ret_reread. */
void mailbox_reread(struct mailbox *mailbox);

/* Makes the fetching thread end: mailbox_next() returns no more jobs. Does not wake the thread. */
void mailbox_stop(struct mailbox *mailbox);

/* Returns whether mailbox_stop() was called. */
bool mailbox_is_stopped(struct mailbox *mailbox);

#endif
