/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_BACKOFF_H
#define FLEETFS_CACHE_BACKOFF_H

/*
 * When something that failed may be requested again: the API as a whole, or one page.
 * cache/pages_backoff.c decides which of them a failure counts for.
 *
 * Retries. A first failure that may be temporary (a server error, a lost connection, a malformed or
 * truncated response; without Retry-After) is retried while its reader waits: `retries` times, each
 * after a random part of a doubling delay. With this full jitter, a thousand mounts do not retry in
 * step. Any other failure begins a hold at once.
 *
 * Holds. If the retries fail too, nothing is requested during a hold, and readers get the failure.
 * The hold lasts for 1 s, then 2, 4 and so on up to 30 s, and at least as long as Retry-After
 * demands (300 s at most). After each hold one request probes. The first success ends the backoff.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/failure.h"

#define BACKOFF_HOLD_MS 1000 /* the first hold */

/* A zeroed backoff is inactive. */
struct backoff {
	int64_t until_ms;  /* no request before then; monotonic */
	int64_t failed_ms; /* when it failed last; monotonic */
	uint8_t cause;     /* enum failure_cause of the last failure */
	uint8_t tries;     /* retries so far, before the first hold */
	uint8_t holds;     /* holds so far; not counted any more once they last 30 s */
	bool active;       /* it failed, and was not cleared since */
};

/* Notes a failure, and begins the delay before a retry, or a hold. retries: how many are allowed.
 * random: 32 random bits. */
void backoff_failed(struct backoff *backoff, const struct failure *failure, unsigned int retries,
                    int64_t now_ms, uint32_t random);

/* Ends the backoff. */
void backoff_clear(struct backoff *backoff);

/* Limits the current delay or hold to hold_ms, counted from the last failure. For use after another
 * page arrived. The length of the next hold does not change. */
void backoff_shorten(struct backoff *backoff, int64_t hold_ms);

/* Returns whether the failure is being retried while readers wait: no hold has begun yet. */
bool backoff_is_retrying(const struct backoff *backoff);

/* Returns whether readers get the failure now: a hold is under way. */
bool backoff_is_held(const struct backoff *backoff, int64_t now_ms);

#endif
