/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/fuse/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse/answers.h"
#include "fs/fuse/reader.h"
#include "fs/tree/tree.h"

/* How often interrupted readers are checked. The kernel reports only the first signal. A kill that
 * comes later has to end the reader within 100 ms. */
#define READERS_MS 50

#define FEW_LEFTOVERS 1000 /* not worth to make the kernel forget what it holds of the others */
#define MOST_LISTING  (1u << 20) /* bytes of a READDIRPLUS reply; no kernel asks for more */

/* The one point where an operation replies. */

static void take_back(struct ops *ops, const struct answer *answer)
{
	for (size_t i = 0; i < answer->entries; i++)
		node_forget(&ops->nodes, ops->listed[i], 1);
}

static int reply(struct call *call, struct answer *answer)
{
	const struct statvfs nothing = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

	switch (answer->kind) {
	case ANSWER_ENTRY:
		if (answer->node)
			answer->node->lookups++;
		return fuse_reply_entry(call->req, &answer->entry);
	case ANSWER_ATTR:
		return fuse_reply_attr(call->req, &answer->entry.attr, answer->entry.attr_timeout);
	case ANSWER_BYTES:
		return fuse_reply_buf(call->req, answer->bytes, answer->length);
	case ANSWER_TARGET:
		return fuse_reply_readlink(call->req, answer->bytes);
	case ANSWER_STATFS:
		return fuse_reply_statfs(call->req, &nothing);
	case ANSWER_NOTHING:
		break;
	}
	return fuse_reply_err(call->req, 0);
}

static void answer(struct call *call, int err, struct answer *answer)
{
	struct ops *ops = call->ops;

	ops->status->operations[call->operation]++;
	if (err < 0) {
		fuse_reply_err(call->req, -err);
		return;
	}
	/* An answer that could not be delivered (its reader was interrupted) counts no look-up. */
	if (reply(call, answer) < 0) {
		take_back(ops, answer);
		if (answer->kind == ANSWER_ENTRY && answer->node)
			node_forget(&ops->nodes, answer->node, 1);
	}
	ops->status->nodes = nodes_count(&ops->nodes);
}

/* Asking, parking, asking again */

/* Removes a call from the list. clang's analyzer does not follow the links, and reports that a call
 * is used after it was freed. */
static void unpark(struct call *call)
{
	call->previous->next = call->next;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	call->next->previous = call->previous;
}

static void call_free(struct call *call)
{
	job_remove(&call->job);
	free(call->name);
	free(call);
}

/* Replies to a parked call whose reader must return. The fetch of the page that it waited for goes
 * on. */
static void call_interrupt(struct call *call)
{
	unpark(call);
	call->ops->status->interrupts++;
	answer(call, -EINTR, &(struct answer){0});
	call_free(call);
}

static bool call_must_return(const struct call *call)
{
	return reader_must_return(call->ops->proc_fd, fuse_req_ctx(call->req)->pid);
}

/* Keeps a call parked whose reader got a signal that does not end it, such as SIGSTOP. */
static void call_watch_reader(struct call *call)
{
	struct ops *ops = call->ops;

	call->interrupted = true;
	if (ops->readers_due_ms == INT64_MAX)
		ops->readers_due_ms = fleet_now_ms(ops->fleet) + READERS_MS;
}

/* libfuse calls this when the kernel reports that a signal is pending for the reader. */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct call *call = data;

	(void)req;
	if (call_must_return(call))
		call_interrupt(call);
	else
		call_watch_reader(call);
}

/* Checks the readers of all interrupted calls, if that is due. */
static void ops_watch_readers(struct ops *ops)
{
	int64_t now_ms;

	if (ops->readers_due_ms == INT64_MAX)
		return;
	now_ms = fleet_now_ms(ops->fleet);
	if (now_ms < ops->readers_due_ms)
		return;
	ops->readers_due_ms = INT64_MAX;
	for (struct call *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		next = at->next;
		if (!at->interrupted)
			continue;
		if (call_must_return(at))
			call_interrupt(at);
		else
			ops->readers_due_ms = now_ms + READERS_MS;
	}
}

/* Runs a call once; true: it was answered. */
static bool run(struct call *call)
{
	struct answer with = {0};
	int err;

	call->query.wake_ms = INT64_MAX; /* unless it says so this time, too */
	call->unfinished = false;
	err = call->run(call, &with);
	if (err == -EAGAIN) {
		/* A listing may have got somewhere before it lacked a page. */
		take_back(call->ops, &with);
		if (fleet_now_ms(call->ops->fleet) < call->deadline_ms)
			return false;
		call->ops->status->timeouts++;
		err = -ETIMEDOUT;
	}
	answer(call, err, &with);
	return true;
}

static void park(struct call *call)
{
	struct ops *ops = call->ops;

	call->next = &ops->parked;
	call->previous = ops->parked.previous;
	call->previous->next = call;
	ops->parked.previous = call;
}

/* Runs a parked call once more, and frees it if it was answered. */
static void run_again(struct call *call)
{
	if (run(call)) {
		unpark(call);
		call_free(call);
	} else if (call->unfinished) {
		jobs_add(&call->ops->jobs, &call->job);
	}
}

