/* SPDX-License-Identifier: MIT */
#include "api/http/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void mailbox_queue_push(struct mailbox_queue *queue, struct fetch_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct fetch_job *mailbox_queue_pop(struct mailbox_queue *queue)
{
	struct fetch_job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->end = &queue->first;
	job->next = NULL;
	return job;
}

static void mailbox_queue_clear(struct mailbox_queue *queue)
{
	struct fetch_job *job;

	while ((job = mailbox_queue_pop(queue)))
		fetch_job_free(job);
}

int mailbox_init(struct mailbox *mailbox)
{
	*mailbox = (struct mailbox){.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (mailbox->event_fd < 0)
		return -errno;
	mailbox->wanted.end = &mailbox->wanted.first;
	mailbox->finished.end = &mailbox->finished.first;
	pthread_mutex_init(&mailbox->lock, NULL);
	return 0;
}

void mailbox_done(struct mailbox *mailbox)
{
	mailbox_queue_clear(&mailbox->wanted);
	mailbox_queue_clear(&mailbox->finished);
	close(mailbox->event_fd);
	pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_want(struct mailbox *mailbox, struct fetch_job *job)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox_queue_push(&mailbox->wanted, job);
	pthread_mutex_unlock(&mailbox->lock);
}

struct fetch_job *mailbox_next(struct mailbox *mailbox, bool *ret_reread)
{
	struct fetch_job *job;

	pthread_mutex_lock(&mailbox->lock);
	job = mailbox->stopped ? NULL : mailbox_queue_pop(&mailbox->wanted);
	if (job) {
		*ret_reread = mailbox->reread;
		mailbox->reread = false;
	}
	pthread_mutex_unlock(&mailbox->lock);
	return job;
}

void mailbox_deliver(struct mailbox *mailbox, struct fetch_job *job)
{
	pthread_mutex_lock(&mailbox->lock);
	if (!mailbox->finished.first)
		eventfd_write(mailbox->event_fd, 1);
	mailbox_queue_push(&mailbox->finished, job);
	pthread_mutex_unlock(&mailbox->lock);
}

struct fetch *mailbox_take(struct mailbox *mailbox)
{
	struct fetch_job *job;
	eventfd_t count;

	pthread_mutex_lock(&mailbox->lock);
	job = mailbox_queue_pop(&mailbox->finished);
	if (job && !mailbox->finished.first)
		eventfd_read(mailbox->event_fd, &count);
	pthread_mutex_unlock(&mailbox->lock);
	return job ? fetch_job_finish(job) : NULL;
}

void mailbox_reread(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->reread = true;
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_stop(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->stopped = true;
	pthread_mutex_unlock(&mailbox->lock);
}

bool mailbox_is_stopped(struct mailbox *mailbox)
{
	bool stopped;

	pthread_mutex_lock(&mailbox->lock);
	stopped = mailbox->stopped;
	pthread_mutex_unlock(&mailbox->lock);
	return stopped;
}
