/* SPDX-License-Identifier: MIT */
#include "tests/unit/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include "api/model/utf8.h"
#include "fs/fuse/ops.h"
#include "fs/fuse/session.h"
#include "fs/tree/names.h"

#define MOUNTED_NS INT64_C(1700000000000000000)
#define PAD_BYTES  1024

#define expect(what) ((what) ? (void)0 : wrong(__LINE__, #what))

/* Whose libfuse's callbacks are: of the session's user data they get only the operations. */
static struct kernel *the_kernel;

__attribute__((noreturn)) static void wrong(int line, const char *what)
{
	fprintf(stderr, "kernel.c:%d: not so: %s\n", line, what);
	abort();
}

/* Ports of the fleet */

static int want(void *user, unsigned int page, const struct validator *condition, bool no_cache)
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

static int64_t now_ms(void *user)
{
	return ((struct kernel *)user)->now_ms;
}

static int64_t wall_ns(void *user)
{
	return MOUNTED_NS + ((struct kernel *)user)->now_ms * 1000000;
}

static uint32_t draw(void *user)
{
	return (uint32_t)((struct kernel *)user)->now_ms * 2654435761u;
}

static int changed(void *user, const struct record *record, const struct agent *before,
                   const struct agent *after, int64_t at_ns)
{
	struct kernel *kernel = user;

	return kernel->ops ? ops_changed(kernel->ops, record, before, after, at_ns) : 0;
}

/* What the kernel learns from replies */

/* The one file that grows keeps what it had, and nothing else changes but its time. */
static void check_same_file(const struct kernel_node *node, const struct fuse_attr *attr,
                            uint64_t mtime_ns)
{
	if (node->grows)
		expect(node->size <= attr->size);
	else
		expect(node->size == attr->size && node->mtime_ns == mtime_ns);
}

static void learn(struct kernel *kernel, uint64_t id, const struct fuse_attr *attr, bool counted)
{
	uint64_t mtime_ns = attr->mtime * 1000000000 + attr->mtimensec;
	struct kernel_node *node;

	expect(id != 0 && attr->ino == id && attr->nlink == 1);
	expect(attr->mode == (S_IFDIR | 0555) || attr->mode == (S_IFREG | 0444) ||
	       attr->mode == (S_IFLNK | 0777));
	if (id >= KERNEL_MOST_NODES) {
		kernel->full = true;
		return;
	}
	for (; kernel->highest < id; kernel->highest++)
		kernel->nodes[kernel->highest + 1] = (struct kernel_node){0};
	node = &kernel->nodes[id];
	/* An id that was given back has died with it. */
	expect(node->mode == 0 || node->lookups > 0 || id == KERNEL_ROOT);
	if (node->mode != 0) {
		expect(node->mode == attr->mode);
		if (!S_ISDIR(node->mode))
			check_same_file(node, attr, mtime_ns);
	}
	node->mode = attr->mode;
	node->size = attr->size;
	node->mtime_ns = mtime_ns;
	node->lookups += counted;
}

static void learn_entry(struct kernel *kernel, const struct fuse_entry_out *entry)
{
	if (entry->nodeid != 0)
		learn(kernel, entry->nodeid, &entry->attr, true);
}

static void learn_listing(struct kernel *kernel, const struct kernel_request *request)
{
	uint64_t last = 0;

	expect(kernel->bytes <= request->size);
	kernel->entry_count = 0;
	for (size_t at = 0; at < kernel->bytes;) {
		const struct fuse_direntplus *plus = (const void *)(kernel->data + at);
		const char *name = plus->dirent.name;
		size_t length = plus->dirent.namelen;
		bool dot = (length == 1 && *name == '.') || (length == 2 && *name == '.');
		struct kernel_entry *entry;

		expect(kernel->bytes - at >= FUSE_NAME_OFFSET_DIRENTPLUS);
		expect(kernel->bytes - at >= FUSE_DIRENTPLUS_SIZE(plus));
		at += FUSE_DIRENTPLUS_SIZE(plus);
		expect(length >= 1 && length <= 255);
		expect(!memchr(name, '/', length) && !memchr(name, '\0', length));
		expect(plus->dirent.off > last && plus->dirent.off <= INT64_MAX);
		expect(plus->dirent.ino != 0);
		last = plus->dirent.off;
		/* A document's name may come without more. */
		expect(plus->entry_out.nodeid == 0 ? dot || plus->dirent.type == DT_REG : !dot);
		learn_entry(kernel, &plus->entry_out);
		if (kernel->entry_count == KERNEL_MOST_ENTRIES)
			continue;
		for (size_t i = 0; i < kernel->entry_count && i < 64; i++)
			expect(strlen(kernel->entries[i].name) != length ||
			       memcmp(kernel->entries[i].name, name, length) != 0);
		entry = &kernel->entries[kernel->entry_count++];
		entry->node = plus->entry_out.nodeid;
		entry->next = plus->dirent.off;
		entry->mode = plus->entry_out.attr.mode;
		memcpy(entry->name, name, length);
		entry->name[length] = '\0';
	}
}

