/* SPDX-License-Identifier: MIT */
#include "cache/trouble.h"

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

void trouble_failed(struct trouble *trouble, const struct failure *failure, unsigned int retries,
                    int64_t now_ms, uint32_t random)
{
	int64_t wait_ms;

	trouble->cause = failure->cause;
	trouble->failed_ms = now_ms;
	trouble->active = true;
	if (trouble->holds == 0 && trouble->tries < retries && worth_a_retry(failure)) {
		trouble->tries++;
		wait_ms = random % (RETRY_FIRST_MS << trouble->tries);
	} else {
		int64_t told_ms = failure->retry_after_ms;

		wait_ms = TROUBLE_HOLD_MS << trouble->holds;
		if (wait_ms >= HOLD_MOST_MS)
			wait_ms = HOLD_MOST_MS;
		else
			trouble->holds++;
		if (told_ms > RETRY_AFTER_MOST_MS)
			told_ms = RETRY_AFTER_MOST_MS;
		if (wait_ms < told_ms)
			wait_ms = told_ms;
	}
	trouble->until_ms = now_ms + wait_ms;
}

void trouble_clear(struct trouble *trouble)
{
	*trouble = (struct trouble){0};
}

void trouble_relent(struct trouble *trouble, int64_t hold_ms)
{
	if (trouble->until_ms > trouble->failed_ms + hold_ms)
		trouble->until_ms = trouble->failed_ms + hold_ms;
}

bool trouble_retrying(const struct trouble *trouble)
{
	return trouble->active && trouble->holds == 0;
}

bool trouble_held(const struct trouble *trouble, int64_t now_ms)
{
	return trouble->active && trouble->holds > 0 && now_ms < trouble->until_ms;
}
