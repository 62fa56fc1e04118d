/* SPDX-License-Identifier: MIT */
#include "fs/fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse/getattr.h"
#include "fs/fuse/lookup.h"
#include "fs/fuse/ops.h"
#include "fs/fuse/read.h"
#include "fs/fuse/readdir.h"
#include "fs/fuse/request.h"

/* Ceiling of a READDIRPLUS reply. The kernel requests no more. */
#define MAX_LISTING_BYTES (1u << 20)

static void session_init(void *userdata, struct fuse_conn_info *conn)
{
	ops_filesystem(userdata)->init_reply_is_next = true;
	/* Without FUSE_CAP_PARALLEL_DIROPS the kernel holds a directory's lock while a LOOKUP in it
	 * is parked: all other readers of the directory wait for the lock, and not even SIGKILL
	 * ends them. */
	conn->want |= conn->capable & FUSE_CAP_PARALLEL_DIROPS;
	/* READDIRPLUS for all listings: with READDIRPLUS_AUTO the kernel looks up every name by
	 * itself. Links are cached for ever, as files are: another target is another node. */
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_NO_OPEN_SUPPORT |
	                               FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_CACHE_SYMLINKS);
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	conn->time_gran = 1;
}

static void session_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	ops_start(&(struct request){
		.req = req,
		.run = operation_lookup,
		.operation = STATUS_LOOKUP,
		.ino = parent,
		.name = (char *)(uintptr_t)name,
	});
}

static void session_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ops_start(&(struct request){
		.req = req,
		.run = operation_getattr,
		.operation = STATUS_GETATTR,
		.ino = ino,
		.reading = fi != NULL, /* read(2) sends a handle, fstat(2) none */
	});
}

static void session_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                                struct fuse_file_info *fi)
{
	(void)fi;
	ops_start(&(struct request){
		.req = req,
		.run = operation_readdirplus,
		.operation = STATUS_READDIR,
		.ino = ino,
		.size = size < MAX_LISTING_BYTES ? size : MAX_LISTING_BYTES,
		.offset = offset,
	});
}

static void session_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                         struct fuse_file_info *fi)
{
	(void)fi;
	ops_start(&(struct request){
		.req = req,
		.run = operation_read,
		.operation = STATUS_READ,
		.ino = ino,
		.size = size,
		.offset = offset,
	});
}

static void session_readlink(fuse_req_t req, fuse_ino_t ino)
{
	ops_start(&(struct request){
		.req = req, .run = operation_readlink, .operation = STATUS_READLINK, .ino = ino});
}

static void session_statfs(fuse_req_t req, fuse_ino_t ino)
{
	ops_start(&(struct request){
		.req = req, .run = operation_statfs, .operation = STATUS_STATFS, .ino = ino});
}

static void session_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	ops_start(&(struct request){
		.req = req,
		.run = operation_access,
		.operation = STATUS_ACCESS,
		.ino = ino,
		.mask = mask,
	});
}

static void session_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	ops_start(&(struct request){
		.req = req, .run = operation_open, .operation = STATUS_OTHER, .ino = ino});
}

static void session_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	ops_start(&(struct request){
		.req = req, .run = operation_opendir, .operation = STATUS_OTHER, .ino = ino});
}

static void session_forget_node(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	struct filesystem *fs = ops_filesystem(fuse_req_userdata(req));
	struct node *node = nodes_find(&fs->nodes, ino);

	fs->status->operations[STATUS_FORGET]++;
	if (node && ino != FUSE_ROOT_ID)
		node_forget(&fs->nodes, node, count);
}

static void session_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	session_forget_node(req, ino, count);
	fuse_reply_none(req);
}

static void session_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		session_forget_node(req, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* libfuse replies ENOSYS to all other requests, such as those for extended attributes and FLUSH.
 * The kernel remembers that and sends no more of them. */
static const struct fuse_lowlevel_ops session_operations = {
	.init = session_init,
	.lookup = session_lookup,
	.getattr = session_getattr,
	.readdirplus = session_readdirplus,
	.read = session_read,
	.readlink = session_readlink,
	.statfs = session_statfs,
	.access = session_access,
	.open = session_open,
	.opendir = session_open,
	.forget = session_forget,
	.forget_multi = session_forget_multi,
};

static ssize_t session_read_device(int fd, void *bytes, size_t length, void *userdata)
{
	(void)userdata;
	return read(fd, bytes, length);
}

/* Adds FUSE_PARALLEL_DIROPS to the reply to INIT. libfuse before 3.17 accepts
 * FUSE_CAP_PARALLEL_DIROPS but does not tell the kernel. */
static ssize_t session_write_device(int fd, struct iovec *parts, int count, void *userdata)
{
	struct filesystem *fs = ops_filesystem(userdata);

	if (fs->init_reply_is_next) {
		struct fuse_init_out *init = parts[count - 1].iov_base;

		if (count == 2 && parts[1].iov_len >= offsetof(struct fuse_init_out, flags) + 4)
			init->flags |= FUSE_PARALLEL_DIROPS;
		fs->init_reply_is_next = false;
	}
	return writev(fd, parts, count);
}

struct fuse_session *session_new(struct ops *ops, struct fuse_args *args, bool auto_unmount)
{
	struct fuse_lowlevel_ops operations = session_operations;

	if (auto_unmount)
		operations.opendir = session_opendir;
	return fuse_session_new(args, &operations, sizeof(operations), ops);
}

int session_attach(struct fuse_session *session)
{
	const struct fuse_custom_io io = {.read = session_read_device,
	                                  .writev = session_write_device};
	int fd = fuse_session_fd(session);

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	/* Before libfuse 3.17 only custom read and write functions can pass
	 * FUSE_CAP_PARALLEL_DIROPS to the kernel. Later versions pass it themselves, and 3.18 does
	 * not support custom functions. */
	return fuse_version() < 317 ? fuse_session_custom_io(session, &io, fd) : 0;
}
