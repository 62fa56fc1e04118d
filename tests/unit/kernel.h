/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_KERNEL_H
#define FLEETFS_TESTS_UNIT_KERNEL_H

/*
 * A mount without a kernel, in virtual time: a fleet whose pages the test brings, the operations,
 * a libfuse session, and the kernel's side of the conversation.
 *
 * It keeps the kernel's books (who was asked what, which node is referred to how often) and checks
 * every reply against them; what a kernel would choke on, or what breaks a promise of
 * fs/fuse/node.h, aborts the program: a second reply, a node that changes its type or a value its
 * size or text, an id with a second meaning, a name that no folder can hold, text that is not safe
 * to show.
 *
 * It allocates nothing of its own, so that whatever is allocated meanwhile is the project's. One at
 * a time, since libfuse's callbacks do not tell whose they are.
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
	uint64_t hash;         /* of the text, … */
	uint64_t hashed_bytes; /* … which is so long */
	uint32_t mode;         /* 0: never heard of */
	bool hashed;
	bool grows; /* events.log */
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

	unsigned int wanted[KERNEL_MOST_WANTED]; /* pages asked for and not yet brought */
	size_t wanted_count;

	struct kernel_node nodes[KERNEL_MOST_NODES]; /* by id */
	uint64_t highest;                            /* id heard of */
	bool full; /* more ids, or more unanswered requests, than there is room for: end the test */
	struct kernel_request waiting[KERNEL_MOST_WAITING];
	size_t waiting_count;
	uint64_t unique;
	uint64_t interrupts;   /* sent */
	unsigned int refusals; /* so many replies will not be taken, as of who was interrupted */

	/* The last reply. */
	uint64_t replied; /* unique */
	int error;        /* 0 or -errno */
	size_t bytes;
	char data[KERNEL_REPLY_BYTES];
	struct kernel_entry entries[KERNEL_MOST_ENTRIES]; /* of the last listing */
	size_t entry_count;
};

/* Mounts; per_page is what the fleet asks for. 0 or -ENOMEM. */
int kernel_init(struct kernel *kernel, unsigned int per_page);

/* Unmounts, which must answer all that waits. */
void kernel_done(struct kernel *kernel);

/* Sends a request and returns its unique. Zeroes follow the body, since libfuse trusts the kernel
 * that it is whole; for the same reason the count of a BATCH_FORGET is cut to what is there. */
uint64_t kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body,
                     size_t bytes);

uint64_t kernel_lookup(struct kernel *kernel, uint64_t folder, const char *name);
uint64_t kernel_getattr(struct kernel *kernel, uint64_t node);
uint64_t kernel_readdirplus(struct kernel *kernel, uint64_t folder, uint64_t offset, uint32_t size);
uint64_t kernel_read(struct kernel *kernel, uint64_t node, uint64_t offset, uint32_t size);
uint64_t kernel_readlink(struct kernel *kernel, uint64_t node);
uint64_t kernel_statfs(struct kernel *kernel);
uint64_t kernel_access(struct kernel *kernel, uint64_t node, uint32_t mask);
void kernel_forget(struct kernel *kernel, uint64_t node, uint64_t count);

/* Gives every reference back, in one request per so many nodes, but those of the root. */
void kernel_forget_all(struct kernel *kernel);

/* One that waits must be answered at once. */
void kernel_interrupt(struct kernel *kernel, uint64_t unique);

bool kernel_is_waiting(const struct kernel *kernel, uint64_t unique);

/* Time goes by; what is due then is run. */
void kernel_advance(struct kernel *kernel, int64_t ms);

/* Brings a page that is wanted, as main.c would; it is taken over. NULL: a failure of that cause.
 * 0, or what fleet_arrived() said. */
int kernel_bring(struct kernel *kernel, unsigned int number, struct page *page,
                 enum failure_cause cause);

#endif
