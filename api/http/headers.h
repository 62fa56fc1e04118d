/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_HEADERS_H
#define FLEETFS_API_HTTP_HEADERS_H

/*
 * Reads from the headers of a response how old it is, its validators, and when to retry (RFC 9111,
 * 9110).
 *
 * Age: a cache in front of the API may have stored the response for a while, and that time counts
 * against the ttl. The cache reports it in Age, which is used even if Date and the clock of this
 * machine indicate another age. The RFC has whole numbers, which are rounded down, so the upper
 * bound of the age is a second more. Some caches report a fraction (contrib/cache does), to which
 * nothing is added. If there are several, the largest counts.
 *
 * Date: only used if there is an Age that is not valid. Without an Age the response comes from no
 * cache that implements HTTP/1.1, and a wrong clock of the server would make each response seem
 * old. With a valid Age, Date is not needed: the cache has already compared it with its own clock,
 * which is closer to the API's than the clock of this machine. If there are several, the earliest
 * counts. Via is ignored: a gateway that names itself there is not a cache.
 *
 * ETag and Last-Modified: used if they are well-formed and there is only one. Last-Modified is only
 * used if Date is at least a second later, since the page may change twice within a second.
 *
 * Plain data; the clocks are parameters. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"

#define HEADERS_MAX_MS (INT64_C(1000) << 31) /* a longer age or Retry-After is reduced to this */

/* The age of a response, in ms. */
struct headers_age {
	int64_t least_ms; /* it is at least so old, unless the cache is wrong */
	int64_t most_ms;  /* it is at most so old, unless the cache is wrong */
};

struct headers {
	bool begun;              /* a line was read, normally the status line */
	bool interim;            /* the status is 1xx: another response follows */
	bool ended;              /* the empty line was read; only trailers may follow */
	bool encoded;            /* the body is compressed: a Content-Encoding was sent */
	bool has_age;            /* an Age was sent, valid or not */
	struct headers_age age;  /* from Age; both -1: not valid */
	int64_t date_s;          /* Date, in seconds since 1970; -1: none */
	int64_t modified_s;      /* Last-Modified, in seconds since 1970; -1: none */
	int64_t retry_after_ms;  /* Retry-After if it is a number; -1: none */
	int64_t retry_at_s;      /* Retry-After if it is a date, in seconds since 1970; -1: none */
	unsigned int etag_count; /* how many there are, valid or not */
	unsigned int modified_count;
	struct validator validator; /* well-formed members; Date is not taken into account yet */
};

/* Clears headers. Call this before the first line of a response. */
void headers_begin(struct headers *headers);

/* Reads a line, with or without its line end, not terminated by NUL. Pass the lines of interim
 * responses (1xx), too; the lines of the next response replace them. Ignores trailers. */
void headers_line(struct headers *headers, const char *line, size_t bytes);

/* Whether all headers of a final (not interim) response were read. curl does not report an error if
 * the connection ends within the headers. */
bool headers_are_complete(const struct headers *headers);

/* Returns the age of the response; zeroes without an Age, since a response that no cache stored is
 * new when it arrives. wall_ms: the current time since 1970. took_ms: the time since the request
 * was sent. With an Age, the upper bound includes took_ms, since the response may have spent all of
 * that time on its way. */
struct headers_age headers_age(const struct headers *headers, int64_t wall_ms, int64_t took_ms);

/* Returns the wait that Retry-After asks for, in ms from wall_ms on: 0 for a date in the past, at
 * most HEADERS_MAX_MS, -1 without a valid Retry-After. If there are several, the longest
 * counts. (curl's CURLINFO_RETRY_AFTER ignores a number of more than 64 bits.) */
int64_t headers_retry_after_ms(const struct headers *headers, int64_t wall_ms);

/* Returns the validators that the next request for the page may send. */
void headers_validator(const struct headers *headers, struct validator *ret_validator);

#endif
