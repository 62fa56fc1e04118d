/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_KERNEL_H
#define FLEETFS_TESTS_UNIT_KERNEL_H

/*
 * A fake kernel: a mount in virtual time, made of a fleet whose pages the test brings, the FUSE
 * operations and a libfuse session. The test sends requests as the kernel would.
 *
 * The fake kernel records its requests and its references to nodes, and checks every reply against
 * them. It aborts the program on a reply that a kernel could not use, or that breaks a promise of
 * fs/fuse/node.h: a second reply, a node that changes its type, a value that changes its size or
 * text, a node ID that is reused, a name that no directory can contain, text that is not safe to
 * show.
 *
 * It allocates nothing, so all allocations during a test are the project's. There can be only one
 * at a time, since libfuse does not pass the fake kernel to its callbacks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"
#include "cache/fleet.h"
#include "fs/tree/status.h"

#define KERNEL_MOST_NODES   8192
#define KERNEL_MOST_WAITING 128
#define KERNEL_MOST_WANTED  256
#define KERNEL_MOST_ENTRIES 512
#define KERNEL_REPLY_BYTES  (4u << 20)
#define KERNEL_BODY_BYTES   4096
#define KERNEL_ROOT         1

#define KERNEL_TTL_MS     10000
#define KERNEL_STALE_MS   60000
#define KERNEL_TIMEOUT_MS 5000

struct kernel_node {
	uint64_t lookups;
	uint64_t size;
	uint64_t mtime_ns;
	uint64_t hash;         /* of the text as last read */
	uint64_t hashed_bytes; /* length of that text */
	uint32_t mode;         /* 0: the node was never replied with */
	bool hashed;           /* the text was read to its end */
	bool grows;            /* events.log */
};

struct kernel_request {
	uint64_t unique;
	uint64_t node;
	uint64_t offset;
	uint64_t size;
	int64_t sent_ms;
	uint32_t opcode;
	bool log; /* a LOOKUP of events.log */
};

struct kernel_entry {
	uint64_t node;
	uint64_t next; /* offset of the entry that follows */
	uint32_t mode;
	char name[256];
};

struct kernel {
	int64_t now_ms; /* move it with kernel_advance() */
	struct status status;
	struct fleet *fleet;
	struct ops *ops;
	struct fuse_session *session;

	unsigned int wanted[KERNEL_MOST_WANTED]; /* pages requested and not yet brought */
	size_t wanted_count;

	struct kernel_node nodes[KERNEL_MOST_NODES]; /* by node ID */
	uint64_t highest;                            /* the highest node ID replied with */
	bool full; /* no room for more node IDs or pending requests: end the test */
	struct kernel_request waiting[KERNEL_MOST_WAITING];
	size_t waiting_count;
	uint64_t unique;
	uint64_t interrupts;     /* sent */
	unsigned int rejections; /* number of next replies to reject, as if interrupted */

	/* The last reply. */
	uint64_t replied; /* unique of its request */
	int error;        /* 0 or -errno */
	size_t bytes;
	char data[KERNEL_REPLY_BYTES];
	struct kernel_entry entries[KERNEL_MOST_ENTRIES]; /* of the last listing */
	size_t entry_count;
};

/* Mounts. per_page: agents on a page that the fleet requests. Returns 0 or -ENOMEM. */
int kernel_init(struct kernel *kernel, unsigned int per_page);

/* Unmounts. All pending requests must be replied to. */
void kernel_done(struct kernel *kernel);

/* Sends a request. Returns its unique. libfuse trusts the kernel that a body is complete: so zeroes
 * are appended to the body, and the count of a BATCH_FORGET is reduced to the entries in it. */
uint64_t kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body,
                     size_t bytes);

/* Send one request each. Return its unique. */
uint64_t kernel_lookup(struct kernel *kernel, uint64_t directory, const char *name);
uint64_t kernel_getattr(struct kernel *kernel, uint64_t node);
uint64_t kernel_readdirplus(struct kernel *kernel, uint64_t directory, uint64_t offset,
                            uint32_t size);
uint64_t kernel_read(struct kernel *kernel, uint64_t node, uint64_t offset, uint32_t size);
uint64_t kernel_readlink(struct kernel *kernel, uint64_t node);
uint64_t kernel_statfs(struct kernel *kernel);
uint64_t kernel_access(struct kernel *kernel, uint64_t node, uint32_t mask);

/* Gives references to a node back. */
void kernel_forget(struct kernel *kernel, uint64_t node, uint64_t count);

/* Gives all references back, except those to the root, with BATCH_FORGET. */
void kernel_forget_all(struct kernel *kernel);

/* Interrupts a request. If it is pending it must be replied to at once. */
void kernel_interrupt(struct kernel *kernel, uint64_t unique);

/* Whether a request was not replied to yet. */
bool kernel_is_waiting(const struct kernel *kernel, uint64_t unique);

/* Lets time pass, and runs what is due then. */
void kernel_advance(struct kernel *kernel, int64_t ms);

/* Brings a wanted page, as fs/program/fetch_results.c would. page: owned by the fleet afterwards;
 * NULL: the fetch failed with this cause. Returns 0 or the error of fleet_ingest(). */
int kernel_bring(struct kernel *kernel, unsigned int number, struct page *page,
                 enum failure_cause cause);

#endif
