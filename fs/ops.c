/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/ops.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "fs/node.h"
#include "fs/tree.h"

#define FOREVER_S      1e9 /* for the kernel: as good as for ever, and no overflow in its jiffies */
#define DIR_OFFSETS    (UINT64_C(1) << 32) /* beyond this an offset is a cursor of fleet_walk() */
#define SMALLEST_ENTRY 152 /* bytes of a READDIRPLUS entry with a one-byte name, at the least */
#define MOST_LISTING   (1u << 20) /* bytes of a READDIRPLUS reply; no kernel asks for more */

struct answer;

/* A request of the kernel, while it is being answered. On the stack, until it has to be parked. */
struct call {
	struct call *next;
	struct call *previous;
	struct ops *ops;
	fuse_req_t req;
	int (*run)(struct call *call, struct answer *answer);
	enum self_operation operation;
	fuse_ino_t ino;
	size_t size;
	off_t offset;
	struct look look;
	int64_t deadline_ms;
	char *name; /* LOOKUP's; owned once parked */
};

/* What a call is answered with, if not with an error. */
struct answer {
	enum { ANSWER_ENTRY, ANSWER_ATTR, ANSWER_BYTES, ANSWER_STATFS, ANSWER_NOTHING } kind;
	struct fuse_entry_param entry; /* ANSWER_ATTR: its attr and attr_timeout */
	struct node *node;             /* ANSWER_ENTRY: whose it is; NULL: there is no such name */
	const char *bytes;
	size_t length;
	size_t entries; /* ANSWER_BYTES: so many of ops->listed are in it */
};

/* A file of the mount's own, as it was last rendered. */
struct own {
	uint64_t hash;
	int64_t since_ns;
};

struct ops {
	struct fleet *fleet;
	struct self *self;
	int64_t (*now_ms)(void *user);
	void *user;
	struct nodes nodes;
	uid_t uid;
	gid_t gid;
	struct call parked; /* the ends of a ring, oldest first */
	struct text text;   /* of the file being rendered */
	struct own *own;    /* by row */
	char *listing;      /* of the folder being listed */
	struct node **listed;
	size_t listing_bytes;
};

/* Attributes */

static void set_time(struct timespec *time, int64_t ns)
{
	time->tv_sec = ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
}

static int64_t mtime_ns_of(struct ops *ops, const struct node *node)
{
	if (!node->row)
		return node->mtime_ns;
	if (node->record)
		return tree_mtime_ns(node->row, node->record, node->index);
	if (tree_folder_of(node->row) == TREE_AGENTS)
		return fleet_list_mtime_ns(ops->fleet);
	return ops->self->mounted_ns;
}

static void fill_attr(struct ops *ops, const struct node *node, struct stat *ret_attr)
{
	*ret_attr = (struct stat){
		.st_ino = node_id(node),
		.st_mode = node->row ? S_IFDIR | 0555 : S_IFREG | 0444,
		.st_nlink = 1,
		.st_uid = ops->uid,
		.st_gid = ops->gid,
		.st_size = node->bytes,
		.st_blksize = 4096,
		.st_blocks = (node->bytes + 511) / 512,
	};
	set_time(&ret_attr->st_mtim, mtime_ns_of(ops, node));
	ret_attr->st_atim = ret_attr->st_mtim;
	ret_attr->st_ctim = ret_attr->st_mtim;
}

/* How long the kernel may keep a folder's attributes; a value's it may keep for ever. */
static double attr_timeout_s(struct ops *ops, const struct node *node)
{
	if (!node->row)
		return FOREVER_S;
	if (node->record)
		return (double)fleet_record_ms(ops->fleet, node->record) / 1000;
	if (tree_folder_of(node->row) == TREE_AGENTS)
		return (double)fleet_list_ms(ops->fleet) / 1000;
	return FOREVER_S;
}

/* How long a name may be taken to mean this node: an agent's as long as its data is fresh, a file
 * of the mount's own not at all, since it is written anew for every look. */
static double entry_timeout_s(struct ops *ops, const struct node *node, const struct record *record)
{
	if (record)
		return (double)fleet_record_ms(ops->fleet, record) / 1000;
	return node->row ? FOREVER_S : 0;
}

