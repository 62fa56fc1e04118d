/* SPDX-License-Identifier: MIT */
#include "fs/fuse/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/reader.h"
#include "fs/fuse/request.h"
#include "fs/tree/tree.h"

/* How often interrupted readers are checked. The kernel reports only the first signal of a request,
 * so a later SIGKILL is noticed by a check. 50 ms let it end the reader within 100 ms. */
#define READERS_MS 50

/* With fewer directories of departed agents the kernel is not made to forget all agents. */
#define MIN_STALE_DIRECTORIES 1000

/* After this many new questions the kernel is made to forget all questions. */
#define MAX_NEW_QUESTIONS 1000

struct ops {
	struct filesystem fs;
	ops_invalidate *invalidate; /* NULL: none */
	void *user;                 /* of invalidate */
	struct request parked;      /* head of a ring of parked requests, oldest first */
	int proc_fd;                /* from reader_open_proc() */
	int64_t readers_due_ms;     /* when interrupted readers are checked next; INT64_MAX: none */
	size_t stale_directories;   /* of departed agents, which the kernel may still hold */
};

/* Parked requests */

static struct ops *ops_of(const struct request *request)
{
	return fuse_req_userdata(request->req);
}

static void ops_park(struct ops *ops, struct request *request)
{
	request->next = &ops->parked;
	request->previous = ops->parked.previous;
	request->previous->next = request;
	ops->parked.previous = request;
}

/* Removes a request from the ring. clang's analyzer does not follow the links, and reports that a
 * request is used after it was freed. */
static void ops_unpark(struct request *request)
{
	request->previous->next = request->next;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	request->next->previous = request->previous;
}

static void ops_free_request(struct request *request)
{
	job_remove(&request->job);
	free(request->name);
	free(request);
}

/* Replies to a parked request whose reader must return. The fetch of the page that it waited for
 * goes on. */
static void ops_interrupt(struct request *request)
{
	ops_unpark(request);
	request->fs->status->interrupts++;
	request_reply_error(request, -EINTR);
	ops_free_request(request);
}

static bool ops_reader_must_return(const struct request *request)
{
	return reader_must_return(ops_of(request)->proc_fd, fuse_req_ctx(request->req)->pid);
}

/* Keeps a request parked whose reader got a harmless signal, such as SIGSTOP or SIGCHLD. */
static void ops_watch_reader(struct request *request)
{
	struct ops *ops = ops_of(request);

	request->interrupted = true;
	if (ops->readers_due_ms == INT64_MAX)
		ops->readers_due_ms = fleet_now_ms(ops->fs.fleet) + READERS_MS;
}

/* libfuse calls this when the kernel reports that a signal is pending for the reader. */
static void ops_on_interrupt(fuse_req_t req, void *data)
{
	struct request *request = data;

	(void)req;
	if (ops_reader_must_return(request))
		ops_interrupt(request);
	else
		ops_watch_reader(request);
}

/* Checks the readers of all interrupted requests, if that is due. */
static void ops_check_readers(struct ops *ops)
{
	int64_t now_ms;

	if (ops->readers_due_ms == INT64_MAX)
		return;
	now_ms = fleet_now_ms(ops->fs.fleet);
	if (now_ms < ops->readers_due_ms)
		return;
	ops->readers_due_ms = INT64_MAX;
	for (struct request *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		next = at->next;
		if (!at->interrupted)
			continue;
		if (ops_reader_must_return(at))
			ops_interrupt(at);
		else
			ops->readers_due_ms = now_ms + READERS_MS;
	}
}

/* Runs a request once. Returns whether it was replied to. */
static bool ops_run(struct request *request)
{
	struct reply reply = {0};
	int err;

	request->query.wake_ms = INT64_MAX; /* the operation sets it when it needs to be woken */
	request->unfinished = false;
	err = request->run(request, &reply);
	if (err == -EAGAIN) {
		if (fleet_now_ms(request->fs->fleet) < request->deadline_ms)
			return false;
		request->fs->status->timeouts++;
		err = -ETIMEDOUT;
	}
	request_reply(request, err, &reply);
	return true;
}

/* Runs a parked request again, and frees it if it was replied to. */
static void ops_run_again(struct request *request)
{
	if (ops_run(request)) {
		ops_unpark(request);
		ops_free_request(request);
	} else if (request->unfinished) {
		jobs_add(&request->fs->jobs, &request->job);
	}
}

static bool ops_request_slice(struct job *job)
{
	ops_run_again(JOB_OWNER(job, struct request, job));
	return false;
}

/* Copies a request from the stack to the heap. Returns NULL if out of memory. */
static struct request *ops_copy_request(const struct request *on_stack)
{
	struct request *request = malloc(sizeof(*request));

	if (!request)
		return NULL;
	*request = *on_stack;
	request->job.slice = ops_request_slice;
	request->name = on_stack->name ? strdup(on_stack->name) : NULL;
	if (!on_stack->name || request->name)
		return request;
	free(request);
	return NULL;
}

