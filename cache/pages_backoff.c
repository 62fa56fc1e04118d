/* SPDX-License-Identifier: MIT */

/*
 * Decides whether the API or one page is to blame for a failure, and when either is requested
 * again.
 *
 * A response that is malformed, truncated, too large or outdated is the page's own failure.
 *
 * If the API demands a pause (429, Retry-After), or fleetfs lacks a token or memory, the API counts
 * as failed, and all pages wait.
 *
 * Any other failure (an error status, a timeout, a lost connection) of one page alone proves
 * nothing: one agent may make the API fail for its page, or a firewall reject it (403, or a
 * redirect to its notice). So the first page that fails backs off alone. If a second page fails
 * before another one arrives, the API is to blame, and all pages wait for its backoff. If another
 * page arrives after the first failure, that failure is the page's own, and no longer a reason to
 * blame the API. Before any page has arrived since the mount, every such failure counts for the
 * API.
 *
 * If a page is too large, the client requests it in parts. If a part fails (page_only) in one of
 * the ways of the paragraph above, that is always the page's own failure, because the API answered
 * the request of the whole page.
 */

#include "cache/pages.h"

#include <inttypes.h>

#define MANY_BAD 16 /* with more bad pages than this, failures are not retried before the hold */

/* Returns whether a failure may be the page's own. It is not if its cause is the load or fleetfs
 * itself (a token that cannot be read, so nothing was sent), or if the API sent Retry-After. */
static bool failure_may_be_of_a_page(const struct failure *failure)
{
	switch ((enum failure_cause)failure->cause) {
	case FAILURE_SERVER:
	case FAILURE_REQUEST:
	case FAILURE_UNREACHABLE:
	case FAILURE_TIMEOUT:
		return failure->retry_after_ms <= 0;
	case FAILURE_CREDENTIAL:
	case FAILURE_REDIRECT:
		return failure->retry_after_ms <= 0 && failure->http_status != 0;
	default:
		return !failure_is_general(failure->cause);
	}
}

/* Returns whether a failure certainly is the page's own. */
static bool failure_is_of_page_alone(const struct failure *failure)
{
	return !failure_is_general(failure->cause) ||
	       (failure->page_only && failure_may_be_of_a_page(failure));
}

static bool page_is_to_blame(const struct pages *pages, unsigned int number,
                             const struct failure *failure)
{
	const struct cached_page *page = &pages->pages[number - 1];

	if (failure_is_of_page_alone(failure))
		return true;
	if (!failure_may_be_of_a_page(failure) || pages->backoff.active || pages->success_seq == 0)
		return false;
	if (page->backoff.active && page->failed_seq < pages->success_seq)
		return true;
	return pages->suspect == 0 || pages->suspect == number;
}

static void page_set_bad(struct pages *pages, struct cached_page *page, bool bad)
{
	pages->bad += bad;
	pages->bad -= page->bad;
	page->bad = bad;
}

void pages_end_backoff(struct pages *pages, struct cached_page *page)
{
	pages->backed_off -= page->backoff.active;
	backoff_clear(&page->backoff);
	page_set_bad(pages, page, false);
	page->failed_empty = false;
	if (pages->suspect > 0 && page == &pages->pages[pages->suspect - 1])
		pages->suspect = 0;
}

/* Whether the API still counts as failed although this page arrived: the page was requested before
 * the failure, which needs a later success (needs_later_success). For example, it was read
 * ahead. */
static bool api_stays_failed(const struct pages *pages, const struct cached_page *page)
{
	return pages->backoff.active && pages->needs_later_success &&
	       page->asked_seq < pages->failed_seq;
}

void pages_succeed(struct pages *pages, struct cached_page *page)
{
	if (!page->failed_empty || page->elements > 0)
		pages_end_backoff(pages, page);
	pages->success_seq = page->arrived_seq;
	if (api_stays_failed(pages, page))
		return;
	backoff_clear(&pages->backoff);
	pages->suspect = 0;
	/* Pages that failed with the API are worth a request at once. All bad pages together get
	 * one request per second at most. */
	for (unsigned int i = 0; pages->backed_off > 0 && i < pages->count; i++) {
		int64_t hold_ms = pages->pages[i].bad ? (int64_t)pages->bad * BACKOFF_HOLD_MS : 0;

		backoff_shorten(&pages->pages[i].backoff, hold_ms);
	}
}