/* record: of the agent whose file or folder this name means; NULL: the mount's own. */
static void fill_entry(struct ops *ops, const struct node *node, const struct record *record,
                       struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = node_id(node),
		.attr_timeout = attr_timeout_s(ops, node),
		.entry_timeout = entry_timeout_s(ops, node, record),
	};
	fill_attr(ops, node, &ret_entry->attr);
}

/* From rows to nodes */

/* Since when a file of the mount's own has had this text. */
static int64_t own_mtime_ns(struct ops *ops, const struct row *row)
{
	struct own *own = &ops->own[row - tree_rows];
	uint64_t hash = XXH3_64bits(ops->text.length ? ops->text.bytes : "", ops->text.length);

	if (own->since_ns == 0 || own->hash != hash)
		*own = (struct own){hash, fleet_wall_ns(ops->fleet)};
	return own->since_ns;
}

static int value_of(struct ops *ops, const struct row *row, struct record *record, uint16_t index,
                    struct node **ret_node)
{
	struct node *node;
	int err;

	if (row->field == AGENT_JSON) {
		node = node_json(&ops->nodes, record->agent, tree_mtime_ns(row, record, index));
		*ret_node = node;
		return node ? 0 : -ENOMEM;
	}
	text_clear(&ops->text);
	if (record)
		tree_field_text(row, record->agent, index, &ops->text);
	else
		row->text(ops->self, &ops->text);
	err = text_error(&ops->text);
	if (err < 0)
		return err;
	node = node_value(&ops->nodes, ops->text.bytes, ops->text.length,
	                  record ? tree_mtime_ns(row, record, index) : own_mtime_ns(ops, row));
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

static int node_of(struct ops *ops, const struct row *row, struct record *record, uint16_t index,
                   struct node **ret_node)
{
	struct node *node;

	if (tree_folder_of(row) == TREE_FOLDERS)
		return value_of(ops, row, record, index, ret_node);
	node = node_folder(&ops->nodes, row, record, index);
	*ret_node = node;
	return node ? 0 : -ENOMEM;
}

/* The index that a child of this folder goes by: its own number, or that of the GPU it is in. */
static uint16_t child_index(const struct node *folder, const struct row *row, size_t occurrence)
{
	return row->each == TREE_ONCE ? folder->index : (uint16_t)occurrence;
}

/* The folder of an id, if what is known of its agent is fresh; a listing that goes on (fresh:
 * false) may do with what it began with. */
static int folder_of(struct call *call, bool fresh, const struct node **ret_folder)
{
	const struct node *folder = nodes_find(&call->ops->nodes, call->ino);
	int err = 0;

	if (!folder || !folder->row)
		return -ESTALE;
	if (folder->record && fresh)
		err = fleet_renew(call->ops->fleet, folder->record, &call->look);
	/* The agent may have fewer GPUs than when the kernel learned of this one. */
	if (err == 0 && tree_folder_of(folder->row) == TREE_GPU &&
	    folder->index >= folder->record->agent->gpu_count)
		err = -ENOENT;
	if (err == 0)
		*ret_folder = folder;
	return err;
}

/* The operations. Each returns 0 and its answer, -EAGAIN, or -errno. */

static int find_child(struct call *call, const struct node *folder, struct node **ret_node)
{
	char name[NAME_BYTES];

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct row *row = &tree_rows[i];
		const struct agent *agent = folder->record ? folder->record->agent : NULL;
		size_t count;

		if (row->parent != tree_folder_of(folder->row))
			continue;
		if (row->each == TREE_EACH_AGENT) {
			struct record *record;
			int err = fleet_find(call->ops->fleet, call->name, &call->look, &record);

			if (err < 0)
				return err;
			return node_of(call->ops, row, record, 0, ret_node);
		}
		if (row->each == TREE_ONCE && strcmp(row->name, call->name) != 0)
			continue;
		count = tree_count(row, agent);
		for (size_t at = 0; at < count; at++) {
			tree_name(row, agent, at, name);
			if (strcmp(name, call->name) == 0)
				return node_of(call->ops, row, folder->record,
				               child_index(folder, row, at), ret_node);
		}
	}
	return -ENOENT;
}