void ops_start(struct request *request)
{
	struct ops *ops = ops_of(request);
	struct request *copy;

	request->fs = &ops->fs;
	request->query = fleet_query(ops->fs.fleet);
	request->deadline_ms = request->query.began_ms + fleet_timeout_ms(ops->fs.fleet);
	if (ops_run(request))
		return;
	/* The reader may have been interrupted already, while the operation ran. */
	if (fuse_req_interrupted(request->req) && ops_reader_must_return(request)) {
		ops->fs.status->interrupts++;
		request_reply_error(request, -EINTR);
		return;
	}
	copy = ops_copy_request(request);
	if (!copy) {
		request_reply_error(request, -ENOMEM);
		return;
	}
	ops_park(ops, copy);
	if (copy->unfinished)
		jobs_add(&ops->fs.jobs, &copy->job);
	/* The kernel reports one interrupt for each request. If it has arrived already, libfuse
	 * would call ops_on_interrupt() from within fuse_req_interrupt_func(), which uses req
	 * afterwards. But ops_on_interrupt() may reply, and that frees req. */
	if (fuse_req_interrupted(copy->req))
		ops_watch_reader(copy);
	else
		fuse_req_interrupt_func(copy->req, ops_on_interrupt, copy);
}

/* Runs parked requests again: all, or those that are due. A request whose job is queued runs as
 * that job, unless its deadline has passed. The pass ends at the request that was the last at its
 * beginning. */
static void ops_run_parked(struct ops *ops, bool all)
{
	struct request *end = ops->parked.previous;
	int64_t now_ms = fleet_now_ms(ops->fs.fleet);

	for (struct request *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		bool is_end = at == end;

		/* As in ops_unpark(). NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		next = at->next;
		if (now_ms >= at->deadline_ms || now_ms >= at->query.wake_ms ||
		    (all && !job_is_queued(&at->job)))
			ops_run_again(at);
		if (is_end)
			break;
	}
}

void ops_renew_directories(struct ops *ops)
{
	ops->fs.nodes.generation++;
}

/* Notes that the kernel may keep the directory of a departed agent, and makes the kernel forget the
 * names of all agents if there are too many such directories (ops_invalidate). */
static void ops_note_departure(struct ops *ops, const struct record *record)
{
	struct fleet_health health;

	if (nodes_find_directory(&ops->fs.nodes, &tree_rows[TREE_AGENT], record, 0))
		ops->stale_directories++;
	fleet_health(ops->fs.fleet, &health);
	if (ops->stale_directories < MIN_STALE_DIRECTORIES ||
	    ops->stale_directories < health.agents || !ops->invalidate)
		return;
	ops->stale_directories = 0;
	ops->invalidate(ops->user, true);
}

int ops_changed(struct ops *ops, const struct record *record, const struct agent *before,
                const struct agent *after, int64_t at_ns)
{
	int err = events_changed(ops->fs.events, record, before, after, at_ns);

	if (err == 0 && !after)
		ops_note_departure(ops, record);
	return err;
}

void ops_retry(struct ops *ops)
{
	fleet_refresh(ops->fs.fleet);
	ops_run_parked(ops, true);
}

int64_t ops_run_due(struct ops *ops)
{
	int64_t due_ms, now_ms;

	ops_check_readers(ops);
	ops_run_parked(ops, jobs_run_slice(&ops->fs.jobs));
	if (fleet_now_ms(ops->fs.fleet) >= fleet_refresh_due_ms(ops->fs.fleet))
		fleet_refresh(ops->fs.fleet);
	if ((views_tidy(ops->fs.views) || ops->fs.nodes.questions_made >= MAX_NEW_QUESTIONS) &&
	    ops->invalidate) {
		ops->fs.nodes.questions_made = 0;
		ops->invalidate(ops->user, false);
	}
	due_ms = views_due_ms(ops->fs.views);
	if (due_ms > fleet_refresh_due_ms(ops->fs.fleet))
		due_ms = fleet_refresh_due_ms(ops->fs.fleet);
	if (due_ms > ops->readers_due_ms)
		due_ms = ops->readers_due_ms;
	for (const struct request *at = ops->parked.next; at != &ops->parked; at = at->next) {
		/* As in ops_unpark(). NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (due_ms > at->deadline_ms)
			due_ms = at->deadline_ms;
		if (due_ms > at->query.wake_ms)
			due_ms = at->query.wake_ms;
	}
	if (jobs_are_queued(&ops->fs.jobs))
		return 0;
	if (due_ms == INT64_MAX)
		return -1;
	now_ms = fleet_now_ms(ops->fs.fleet);
	return due_ms > now_ms ? due_ms - now_ms : 0;
}

struct ops *ops_new(struct fleet *fleet, struct status *status, uint64_t seed,
                    ops_invalidate *invalidate, void *user)
{
	struct ops *ops = malloc(sizeof(*ops));

	if (!ops)
		return NULL;
	*ops = (struct ops){
		.invalidate = invalidate,
		.user = user,
		.parked = {.next = &ops->parked, .previous = &ops->parked},
		.proc_fd = reader_open_proc(),
		.readers_due_ms = INT64_MAX,
	};
	if (filesystem_init(&ops->fs, fleet, status, seed) < 0) {
		ops_free(ops);
		return NULL;
	}
	return ops;
}

void ops_free(struct ops *ops)
{
	if (!ops)
		return;
	for (struct request *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		next = at->next;
		ops_unpark(at);
		request_reply_error(at, -ENOTCONN);
		ops_free_request(at);
	}
	filesystem_done(&ops->fs);
	if (ops->proc_fd >= 0)
		close(ops->proc_fd);
	free(ops);
}

struct filesystem *ops_filesystem(struct ops *ops)
{
	return &ops->fs;
}
