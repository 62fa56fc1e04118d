/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_REQUEST_H
#define FLEETFS_FS_FUSE_REQUEST_H

/*
 * A request of the kernel, the operation that serves it, and the reply.
 *
 * An operation is a function of type request_operation, one for each kind of request: lookup.h,
 * getattr.h, read.h, readdir.h. It
 *  - fills the reply and returns 0, or
 *  - returns -errno, and the reply is not used, or
 *  - returns -EAGAIN: data is missing. The request is parked, and the operation runs again from the
 *    start when data arrived, or at request->query.wake_ms (fs/fuse/ops.h).
 * Because it may run many times, an operation must not change anything that a second run depends
 * on, except request->query, request->scanned and request->unfinished. An operation increments
 * node->lookups only for the entries of a listing, and must return 0 once it did. request_reply()
 * counts the lookup of reply->node.
 */

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/fuse/filesystem.h"

struct reply;
struct request;

typedef int request_operation(struct request *request, struct reply *reply);

/* On the stack of libfuse's callback while it runs for the first time; on the heap once parked. */
struct request {
	struct filesystem *fs;
	fuse_req_t req; /* libfuse's handle */
	request_operation *run;
	enum status_operation operation; /* for the statistics */
	fuse_ino_t ino;                  /* the node; LOOKUP: the directory */
	char *name;                      /* LOOKUP: borrowed from libfuse; owned once parked */
	size_t size;                     /* READ, READDIRPLUS: bytes */
	off_t offset;                    /* READ: bytes; READDIRPLUS: after an entry, or 0 */
	int mask;                        /* ACCESS: R_OK, W_OK, X_OK */
	bool reading;                    /* GETATTR: sent by read(2), to find the end of the file */
	uint64_t scanned; /* where a search in slices goes on: READDIRPLUS of a group or question,
	                     LOOKUP in a question; 0: at its beginning */
	bool unfinished;  /* -EAGAIN, but no data is missing: there is more to scan */
	struct query query;

	/* For fs/fuse/ops.c */
	struct request *next;
	struct request *previous;
	struct job job;      /* queued while a parked request is unfinished */
	int64_t deadline_ms; /* on the fleet's clock */
	bool interrupted;    /* a signal arrived that does not end the reader */
};

enum reply_kind {
	REPLY_EMPTY, /* success without data */
	REPLY_ENTRY,
	REPLY_ATTR,
	REPLY_BYTES,
	REPLY_TARGET,
	REPLY_STATFS,
	REPLY_OPENED, /* OPENDIR */
};

/* The reply to a successful request. */
struct reply {
	enum reply_kind kind;
	struct fuse_entry_param entry; /* REPLY_ENTRY; REPLY_ATTR: only attr and attr_timeout */
	struct node *node; /* REPLY_ENTRY: the node of the entry; NULL: there is no such name */
	const char *bytes; /* REPLY_BYTES: borrowed; REPLY_TARGET: the same, terminated by NUL */
	size_t length;     /* REPLY_BYTES */
	size_t entries;    /* REPLY_BYTES: number of fs->listed nodes that it contains */
};

/* Sends the reply if err is 0, else the error err (-errno). All replies are sent here. The lookup
 * of reply->node is counted here. If the kernel rejects the reply because the reader was
 * interrupted, the lookups of all its nodes are taken back. request->req is invalid afterwards; the
 * caller still owns the request. */
void request_reply(struct request *request, int err, const struct reply *reply);

/* Sends an error: request_reply() without a reply. */
void request_reply_error(struct request *request, int err);

#endif
