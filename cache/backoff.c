/* SPDX-License-Identifier: MIT */
#include "cache/backoff.h"

#define RETRY_MS            250 /* doubled before each retry, the first one too */
#define MOST_HOLD_MS        30000
#define MOST_RETRY_AFTER_MS 300000

/* Returns whether a retry may succeed within one operation. A rejected credential or request is
 * rejected again, and a page that was too large does not shrink. */
static bool backoff_worth_retrying(const struct failure *failure)
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
	if (backoff->holds == 0 && backoff->tries < retries && backoff_worth_retrying(failure)) {
		backoff->tries++;
		wait_ms = random % (RETRY_MS << backoff->tries);
	} else {
		int64_t retry_after_ms = failure->retry_after_ms;

		wait_ms = BACKOFF_HOLD_MS << backoff->holds;
		if (wait_ms >= MOST_HOLD_MS)
			wait_ms = MOST_HOLD_MS;
		else
			backoff->holds++;
		if (retry_after_ms > MOST_RETRY_AFTER_MS)
			retry_after_ms = MOST_RETRY_AFTER_MS;
		if (wait_ms < retry_after_ms)
			wait_ms = retry_after_ms;
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
