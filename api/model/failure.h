/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_FAILURE_H
#define FLEETFS_API_MODEL_FAILURE_H

/*
 * Why the request for a page failed. The fetching thread creates a failure, the cache keeps it, and
 * the tree shows it. One table in failure.c maps each cause to an errno, a word and a remedy.
 *
 * Plain data without pointers to free.
 */

#include <stdbool.h>
#include <stdint.h>

enum failure_cause {
	FAILURE_CREDENTIAL, /* 401, 403; no usable token or team; a list that may not be read */
	FAILURE_REQUEST,    /* 400 and every other 4xx */
	FAILURE_BUSY,       /* 429 */
	FAILURE_SERVER,     /* 5xx, a status that GET /agents must not return, or no valid HTTP */
	FAILURE_REDIRECT,   /* 3xx; never followed */
	FAILURE_MALFORMED,  /* the response or the file is not a list of agents; or 304 without a
	                       condition */
	FAILURE_TRUNCATED,  /* the response ended early, in headers or body; or the file changed
	                       during a read */
	FAILURE_OVERSIZED,  /* 413; larger headers or body, or more agents, than allowed */
	FAILURE_OLD, /* 200 or 304, but a cache had stored the response for longer than the ttl */
	FAILURE_UNREACHABLE, /* no connection (in time), no valid certificate, or lost before a
	                        response */
	FAILURE_TIMEOUT, /* connected, but no complete response in time; or no connection free */
	FAILURE_MEMORY,  /* fleetfs is out of memory */
	FAILURE_CAUSES
};

/* The remedy if the server is probably not the API. */
#define FAILURE_WRONG_BASE "check the URL: the API's base, without /agents"

struct failure {
	uint8_t cause;  /* enum failure_cause */
	bool page_only; /* of a part of a page: the API answered the request of the whole page */
	uint16_t http_status;   /* 0 if there was no response */
	int64_t retry_after_ms; /* Retry-After, from at_ns, at most 68 years; -1 if absent */
	int64_t at_ns;          /* when it happened, wall clock, since 1970 */
	char url[256];          /* of the request, without secrets; may be truncated */
	const char *remedy;     /* what to do about it, static; NULL: the remedy of the cause */
	char message[512];      /* one line; may quote the API, so its bytes are untrusted */
};

/*
 * Sets cause and message and leaves the other members as they are. The message is formatted as by
 * printf() and truncated to fit. Returns -errno of the cause, for the caller to return.
 */
__attribute__((format(printf, 3, 4))) int failure_set(struct failure *failure,
                                                      enum failure_cause cause, const char *format,
                                                      ...);

/* Returns the errno, positive, with which a read of the page fails. */
int failure_errno(enum failure_cause cause);

/* Returns what the user can do about a failure, as a clause: "check the token". Static. */
const char *failure_remedy(const struct failure *failure);

/* Returns the word for a cause in `stats` and in the log: "unreachable". Static. */
const char *failure_word(enum failure_cause cause);

/* Returns whether the cause affects requests for all pages, not only the page that was requested.
 */
bool failure_is_general(enum failure_cause cause);

#endif
