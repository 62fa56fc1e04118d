/* SPDX-License-Identifier: MIT */
#include "tests/unit/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse/ops.h"
#include "fs/fuse/session.h"
#include "fs/tree/names.h"
#include "tests/unit/kernel_check.h"

#define MOUNTED_NS INT64_C(1700000000000000000)
#define PAD_BYTES  1024

/* For writev(), which gets no user data. */
static struct kernel *the_kernel;

/* Ports of the fleet */

static int port_request_page(void *user, unsigned int page, const struct validator *condition,
                             bool no_cache)
{
	struct kernel *kernel = user;

	(void)condition;
	(void)no_cache;
	for (size_t i = 0; i < kernel->wanted_count; i++)
		expect(kernel->wanted[i] != page);
	if (kernel->wanted_count == KERNEL_MOST_WANTED)
		return -ENOMEM;
	kernel->wanted[kernel->wanted_count++] = page;
	return 0;
}

static int64_t port_now_ms(void *user)
{
	return ((struct kernel *)user)->now_ms;
}

static int64_t port_wall_ns(void *user)
{
	return MOUNTED_NS + ((struct kernel *)user)->now_ms * 1000000;
}

static uint32_t port_random(void *user)
{
	return (uint32_t)((struct kernel *)user)->now_ms * 2654435761u;
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct kernel *kernel = user;

	return kernel->ops ? ops_changed(kernel->ops, record, before, after, at_ns) : 0;
}

static bool is_never_replied_to(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static ssize_t take_reply(const struct iovec *iov, int count)
{
	struct kernel *kernel = the_kernel;
	struct fuse_out_header header;
	struct kernel_request request = {0};
	size_t bytes = 0;

	expect(iov[0].iov_len == sizeof(header));
	memcpy(&header, iov[0].iov_base, sizeof(header));
	expect(header.error <= 0 && header.error > -1000);
	for (size_t i = 0; i < kernel->waiting_count; i++) {
		if (kernel->waiting[i].unique != header.unique)
			continue;
		request = kernel->waiting[i];
		kernel->waiting[i] = kernel->waiting[--kernel->waiting_count];
	}
	if (request.unique == 0) {
		/* libfuse replies EAGAIN to an interrupt without a request, with delay. Any other
		 * reply is a second one. */
		expect(header.unique & 1 && header.error == -EAGAIN);
		return header.len;
	}
	expect(!is_never_replied_to(request.opcode));
	if (kernel->rejections > 0) {
		kernel->rejections--;
		errno = ENOENT;
		return -1;
	}
	for (int i = 1; i < count; i++) {
		expect(iov[i].iov_len <= sizeof(kernel->data) - bytes);
		if (iov[i].iov_len > 0)
			memcpy(kernel->data + bytes, iov[i].iov_base, iov[i].iov_len);
		bytes += iov[i].iov_len;
	}
	expect(header.len == sizeof(header) + bytes);
	kernel->replied = header.unique;
	kernel->error = header.error;
	kernel->bytes = bytes;
	kernel_check_reply(kernel, &request);
	return header.len;
}

/* Replaces the C library's, also for libfuse, which replies with it. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
	if (the_kernel && the_kernel->session && fd == fuse_session_fd(the_kernel->session))
		return take_reply(iov, count);
	return syscall(SYS_writev, fd, iov, count);
}

/* Sending */

/* Records that references are given back; more than there are leave none. */
static void note_forget(struct kernel *kernel, uint64_t id, uint64_t count)
{
	if (id == KERNEL_ROOT || id > kernel->highest)
		return;
	if (count > kernel->nodes[id].lookups)
		count = kernel->nodes[id].lookups;
	kernel->nodes[id].lookups -= count;
}

static void note_forgets(struct kernel *kernel, uint32_t opcode, uint64_t id, char *body,
                         size_t bytes)
{
	struct fuse_batch_forget_in batch;
	struct fuse_forget_one one;
	struct fuse_forget_in forget;

	if (opcode == FUSE_FORGET) {
		memcpy(&forget, body, sizeof(forget));
		note_forget(kernel, id, forget.nlookup);
	}
	if (opcode != FUSE_BATCH_FORGET)
		return;
	memcpy(&batch, body, sizeof(batch));
	if (bytes < sizeof(batch))
		batch.count = 0;
	else if (batch.count > (bytes - sizeof(batch)) / sizeof(one))
		batch.count = (uint32_t)((bytes - sizeof(batch)) / sizeof(one));
	memcpy(body, &batch, sizeof(batch));
	for (size_t i = 0; i < batch.count; i++) {
		memcpy(&one, body + sizeof(batch) + i * sizeof(one), sizeof(one));
		note_forget(kernel, one.nodeid, one.nlookup);
	}
}

static void note_request(struct kernel *kernel, uint64_t unique, uint32_t opcode, uint64_t node,
                         const char *body)
{
	struct kernel_request *request = &kernel->waiting[kernel->waiting_count++];
	struct fuse_read_in read;

	memcpy(&read, body, sizeof(read));
	*request = (struct kernel_request){
		.unique = unique,
		.node = node,
		.offset = read.offset,
		.size = read.size,
		.sent_ms = kernel->now_ms,
		.opcode = opcode,
		.log = opcode == FUSE_LOOKUP && strcmp(body, "events.log") == 0,
	};
}

uint64_t kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body,
                     size_t bytes)
{
	static _Alignas(
		16) char buffer[sizeof(struct fuse_in_header) + KERNEL_BODY_BYTES + PAD_BYTES];
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + bytes),
		.opcode = opcode,
		/* The kernel's uniques are even, except those of interrupts. */
		.unique = (kernel->unique += 2) | (opcode == FUSE_INTERRUPT),
		.nodeid = node,
	};
	struct fuse_buf buf = {.mem = buffer, .size = header.len};
	char *copy = buffer + sizeof(header);

	expect(bytes <= KERNEL_BODY_BYTES);
	memcpy(buffer, &header, sizeof(header));
	if (bytes > 0)
		memcpy(copy, body, bytes);
	memset(copy + bytes, 0, PAD_BYTES);
	note_forgets(kernel, opcode, node, copy, bytes);
	kernel->interrupts += opcode == FUSE_INTERRUPT;
	if (!is_never_replied_to(opcode)) {
		expect(kernel->waiting_count < KERNEL_MOST_WAITING);
		note_request(kernel, header.unique, opcode, node, copy);
		kernel->full |= kernel->waiting_count == KERNEL_MOST_WAITING - 1;
	}
	fuse_session_process_buf(kernel->session, &buf);
	return header.unique;
}