/* Lines that are safe to show, each with its end. */
static void check_text(const char *text, size_t bytes)
{
	expect(bytes == 0 || text[bytes - 1] == '\n');
	for (size_t at = 0; at < bytes;) {
		struct utf8_char c = utf8_next(text + at, bytes - at);

		expect(c.kind == UTF8_PLAIN || c.code == '\n' || c.code == '\t');
		at += c.bytes;
	}
}

static void check_read(struct kernel *kernel, const struct kernel_request *request)
{
	struct kernel_node *node =
		request->node <= kernel->highest ? &kernel->nodes[request->node] : NULL;
	uint64_t left;
	bool whole;

	expect(kernel->bytes <= request->size);
	if (!node || node->mode == 0)
		return;
	expect(S_ISREG(node->mode));
	left = request->offset < node->size ? node->size - request->offset : 0;
	left = left < request->size ? left : request->size;
	expect(kernel->bytes == left || (node->grows && kernel->bytes > left));
	whole = node->grows ? kernel->bytes < request->size : kernel->bytes == node->size;
	if (request->offset == 0 && whole) {
		expect(!node->hashed ||
		       (node->hashed_bytes <= kernel->bytes &&
		        node->hash == XXH3_64bits(kernel->data, node->hashed_bytes)));
		node->hash = XXH3_64bits(kernel->data, kernel->bytes);
		node->hashed_bytes = kernel->bytes;
		node->hashed = true;
		check_text(kernel->data, kernel->bytes);
	}
}

/* Of the answer to a LOOKUP; 0: there is none, or no room for it. */
static uint64_t entry_id(const struct kernel *kernel)
{
	const struct fuse_entry_out *entry = (const void *)kernel->data;

	return entry->nodeid < KERNEL_MOST_NODES ? entry->nodeid : 0;
}

static void learn_reply(struct kernel *kernel, const struct kernel_request *request)
{
	const struct fuse_attr_out *attr = (const void *)kernel->data;

	if (kernel->error != 0) {
		expect(kernel->bytes == 0);
		return;
	}
	switch (request->opcode) {
	case FUSE_LOOKUP:
		expect(kernel->bytes == sizeof(struct fuse_entry_out));
		learn_entry(kernel, (const void *)kernel->data);
		kernel->nodes[entry_id(kernel)].grows |= request->log;
		break;
	case FUSE_GETATTR:
		expect(kernel->bytes == sizeof(*attr));
		learn(kernel, request->node, &attr->attr, false);
		break;
	case FUSE_READDIRPLUS:
		learn_listing(kernel, request);
		break;
	case FUSE_READ:
		check_read(kernel, request);
		break;
	case FUSE_STATFS:
		expect(kernel->bytes == sizeof(struct fuse_statfs_out));
		break;
	default:
		break;
	}
}

static ssize_t refuse_read(int fd, void *buf, size_t buf_len, void *userdata)
{
	(void)fd;
	(void)buf;
	(void)buf_len;
	(void)userdata;
	errno = EAGAIN;
	return -1;
}

static bool is_never_answered(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static ssize_t take_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct kernel *kernel = the_kernel;
	struct fuse_out_header header;
	struct kernel_request request = {0};
	size_t bytes = 0;

	(void)fd;
	(void)userdata;
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
		/* Late, libfuse says that an interrupt met nobody. All else is a second reply. */
		expect(header.unique & 1 && header.error == -EAGAIN);
		return header.len;
	}
	expect(!is_never_answered(request.opcode));
	if (kernel->refusals > 0) {
		kernel->refusals--;
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
	learn_reply(kernel, &request);
	return header.len;
}

