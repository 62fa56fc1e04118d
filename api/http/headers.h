/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_HEADERS_H
#define FLEETFS_API_HTTP_HEADERS_H

/*
 * Reads from the headers of a response how old it is, its validators, and when to retry (RFC 9111,
 * 9110).
 *
 * A cache between the API and us may have kept it for a while, and that time counts against the
 * ttl. Age is what the cache says, and is believed whatever the clocks say. Where it is a whole
 * number, as the RFC has it, up to a second was cut off, which may be the second in which the ttl
 * ends: so it counts as one more. Some caches tell a fraction (ours in contrib/ is made to), and
 * then nothing is added. Of several the largest counts.
 *
 * Date is trusted least. Without an Age no cache that keeps to HTTP/1.1 was there, and a clock at
 * the other end that is wrong would make each answer look old; with one, the cache has taken Date
 * into account by a clock that is nearer to the API's. So it counts only where an Age was sent that
 * says nothing usable. Of several the earliest counts. Via does not count at all: a gateway that
 * names itself is no cache.
 *
 * ETag and Last-Modified are kept if they are well-formed, and the latter only if Date is at least
 * a second later: something may change twice within a second. Of several none counts.
 *
 * Plain data, no state elsewhere, and the clocks are arguments: any thread, any time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"

#define HEADERS_MAX_AGE_MS (INT64_C(1000) << 31) /* what is older is taken as that old */

/* How old an answer is, ms. */
struct headers_age {
	int64_t least_ms; /* it is at least so old, or the cache is wrong */
	int64_t most_ms;  /* and at most so old, if the cache is right */
};

struct headers {
	bool begun;              /* a line came: the status line, as a rule */
	bool interim;            /* … which says 1xx: another answer follows */
	bool ended;              /* the empty line came: no more of this answer but trailers */
	bool has_age;            /* an Age was sent, whatever it says */
	struct headers_age age;  /* as it says; both -1: nothing usable */
	int64_t date_s;          /* Date, since 1970; -1: none */
	int64_t modified_s;      /* Last-Modified, likewise */
	int64_t retry_after_ms;  /* Retry-After as a number of seconds; -1: none */
	int64_t retry_at_s;      /* Retry-After as a date, since 1970; -1: none */
	unsigned int etag_count; /* how often they stand there, usable or not */
	unsigned int modified_count;
	struct validator validator; /* as far as it is usable by itself */
};

/* Before the first line of an answer. */
void headers_begin(struct headers *headers);

/* A line as it came, with its end or not, not terminated by NUL; of interim answers (1xx), too:
 * what follows them begins anew. Trailers tell nothing, whatever they look like. */
void headers_line(struct headers *headers, const char *line, size_t bytes);

/* wall_ms: the time now, since 1970; took_ms: since the request was sent, during which the answer
 * may have been on its way. Both are 0 for an answer that was in no cache: it ages from its arrival
 * on. */
struct headers_age headers_age(const struct headers *headers, int64_t wall_ms, int64_t took_ms);

/* Returns the wait that Retry-After asks for, in ms from wall_ms on: 0 for a date in the past, at
 * most HEADERS_MAX_AGE_MS, -1 without a valid Retry-After. Of several the longest counts. (curl's
 * CURLINFO_RETRY_AFTER ignores a number of more than 64 bits.) */
int64_t headers_retry_after_ms(const struct headers *headers, int64_t wall_ms);

/* What may be asked for next time. */
void headers_validator(const struct headers *headers, struct validator *ret_validator);

#endif
