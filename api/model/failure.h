/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_FAILURE_H
#define FLEETFS_API_MODEL_FAILURE_H

/*
 * Why a page could not be had. Made by the fetching thread, kept by the cache, shown by the tree.
 * The one table from a cause to the errno that a reader sees is failure_errno().
 */

#include <stdbool.h>
#include <stdint.h>

enum failure_cause {
	FAILURE_CREDENTIAL,  /* 401, 403 */
	FAILURE_REQUEST,     /* 400 and every other 4xx */
	FAILURE_BUSY,        /* 429 */
	FAILURE_SERVER,      /* 5xx, or a status that GET /agents has no use for */
	FAILURE_REDIRECT,    /* 3xx; never followed */
	FAILURE_MALFORMED,   /* 200, but the body is not an answer to GET /agents */
	FAILURE_TRUNCATED,   /* 200, but the connection ended within the body */
	FAILURE_OVERSIZED,   /* beyond a ceiling: body, headers, nesting, tokens, agents */
	FAILURE_OLD,         /* 200, but from a cache that kept it for longer than the ttl */
	FAILURE_UNREACHABLE, /* cannot resolve, connect or verify; lost before an answer began */
	FAILURE_TIMEOUT,     /* no whole answer in time, wherever it stalled */
	FAILURE_MEMORY,      /* out of memory here */
	FAILURE_CAUSES
};

struct failure {
	uint8_t cause;          /* enum failure_cause */
	uint16_t http_status;   /* 0: there was no answer */
	int64_t retry_after_ms; /* from now; -1: the API did not say. Not yet capped */
	int64_t at_ns;          /* wall clock, since 1970 */
	char url[256];          /* what was asked, without any secret; cut to fit */
	const char *remedy;     /* what to do about it, static; NULL: what failure_remedy() says */
	char message[512];      /* one sentence, the API's words included: untrusted bytes */
};

/*
 * Sets cause and message and leaves the other members as they are. The message is formatted as by
 * printf() and truncated to fit. Returns -errno of the cause, for the caller to return.
 */
__attribute__((format(printf, 3, 4))) int failure_set(struct failure *failure,
                                                      enum failure_cause cause, const char *format,
                                                      ...);

/* The errno that an operation fails with, positive. */
int failure_errno(enum failure_cause cause);

/* What to do about it, for people, in one clause; static. */
const char *failure_remedy(const struct failure *failure);

/* A word for a cause, as `stats` and the log name it: "unreachable". */
const char *failure_word(enum failure_cause cause);

/* Whether the API itself failed, rather than this one page of it: then no other page is worth
 * asking for at once. */
bool failure_is_general(enum failure_cause cause);

#endif