static bool call_slice(struct job *job)
{
	run_again(JOB_OWNER(job, struct call, job));
	return false;
}

static void begin(struct call *on_stack)
{
	struct ops *ops = fuse_req_userdata(on_stack->req);
	struct call *call;

	on_stack->ops = ops;
	on_stack->query = fleet_query(ops->fleet);
	on_stack->deadline_ms = on_stack->query.began_ms + fleet_timeout_ms(ops->fleet);
	if (run(on_stack))
		return;
	/* An interrupt that came before cannot be told to a function that is set now. */
	if (fuse_req_interrupted(on_stack->req) && call_must_return(on_stack)) {
		ops->status->interrupts++;
		answer(on_stack, -EINTR, &(struct answer){0});
		return;
	}
	call = malloc(sizeof(*call));
	if (call) {
		*call = *on_stack;
		call->name = on_stack->name ? strdup(on_stack->name) : NULL;
		call->job.slice = call_slice;
	}
	if (!call || (on_stack->name && !call->name)) {
		free(call);
		answer(on_stack, -ENOMEM, &(struct answer){0});
		return;
	}
	park(call);
	if (call->unfinished)
		jobs_add(&ops->jobs, &call->job);
	/* The kernel reports one interrupt for each request. If it came already, libfuse would call
	 * the function from within fuse_req_interrupt_func(), which uses req after that; so the
	 * function must not reply. */
	if (fuse_req_interrupted(call->req))
		call_watch_reader(call);
	else
		fuse_req_interrupt_func(call->req, on_interrupt, call);
}

/* Runs the parked calls again: all, or those that are due. A call whose job is queued runs there,
 * unless its time is over. */
