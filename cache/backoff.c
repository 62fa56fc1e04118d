/* SPDX-License-Identifier: MIT */
#include "cache/backoff.h"

#define RETRY_FIRST_MS      250
#define HOLD_MOST_MS        30000
#define RETRY_AFTER_MOST_MS 300000

/* What a second try can mend within one operation. A refused credential or request will be refused
 * again, and what was too large will be no smaller. */
static bool worth_a_retry(const struct failure *failure)
{
	switch ((enum failure_cause)failure->cause) {
	case FAILURE_SERVER:
	case FAILURE_MALFORMED:
	case FAILURE_TRUNCATED:
	case FAILURE_UNREACHABLE:
		return failure->retry_after_ms <= 0;
	default:
		return false;
	}
}

void backoff_failed(struct backoff *backoff, const struct failure *failure, unsigned int retries,
                    int64_t now_ms, uint32_t random)
{
	int64_t wait_ms;

	backoff->cause = failure->cause;
	backoff->failed_ms = now_ms;
	backoff->active = true;
	if (backoff->holds == 0 && backoff->tries < retries && worth_a_retry(failure)) {
		backoff->tries++;
		wait_ms = random % (RETRY_FIRST_MS << backoff->tries);
	} else {
		int64_t told_ms = failure->retry_after_ms;

		wait_ms = BACKOFF_HOLD_MS << backoff->holds;
		if (wait_ms >= HOLD_MOST_MS)
			wait_ms = HOLD_MOST_MS;
		else
			backoff->holds++;
		if (told_ms > RETRY_AFTER_MOST_MS)
			told_ms = RETRY_AFTER_MOST_MS;
		if (wait_ms < told_ms)
			wait_ms = told_ms;
	}
	backoff->until_ms = now_ms + wait_ms;
}

void backoff_clear(struct backoff *backoff)
{
	*backoff = (struct backoff){0};
}

void backoff_shorten(struct backoff *backoff, int64_t hold_ms)
{
	if (backoff->until_ms > backoff->failed_ms + hold_ms)
		backoff->until_ms = backoff->failed_ms + hold_ms;
}

bool backoff_is_retrying(const struct backoff *backoff)
{
	return backoff->active && backoff->holds == 0;
}

bool backoff_is_held(const struct backoff *backoff, int64_t now_ms)
{
	return backoff->active && backoff->holds > 0 && now_ms < backoff->until_ms;
}