uint64_t kernel_lookup(struct kernel *kernel, uint64_t directory, const char *name)
{
	return kernel_send(kernel, FUSE_LOOKUP, directory, name, strlen(name) + 1);
}

uint64_t kernel_getattr(struct kernel *kernel, uint64_t node)
{
	const struct fuse_getattr_in in = {0};

	return kernel_send(kernel, FUSE_GETATTR, node, &in, sizeof(in));
}

uint64_t kernel_readdirplus(struct kernel *kernel, uint64_t directory, uint64_t offset,
                            uint32_t size)
{
	const struct fuse_read_in in = {.offset = offset, .size = size};

	return kernel_send(kernel, FUSE_READDIRPLUS, directory, &in, sizeof(in));
}

uint64_t kernel_read(struct kernel *kernel, uint64_t node, uint64_t offset, uint32_t size)
{
	const struct fuse_read_in in = {.offset = offset, .size = size};

	return kernel_send(kernel, FUSE_READ, node, &in, sizeof(in));
}

uint64_t kernel_readlink(struct kernel *kernel, uint64_t node)
{
	return kernel_send(kernel, FUSE_READLINK, node, NULL, 0);
}

uint64_t kernel_statfs(struct kernel *kernel)
{
	return kernel_send(kernel, FUSE_STATFS, KERNEL_ROOT, NULL, 0);
}

uint64_t kernel_access(struct kernel *kernel, uint64_t node, uint32_t mask)
{
	const struct fuse_access_in in = {.mask = mask};

	return kernel_send(kernel, FUSE_ACCESS, node, &in, sizeof(in));
}

void kernel_forget(struct kernel *kernel, uint64_t node, uint64_t count)
{
	const struct fuse_forget_in in = {.nlookup = count};

	kernel_send(kernel, FUSE_FORGET, node, &in, sizeof(in));
}

void kernel_forget_all(struct kernel *kernel)
{
	struct {
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one ones[64];
	} in = {.batch.count = 0};

	for (uint64_t id = KERNEL_ROOT + 1; id <= kernel->highest; id++) {
		if (kernel->nodes[id].lookups == 0)
			continue;
		in.ones[in.batch.count++] = (struct fuse_forget_one){id, kernel->nodes[id].lookups};
		if (in.batch.count < 64)
			continue;
		kernel_send(kernel, FUSE_BATCH_FORGET, 0, &in, sizeof(in));
		in.batch.count = 0;
	}
	kernel_send(kernel, FUSE_BATCH_FORGET, 0, &in, sizeof(in));
}

bool kernel_is_waiting(const struct kernel *kernel, uint64_t unique)
{
	for (size_t i = 0; i < kernel->waiting_count; i++)
		if (kernel->waiting[i].unique == unique)
			return true;
	return false;
}

void kernel_interrupt(struct kernel *kernel, uint64_t unique)
{
	const struct fuse_interrupt_in in = {.unique = unique};
	bool was_waiting = kernel_is_waiting(kernel, unique);
	bool rejected = kernel->rejections > 0;

	kernel_send(kernel, FUSE_INTERRUPT, 0, &in, sizeof(in));
	expect(!kernel_is_waiting(kernel, unique));
	if (was_waiting && !rejected)
		expect(kernel->replied == unique && kernel->error == -EINTR);
}

/* Time and pages */

