/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_CACHE_BACKOFF_H
#define FLEETFS_CACHE_BACKOFF_H

/*
 * When something that failed may be asked again: one for the API as a whole, one for each page.
 * backoff.c decides which of them a failure counts for.
 *
 * A first failure is retried while its reader waits: `retries` times, each after a random part of a
 * doubling delay (full jitter, so that a thousand mounts do not come back in step). When that did
 * not help, the failure is held against everybody: for a second, then two, four, up to 30, and at
 * least as long as Retry-After says (300 s at most) nobody asks; then one request probes, and its
 * failure holds longer. The first success clears it all.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/failure.h"

#define BACKOFF_HOLD_MS 1000 /* the first hold */

struct backoff {
	int64_t until_ms;  /* nobody asks before; monotonic */
	int64_t failed_ms; /* when it failed last */
	uint8_t cause;     /* enum failure_cause of the last failure */
	uint8_t tries;     /* retries of the first failure so far */
	uint8_t holds;     /* how often it was held, so how long the next hold is */
	bool active;       /* failed, and not cleared since */
};

/* Notes a failure. random: any 32 random bits. */
void backoff_failed(struct backoff *backoff, const struct failure *failure, unsigned int retries,
                    int64_t now_ms, uint32_t random);

void backoff_clear(struct backoff *backoff);

/* Another page arrived: asks again at most hold_ms after the failure. The next failure is held for
 * as long as if this had not been called. */
void backoff_shorten(struct backoff *backoff, int64_t hold_ms);

/* Whether it is being retried while readers wait, rather than held against them. */
bool backoff_is_retrying(const struct backoff *backoff);

/* Whether the failure is to be told now: active, held, and not yet time to ask again. */
bool backoff_is_held(const struct backoff *backoff, int64_t now_ms);

#endif