static int run_lookup(struct call *call, struct answer *answer)
{
	struct ops *ops = call->ops;
	const struct node *folder = NULL;
	int err = folder_of(call, true, &folder);

	if (err < 0)
		return err;
	answer->kind = ANSWER_ENTRY;
	err = find_child(call, folder, &answer->node);
	if (err == 0) {
		fill_entry(ops, answer->node,
		           answer->node->record ? answer->node->record : folder->record,
		           &answer->entry);
	} else if (err == -ENOENT) {
		/* That there is no such name is an answer too, and keeps as long. */
		answer->entry.entry_timeout = attr_timeout_s(ops, folder);
		answer->node = NULL;
		err = 0;
	}
	return err;
}

static int run_getattr(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);
	int err = 0;

	if (!node)
		return -ESTALE;
	if (node->row)
		err = folder_of(call, true, &node);
	if (err < 0)
		return err;
	answer->kind = ANSWER_ATTR;
	answer->entry.attr_timeout = attr_timeout_s(call->ops, node);
	fill_attr(call->ops, node, &answer->entry.attr);
	return 0;
}

static int run_read(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);

	if (!node)
		return -ESTALE;
	if (node->row)
		return -EISDIR;
	answer->kind = ANSWER_BYTES;
	if (call->offset < 0 || (uint64_t)call->offset >= node->bytes)
		return 0;
	answer->bytes = node_text(node) + call->offset;
	answer->length = node->bytes - (size_t)call->offset;
	if (answer->length > call->size)
		answer->length = call->size;
	return 0;
}

static int run_statfs(struct call *call, struct answer *answer)
{
	(void)call;
	answer->kind = ANSWER_STATFS;
	return 0;
}

static int run_access(struct call *call, struct answer *answer)
{
	const struct node *node = nodes_find(&call->ops->nodes, call->ino);

	if (!node)
		return -ESTALE;
	answer->kind = ANSWER_NOTHING;
	if (call->size & W_OK)
		return -EROFS;
	return call->size & X_OK && !node->row ? -EACCES : 0;
}

/* Listing */

static int reserve_listing(struct ops *ops, size_t bytes)
{
	char *listing;
	struct node **listed;

	if (bytes <= ops->listing_bytes)
		return 0;
	listing = realloc(ops->listing, bytes);
	if (!listing)
		return -ENOMEM;
	ops->listing = listing;
	listed = realloc(ops->listed, (bytes / SMALLEST_ENTRY + 1) * sizeof(struct node *));
	if (!listed)
		return -ENOMEM;
	ops->listed = listed;
	ops->listing_bytes = bytes;
	return 0;
}

/* Adds an entry whose successor has this offset. -ENOBUFS: it does not fit. */
static int add_entry(struct call *call, struct answer *answer, const char *name, uint64_t next,
                     const struct row *row, struct record *record, uint16_t index)
{
	struct ops *ops = call->ops;
	struct fuse_entry_param entry;
	size_t left = call->size - answer->length;
	struct node *node;
	int err;

	/* First whether it fits, so that no node is made for nothing. */
	if (fuse_add_direntry_plus(call->req, NULL, 0, name, NULL, 0) > left)
		return -ENOBUFS;
	err = node_of(ops, row, record, index, &node);
	if (err < 0)
		return err;
	fill_entry(ops, node, record, &entry);
	answer->length += fuse_add_direntry_plus(call->req, ops->listing + answer->length, left,
	                                         name, &entry, (off_t)next);
	node->lookups++;
	ops->listed[answer->entries++] = node;
	return 0;
}

/* `.` and `..` count no look-up and need no node; the kernel knows them already. */
static int add_dot(struct call *call, struct answer *answer, const char *name, uint64_t next)
{
	/* Number 0 would make readdir(3) skip it. Not to be looked up: entry.ino stays 0. */
	const struct fuse_entry_param entry = {.attr = {.st_ino = call->ino, .st_mode = S_IFDIR}};
	size_t left = call->size - answer->length;
	size_t bytes = fuse_add_direntry_plus(call->req, call->ops->listing + answer->length, left,
	                                      name, &entry, (off_t)next);

	if (bytes > left)
		return -ENOBUFS;
	answer->length += bytes;
	return 0;
}