static void run_parked(struct ops *ops, bool all)
{
	struct call *end = ops->parked.previous;
	int64_t now_ms = fleet_now_ms(ops->fleet);

	for (struct call *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		bool is_end = at == end;

		/* As in unpark(). NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		next = at->next;
		if (now_ms >= at->deadline_ms || now_ms >= at->query.wake_ms ||
		    (all && !job_is_queued(&at->job)))
			run_again(at);
		if (is_end)
			break;
	}
}

void ops_renew_folders(struct ops *ops)
{
	ops->nodes.generation++;
}

/* An agent leaves: the kernel may hold its folder for ever. */
static void note_leftover(struct ops *ops, const struct record *record)
{
	struct fleet_health health;

	if (nodes_find_folder(&ops->nodes, &tree_rows[TREE_AGENT], record, 0))
		ops->leftovers++;
	fleet_health(ops->fleet, &health);
	if (ops->leftovers < FEW_LEFTOVERS || ops->leftovers < health.agents || !ops->drop)
		return;
	ops->leftovers = 0;
	ops->drop(ops->user, true);
}

int ops_changed(struct ops *ops, const struct record *record, const struct agent *before,
                const struct agent *after, int64_t at_ns)
{
	int err = events_changed(ops->events, record, before, after, at_ns);

	if (err == 0 && !after)
		note_leftover(ops, record);
	return err;
}

void ops_retry(struct ops *ops)
{
	run_parked(ops, true);
}

int64_t ops_due_ms(struct ops *ops)
{
	int64_t due_ms, now_ms;

	ops_watch_readers(ops);
	run_parked(ops, jobs_run_slice(&ops->jobs));
	if (views_tidy(ops->views) && ops->drop)
		ops->drop(ops->user, false);
	due_ms = views_due_ms(ops->views);
	if (due_ms > ops->readers_due_ms)
		due_ms = ops->readers_due_ms;
	for (const struct call *at = ops->parked.next; at != &ops->parked; at = at->next) {
		/* Of a list the analyzer does not know that unpark() takes out what is then freed.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (due_ms > at->deadline_ms)
			due_ms = at->deadline_ms;
		if (due_ms > at->query.wake_ms)
			due_ms = at->query.wake_ms;
	}
	if (jobs_are_queued(&ops->jobs))
		return 0;
	if (due_ms == INT64_MAX)
		return -1;
	now_ms = fleet_now_ms(ops->fleet);
	return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* What libfuse calls */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ops *ops = userdata;

	ops->init_due = true;
	/* READDIRPLUS always: left to choose, the kernel looks every name up by itself. Links are
	 * cached for ever, as files are: another target is another node. */
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_NO_OPEN_SUPPORT |
	                               FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_CACHE_SYMLINKS);
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	conn->time_gran = 1;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	begin(&(struct call){
		.req = req,
		.run = answer_lookup,
		.operation = STATUS_LOOKUP,
		.ino = parent,
		.name = (char *)(uintptr_t)name,
	});
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	begin(&(struct call){
		.req = req,
		.run = answer_getattr,
		.operation = STATUS_GETATTR,
		.ino = ino,
		.reading = fi != NULL, /* fstat(2) comes without one */
	});
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
	(void)fi;
	begin(&(struct call){
		.req = req,
		.run = answer_readdirplus,
		.operation = STATUS_READDIR,
		.ino = ino,
		.size = size < MOST_LISTING ? size : MOST_LISTING,
		.offset = offset,
	});
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
	(void)fi;
	begin(&(struct call){
		.req = req,
		.run = answer_read,
		.operation = STATUS_READ,
		.ino = ino,
		.size = size,
		.offset = offset,
	});
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	begin(&(struct call){
		.req = req, .run = answer_readlink, .operation = STATUS_READLINK, .ino = ino});
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	begin(&(struct call){
		.req = req, .run = answer_statfs, .operation = STATUS_STATFS, .ino = ino});
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	begin(&(struct call){
		.req = req,
		.run = answer_access,
		.operation = STATUS_ACCESS,
		.ino = ino,
		.size = (size_t)mask,
	});
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *ops = fuse_req_userdata(req);

	(void)ino;
	(void)fi;
	ops->status->operations[STATUS_OTHER]++;
	fuse_reply_err(req, ENOSYS);
}

static void forget(struct ops *ops, fuse_ino_t ino, uint64_t count)
{
	struct node *node = nodes_find(&ops->nodes, ino);

	ops->status->operations[STATUS_FORGET]++;
	if (node && ino != FUSE_ROOT_ID)
		node_forget(&ops->nodes, node, count);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(fuse_req_userdata(req), ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* What is not here libfuse answers with ENOSYS, which the kernel remembers: xattrs and flush among
 * them. */
static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.readdirplus = op_readdirplus,
	.read = op_read,
	.readlink = op_readlink,
	.statfs = op_statfs,
	.access = op_access,
	.open = op_open,
	.opendir = op_open,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
};

static ssize_t device_read(int fd, void *bytes, size_t length, void *userdata)
{
	(void)userdata;
	return read(fd, bytes, length);
}

/*
 * libfuse 3.14 takes FUSE_CAP_PARALLEL_DIROPS and never tells the kernel, which then holds a
 * folder's lock for as long as one look-up in it is parked: everybody else who wants a name there
 * waits behind it, deaf to SIGKILL. So the flag is put into the answer to INIT on its way.
 */
static ssize_t device_writev(int fd, struct iovec *parts, int count, void *userdata)
{
	struct ops *ops = userdata;

	if (ops->init_due) {
		struct fuse_init_out *init = parts[count - 1].iov_base;

		if (count == 2 && parts[1].iov_len >= offsetof(struct fuse_init_out, flags) + 4)
			init->flags |= FUSE_PARALLEL_DIROPS;
		ops->init_due = false;
	}
	return writev(fd, parts, count);
}

int ops_attach(struct fuse_session *session)
{
	const struct fuse_custom_io io = {.read = device_read, .writev = device_writev};
	int fd = fuse_session_fd(session);

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	return fuse_session_custom_io(session, &io, fd);
}

struct fuse_session *ops_session(struct ops *ops, struct fuse_args *args)
{
	return fuse_session_new(args, &operations, sizeof(operations), ops);
}

int ops_reserve(struct ops *ops, size_t bytes)
{
	char *buffer;

	if (bytes <= ops->buffer_bytes)
		return 0;
	buffer = realloc(ops->buffer, bytes);
	if (!buffer)
		return -ENOMEM;
	ops->buffer = buffer;
	ops->buffer_bytes = bytes;
	return 0;
}

struct ops *ops_new(struct fleet *fleet, struct status *status, uint64_t seed, ops_drop *drop,
                    void *user)
{
	struct ops *ops = calloc(1, sizeof(*ops));
	struct node *root;

	if (!ops)
		return NULL;
	ops->fleet = fleet;
	ops->status = status;
	ops->drop = drop;
	ops->user = user;
	ops->uid = getuid();
	ops->gid = getgid();
	ops->readers_due_ms = INT64_MAX;
	ops->proc_fd = reader_open_proc();
	ops->parked.next = &ops->parked;
	ops->parked.previous = &ops->parked;
	text_init(&ops->text, TREE_MAX_TEXT);
	nodes_init(&ops->nodes, seed);
	ops->own = calloc(tree_row_count, sizeof(*ops->own));
	jobs_init(&ops->jobs);
	ops->views = views_new(fleet, &ops->jobs, fleet_ttl_ms(fleet), seed);
	ops->events = events_new(fleet, fleet_timeout_ms(fleet), EVENTS_BYTES);
	root = ops->own && ops->views && ops->events
	               ? node_folder(&ops->nodes, &tree_rows[TREE_ROOT], NULL, 0)
	               : NULL;
	if (!root) {
		ops_free(ops);
		return NULL;
	}
	root->lookups = 1; /* the kernel never forgets it */
	return ops;
}

void ops_free(struct ops *ops)
{
	if (!ops)
		return;
	for (struct call *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		next = at->next;
		unpark(at);
		answer(at, -ENOTCONN, &(struct answer){0});
		call_free(at);
	}
	nodes_done(&ops->nodes);
	views_free(ops->views);
	events_free(ops->events);
	text_done(&ops->text);
	if (ops->proc_fd >= 0)
		close(ops->proc_fd);
	free(ops->own);
	free(ops->buffer);
	free(ops->listed);
	free(ops);
}