static int64_t run_due(struct kernel *kernel)
{
	int64_t due_ms = ops_run_due(kernel->ops);

	expect(due_ms >= 0 || kernel->waiting_count == 0);
	for (size_t i = 0; i < kernel->waiting_count; i++) {
		int64_t left_ms = kernel->waiting[i].sent_ms + KERNEL_TIMEOUT_MS - kernel->now_ms;

		expect(left_ms > 0 && due_ms <= left_ms);
	}
	return due_ms;
}

void kernel_advance(struct kernel *kernel, int64_t ms)
{
	kernel->now_ms += ms;
	/* Work that is done in slices is due again at once. */
	while (run_due(kernel) == 0)
		;
}

int kernel_bring(struct kernel *kernel, unsigned int number, struct page *page,
                 enum failure_cause cause)
{
	size_t at = 0;
	int err = 0;

	while (at < kernel->wanted_count && kernel->wanted[at] != number)
		at++;
	expect(at < kernel->wanted_count);
	kernel->wanted_count--;
	memmove(&kernel->wanted[at], &kernel->wanted[at + 1],
	        (kernel->wanted_count - at) * sizeof(kernel->wanted[0]));
	if (page) {
		err = fleet_ingest(kernel->fleet, number, page);
		while (err == -EAGAIN)
			err = fleet_ingest_more(kernel->fleet);
		cause = err == -EFBIG ? FAILURE_OVERSIZED : FAILURE_MEMORY;
	}
	if (!page || err < 0) {
		struct failure failure = {
			.cause = (uint8_t)cause,
			.retry_after_ms = -1,
			.at_ns = port_wall_ns(kernel),
			.url = "https://fleet.example/agents?page=\x1b",
			.message = "no \n\xff",
		};

		fleet_failed(kernel->fleet, number, &failure);
	}
	ops_retry(kernel->ops);
	run_due(kernel);
	return err;
}

/* Mounting */

static int mount_session(struct kernel *kernel)
{
	static const char *const names[] = {"fleetfs", NULL};
	const struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 131072,
		.flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
	                 FUSE_READDIRPLUS_AUTO | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
	                 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS,
	};
	struct fuse_args args = FUSE_ARGS_INIT(1, (char **)(uintptr_t)names);
	char path[32]; /* libfuse uses a descriptor that is named in this way as the device */
	int fd;

	kernel->session = session_new(kernel->ops, &args, false);
	fuse_opt_free_args(&args);
	if (!kernel->session)
		return -ENOMEM;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	expect(fd >= 0 && fuse_session_mount(kernel->session, path) == 0);
	kernel_send(kernel, FUSE_INIT, 0, &init, sizeof(init));
	expect(kernel->replied == kernel->unique && kernel->error == 0);
	return 0;
}

int kernel_init(struct kernel *kernel, unsigned int per_page)
{
	const struct fleet_ports ports = {
		.user = kernel,
		.request_page = port_request_page,
		.now_ms = port_now_ms,
		.wall_ns = port_wall_ns,
		.random = port_random,
		.name = name_encode,
		.changed = port_changed,
	};
	const struct fleet_config config = {
		.ttl_ms = KERNEL_TTL_MS,
		.stale_ms = KERNEL_STALE_MS,
		.timeout_ms = KERNEL_TIMEOUT_MS,
		.retries = 1,
		.per_page = per_page,
		.max_connections = 3,
	};

	the_kernel = kernel;
	kernel->now_ms = 1000000;
	kernel->status = (struct status){
		.config = "ttl: 5\n",
		.version = "fleetfs 0\n",
		.token_kind = "token",
		.token_source = "$FLEETFS_TOKEN",
		.started_ns = port_wall_ns(kernel),
	};
	kernel->session = NULL;
	kernel->ops = NULL;
	kernel->wanted_count = 0;
	kernel->nodes[KERNEL_ROOT] = (struct kernel_node){.mode = S_IFDIR | 0555};
	kernel->highest = KERNEL_ROOT;
	kernel->full = false;
	kernel->waiting_count = 0;
	kernel->entry_count = 0;
	kernel->rejections = 0;
	kernel->unique = 0;
	kernel->interrupts = 0;
	kernel->fleet = fleet_new(&config, &ports);
	kernel->status.fleet = kernel->fleet;
	if (kernel->fleet)
		kernel->ops = ops_new(kernel->fleet, &kernel->status, 7, NULL, NULL);
	if (!kernel->ops || mount_session(kernel) < 0) {
		kernel_done(kernel);
		return -ENOMEM;
	}
	return 0;
}

void kernel_done(struct kernel *kernel)
{
	/* With each request libfuse frees one interrupt without a request, and none at the end. */
	for (; kernel->interrupts > 0 && kernel->session; kernel->interrupts--)
		kernel_statfs(kernel);
	ops_free(kernel->ops);
	expect(kernel->waiting_count == 0);
	if (kernel->session)
		fuse_session_destroy(kernel->session);
	fleet_free(kernel->fleet);
}