static void page_note_failure(struct pages *pages, struct cached_page *page,
                              const struct failure *failure, uint32_t random)
{
	/* With many bad pages, retries would multiply the requests of a listing. */
	unsigned int retries = pages->bad > MANY_BAD ? 0 : pages->config->retries;

	pages->backed_off += !page->backoff.active;
	page->failed_seq = pages->seq;
	backoff_failed(&page->backoff, failure, retries, pages_now_ms(pages), random);
	page->was_missing |= page->arrived_seq == 0 && !pages->gapless_list_known &&
	                     !backoff_is_retrying(&page->backoff);
}

static void api_note_failure(struct pages *pages, const struct cached_page *page,
                             const struct failure *failure, uint32_t random)
{
	unsigned int retries = pages->config->retries;

	/* Pages that were requested together fail together: that is one failure. */
	if (page->asked_seq < pages->failed_seq)
		return;
	if (pages->suspect > 0) {
		struct cached_page *suspect = &pages->pages[pages->suspect - 1];

		/* Retries that the suspect page used up are not granted to the API again. */
		if (!backoff_is_retrying(&suspect->backoff))
			retries = 0;
		page_set_bad(pages, suspect, false);
	}
	pages->suspect = 0;
	pages->failed_seq = pages->seq;
	pages->needs_later_success = failure->cause == FAILURE_CREDENTIAL ||
	                             failure->cause == FAILURE_REDIRECT ||
	                             !failure_may_be_of_a_page(failure);
	backoff_failed(&pages->backoff, failure, retries, pages_now_ms(pages), random);
}

void pages_fail(struct pages *pages, unsigned int number, const struct failure *failure)
{
	struct cached_page *page = pages_create(pages, number);
	uint32_t random = pages->ports->random(pages->ports->user);
	bool own;

	++pages->seq;
	pages->last_failure = *failure;
	pages->failures_of[failure->cause]++;
	if (!page)
		return;
	pages_land(pages, page);
	if (page_ignores_response(pages, page))
		return;
	own = page_is_to_blame(pages, number, failure);
	if (own && !failure_is_of_page_alone(failure) && !page->backoff.active)
		pages->suspect = number;
	if (own)
		page_set_bad(pages, page, true);
	else
		api_note_failure(pages, page, failure, random);
	if (own || failure_may_be_of_a_page(failure))
		page_note_failure(pages, page, failure, random);
}

void pages_fail_empty(struct pages *pages, unsigned int number)
{
	struct cached_page *page = pages_find(pages, number);
	struct failure failure = {.retry_after_ms = -1, .at_ns = pages_wall_ns(pages)};

	if (page->arrived_seq == 0 && page->backoff.active)
		return;
	failure_set(&failure, FAILURE_MALFORMED,
	            "page %u is empty, but total_count is %" PRId64
	            " and pages behind it have agents",
	            number, page->total_count);
	failure.remedy = "ask the operator of the API";
	++pages->seq;
	pages->last_failure = failure;
	pages->failures_of[FAILURE_MALFORMED]++;
	page_reset(page);
	page_set_bad(pages, page, true);
	page->failed_empty = true;
	page->was_missing = !pages->gapless_list_known;
	pages->backed_off += !page->backoff.active;
	page->failed_seq = pages->seq;
	backoff_failed(&page->backoff, &failure, 0, pages_now_ms(pages), 0);
}

bool pages_may_skip(const struct pages *pages, unsigned int number)
{
	const struct cached_page *page = pages_find(pages, number);

	return page && !page->in_flight && !pages->backoff.active &&
	       backoff_is_held(&page->backoff, pages_now_ms(pages));
}

int64_t pages_next_try_ms(const struct pages *pages)
{
	int64_t next_ms = INT64_MAX;

	if (pages->backoff.active)
		return pages->backoff.until_ms;
	for (unsigned int i = 0; i < pages->count; i++) {
		const struct cached_page *page = &pages->pages[i];

		if (page->backoff.active && next_ms > page->backoff.until_ms)
			next_ms = page->backoff.until_ms;
	}
	return next_ms;
}
