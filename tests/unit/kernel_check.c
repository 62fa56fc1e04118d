/* SPDX-License-Identifier: MIT */
#include "tests/unit/kernel_check.h"

#include <dirent.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "api/model/utf8.h"

void kernel_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* A file keeps its size and time; the file that grows does not shrink. */
static void check_file(const struct kernel_node *node, const struct fuse_attr *attr,
                       uint64_t mtime_ns)
{
	if (node->grows)
		expect(node->size <= attr->size);
	else
		expect(node->size == attr->size && node->mtime_ns == mtime_ns);
}

static void check_node(struct kernel *kernel, uint64_t id, const struct fuse_attr *attr,
                       bool counted)
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
	/* A node ID without references is not reused. */
	expect(node->mode == 0 || node->lookups > 0 || id == KERNEL_ROOT);
	if (node->mode != 0) {
		expect(node->mode == attr->mode);
		if (!S_ISDIR(node->mode))
			check_file(node, attr, mtime_ns);
	}
	node->mode = attr->mode;
	node->size = attr->size;
	node->mtime_ns = mtime_ns;
	node->lookups += counted;
}

static void check_entry(struct kernel *kernel, const struct fuse_entry_out *entry)
{
	if (entry->nodeid != 0)
		check_node(kernel, entry->nodeid, &entry->attr, true);
}

static void check_listing(struct kernel *kernel, const struct kernel_request *request)
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
		/* A report may be listed without a node. */
		expect(plus->entry_out.nodeid == 0 ? dot || plus->dirent.type == DT_REG : !dot);
		check_entry(kernel, &plus->entry_out);
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

/* Text must be complete lines that are safe to show. */
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

/* The node ID in the reply to a LOOKUP; 0 if the reply has no entry, or the table has no room for
 * it. */
static uint64_t check_entry_id(const struct kernel *kernel)
{
	const struct fuse_entry_out *entry = (const void *)kernel->data;

	return entry->nodeid < KERNEL_MOST_NODES ? entry->nodeid : 0;
}

void kernel_check_reply(struct kernel *kernel, const struct kernel_request *request)
{
	const struct fuse_attr_out *attr = (const void *)kernel->data;

	if (kernel->error != 0) {
		expect(kernel->bytes == 0);
		return;
	}
	switch (request->opcode) {
	case FUSE_LOOKUP:
		expect(kernel->bytes == sizeof(struct fuse_entry_out));
		check_entry(kernel, (const void *)kernel->data);
		kernel->nodes[check_entry_id(kernel)].grows |= request->log;
		break;
	case FUSE_GETATTR:
		expect(kernel->bytes == sizeof(*attr));
		check_node(kernel, request->node, &attr->attr, false);
		break;
	case FUSE_READDIRPLUS:
		check_listing(kernel, request);
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