/* Sending */

/* The kernel's books when it gives references back; who gives back more than it has, has none. */
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
		/* As the kernel's, uniques are even, but for interrupts. */
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
	if (!is_never_answered(opcode)) {
		expect(kernel->waiting_count < KERNEL_MOST_WAITING);
		note_request(kernel, header.unique, opcode, node, copy);
		kernel->full |= kernel->waiting_count == KERNEL_MOST_WAITING - 1;
	}
	fuse_session_process_buf(kernel->session, &buf);
	return header.unique;
}

uint64_t kernel_lookup(struct kernel *kernel, uint64_t folder, const char *name)
{
	return kernel_send(kernel, FUSE_LOOKUP, folder, name, strlen(name) + 1);
}

uint64_t kernel_getattr(struct kernel *kernel, uint64_t node)
{
	const struct fuse_getattr_in in = {0};

	return kernel_send(kernel, FUSE_GETATTR, node, &in, sizeof(in));
}

uint64_t kernel_readdirplus(struct kernel *kernel, uint64_t folder, uint64_t offset, uint32_t size)
{
	const struct fuse_read_in in = {.offset = offset, .size = size};

	return kernel_send(kernel, FUSE_READDIRPLUS, folder, &in, sizeof(in));
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
	bool refused = kernel->refusals > 0;

	kernel_send(kernel, FUSE_INTERRUPT, 0, &in, sizeof(in));
	expect(!kernel_is_waiting(kernel, unique));
	if (was_waiting && !refused)
		expect(kernel->replied == unique && kernel->error == -EINTR);
}

/* Time and pages */

static int64_t run_due(struct kernel *kernel)
{
	int64_t due_ms = ops_due_ms(kernel->ops);

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
	/* What is done in slices is due again at once. */
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
		err = fleet_arrived(kernel->fleet, number, page);
		while (err == -EAGAIN)
			err = fleet_arrive_on(kernel->fleet);
		cause = err == -EFBIG ? FAILURE_OVERSIZED : FAILURE_MEMORY;
	}
	if (!page || err < 0) {
		struct failure failure = {
			.cause = (uint8_t)cause,
			.retry_after_ms = -1,
			.at_ns = wall_ns(kernel),
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
	static const struct fuse_custom_io io = {.writev = take_reply, .read = refuse_read};
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
	int fd;

	kernel->session = ops_session(kernel->ops, &args);
	fuse_opt_free_args(&args);
	if (!kernel->session)
		return -ENOMEM;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	expect(fd >= 0 && fuse_session_custom_io(kernel->session, &io, fd) == 0);
	kernel_send(kernel, FUSE_INIT, 0, &init, sizeof(init));
	expect(kernel->replied == kernel->unique && kernel->error == 0);
	return 0;
}

int kernel_init(struct kernel *kernel, unsigned int per_page)
{
	const struct fleet_ports ports = {
		.user = kernel,
		.want = want,
		.now_ms = now_ms,
		.wall_ns = wall_ns,
		.random = draw,
		.name = name_encode,
		.changed = changed,
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
		.mounted_ns = wall_ns(kernel),
	};
	kernel->session = NULL;
	kernel->ops = NULL;
	kernel->wanted_count = 0;
	kernel->nodes[KERNEL_ROOT] = (struct kernel_node){.mode = S_IFDIR | 0555};
	kernel->highest = KERNEL_ROOT;
	kernel->full = false;
	kernel->waiting_count = 0;
	kernel->entry_count = 0;
	kernel->refusals = 0;
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
	/* With each request libfuse lets go of one interrupt that met nobody; it frees none in the
	 * end. */
	for (; kernel->interrupts > 0 && kernel->session; kernel->interrupts--)
		kernel_statfs(kernel);
	ops_free(kernel->ops);
	expect(kernel->waiting_count == 0);
	if (kernel->session)
		fuse_session_destroy(kernel->session);
	fleet_free(kernel->fleet);
}