static int list_agents(struct call *call, struct answer *answer, const struct row *row)
{
	uint64_t cursor = (uint64_t)call->offset >= DIR_OFFSETS ? (uint64_t)call->offset : 0;

	for (;;) {
		struct record *record;
		/* Who has got something does not wait for more, and has not asked for it yet. */
		int err = fleet_walk(call->ops->fleet, &cursor,
		                     answer->entries > 0 ? NULL : &call->look, &record);

		if (err < 0 || !record)
			return err;
		err = add_entry(call, answer, record->name, cursor, row, record, 0);
		if (err < 0)
			return err;
	}
}

/* The rows of a folder one after the other; an offset is 2 and the position among them. */
static int list_rows(struct call *call, struct answer *answer, const struct node *folder)
{
	const struct agent *agent = folder->record ? folder->record->agent : NULL;
	uint64_t position = 2;
	char name[NAME_BYTES];

	for (size_t i = 0; i < tree_row_count; i++) {
		const struct row *row = &tree_rows[i];
		size_t count;

		if (row->parent != tree_folder_of(folder->row))
			continue;
		if (row->each == TREE_EACH_AGENT)
			return list_agents(call, answer, row);
		count = tree_count(row, agent);
		for (size_t at = 0; at < count; at++, position++) {
			int err;

			if (position < (uint64_t)call->offset)
				continue;
			tree_name(row, agent, at, name);
			err = add_entry(call, answer, name, position + 1, row, folder->record,
			                child_index(folder, row, at));
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int run_readdirplus(struct call *call, struct answer *answer)
{
	struct ops *ops = call->ops;
	const struct node *folder = NULL;
	int err = folder_of(call, call->offset == 0, &folder);

	if (err == 0)
		err = call->size < SMALLEST_ENTRY ? -EINVAL : reserve_listing(ops, call->size);
	if (err < 0)
		return err;
	answer->kind = ANSWER_BYTES;
	answer->bytes = ops->listing;
	if (call->offset < 1)
		err = add_dot(call, answer, ".", 1);
	if (err == 0 && call->offset < 2)
		err = add_dot(call, answer, "..", 2);
	if (err == 0)
		err = list_rows(call, answer, folder);
	/* What is there already is an answer; who wants the rest asks for it. But the dots alone
	 * are none: a reader of the first entries would have to wait for the second answer anyway.
	 */
	if ((err == -ENOBUFS && answer->length > 0) || (err < 0 && answer->entries > 0))
		err = 0;
	/* Not even one fits; an empty answer would be the end of the listing. */
	return err == -ENOBUFS ? -EINVAL : err;
}

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

	ops->self->operations[call->operation]++;
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
	ops->self->nodes = nodes_count(&ops->nodes);
}

/* Asking, parking, asking again */

static void unpark(struct call *call)
{
	call->previous->next = call->next;
	call->next->previous = call->previous;
}

static void call_free(struct call *call)
{
	free(call->name);
	free(call);
}

/* The reader was interrupted (Ctrl-C, a kill): it is let go at once; what it waited for goes on. */
static void interrupted(fuse_req_t req, void *data)
{
	struct call *call = data;

	(void)req;
	unpark(call);
	call->ops->self->interrupts++;
	answer(call, -EINTR, &(struct answer){0});
	call_free(call);
}

/* Runs a call once; true: it was answered. */
static bool run(struct call *call)
{
	struct answer with = {0};
	int err;

	err = call->run(call, &with);
	if (err == -EAGAIN) {
		/* A listing may have got somewhere before it lacked a page. */
		take_back(call->ops, &with);
		if (call->ops->now_ms(call->ops->user) < call->deadline_ms)
			return false;
		call->ops->self->timeouts++;
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

static void begin(struct call *on_stack)
{
	struct ops *ops = fuse_req_userdata(on_stack->req);
	struct call *call;

	on_stack->ops = ops;
	on_stack->look = fleet_look(ops->fleet);
	on_stack->deadline_ms = on_stack->look.began_ms + ops->self->options->timeout_ms;
	if (run(on_stack))
		return;
	/* An interrupt that came before cannot be told to a function that is set now. */
	if (fuse_req_interrupted(on_stack->req)) {
		ops->self->interrupts++;
		answer(on_stack, -EINTR, &(struct answer){0});
		return;
	}
	call = malloc(sizeof(*call));
	if (call) {
		*call = *on_stack;
		call->name = on_stack->name ? strdup(on_stack->name) : NULL;
	}
	if (!call || (on_stack->name && !call->name)) {
		free(call);
		answer(on_stack, -ENOMEM, &(struct answer){0});
		return;
	}
	park(call);
	fuse_req_interrupt_func(call->req, interrupted, call);
}

static void run_parked(struct ops *ops, bool all)
{
	struct call *end = ops->parked.previous;
	int64_t now_ms = ops->now_ms(ops->user);

	for (struct call *at = ops->parked.next, *next; at != &ops->parked; at = next) {
		bool is_end = at == end;

		next = at->next;
		if ((all || now_ms >= at->deadline_ms || now_ms >= at->look.wake_ms) && run(at)) {
			unpark(at);
			call_free(at);
		}
		if (is_end)
			break;
	}
}

void ops_retry(struct ops *ops)
{
	run_parked(ops, true);
}

int64_t ops_due_ms(struct ops *ops)
{
	int64_t due_ms = INT64_MAX, now_ms;

	run_parked(ops, false);
	for (const struct call *at = ops->parked.next; at != &ops->parked; at = at->next) {
		if (due_ms > at->deadline_ms)
			due_ms = at->deadline_ms;
		if (due_ms > at->look.wake_ms)
			due_ms = at->look.wake_ms;
	}
	if (due_ms == INT64_MAX)
		return -1;
	now_ms = ops->now_ms(ops->user);
	return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* What libfuse calls */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/* READDIRPLUS always: left to choose, the kernel looks every name up by itself. Links are
	 * not cached: the kernel would never ask for their targets again. */
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_NO_OPEN_SUPPORT |
	                               FUSE_CAP_NO_OPENDIR_SUPPORT);
	conn->want &= ~(unsigned int)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS);
	conn->time_gran = 1;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	begin(&(struct call){
		.req = req,
		.run = run_lookup,
		.operation = SELF_LOOKUP,
		.ino = parent,
		.name = (char *)(uintptr_t)name,
	});
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	begin(&(struct call){
		.req = req, .run = run_getattr, .operation = SELF_GETATTR, .ino = ino});
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
	(void)fi;
	begin(&(struct call){
		.req = req,
		.run = run_readdirplus,
		.operation = SELF_READDIR,
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
		.run = run_read,
		.operation = SELF_READ,
		.ino = ino,
		.size = size,
		.offset = offset,
	});
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	begin(&(struct call){.req = req, .run = run_statfs, .operation = SELF_STATFS, .ino = ino});
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	begin(&(struct call){
		.req = req,
		.run = run_access,
		.operation = SELF_ACCESS,
		.ino = ino,
		.size = (size_t)mask,
	});
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *ops = fuse_req_userdata(req);

	(void)ino;
	(void)fi;
	ops->self->operations[SELF_OTHER]++;
	fuse_reply_err(req, ENOSYS);
}

static void forget(struct ops *ops, fuse_ino_t ino, uint64_t count)
{
	struct node *node = nodes_find(&ops->nodes, ino);

	ops->self->operations[SELF_FORGET]++;
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
	.statfs = op_statfs,
	.access = op_access,
	.open = op_open,
	.opendir = op_open,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
};

struct fuse_session *ops_session(struct ops *ops, struct fuse_args *args)
{
	return fuse_session_new(args, &operations, sizeof(operations), ops);
}

struct ops *ops_new(struct fleet *fleet, struct self *self, uint64_t seed,
                    int64_t (*now_ms)(void *user), void *user)
{
	struct ops *ops = calloc(1, sizeof(*ops));
	struct node *root;

	if (!ops)
		return NULL;
	ops->fleet = fleet;
	ops->self = self;
	ops->now_ms = now_ms;
	ops->user = user;
	ops->uid = getuid();
	ops->gid = getgid();
	ops->parked.next = &ops->parked;
	ops->parked.previous = &ops->parked;
	text_init(&ops->text, TREE_MAX_TEXT);
	nodes_init(&ops->nodes, seed);
	ops->own = calloc(tree_row_count, sizeof(*ops->own));
	root = ops->own ? node_folder(&ops->nodes, &tree_rows[TREE_ROOT], NULL, 0) : NULL;
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
	text_done(&ops->text);
	free(ops->own);
	free(ops->listing);
	free(ops->listed);
	free(ops);
}
