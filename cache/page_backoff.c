/* SPDX-License-Identifier: MIT */

/*
 * Whether a failure is the API's or the page's own, and when either is asked again.
 *
 * A body that is bad is its page's own failure. Of the others (an error status, a timeout, a lost
 * connection) one page alone proves nothing: one agent may make the API fail for the page that it
 * is on. So the first page that fails backs off alone. When a second page fails before any has
 * arrived the API is to blame, and all pages wait for its backoff. A page that had failed before
 * another one arrived is bad itself, and no longer a reason to blame the API.
 */

#include "cache/sweep.h"

#define MANY_BAD 16 /* bad pages; further ones are not retried at once */

/* Whether a failure may be the page's own. The others concern the credential or the load, or the
 * API itself says when to ask again. */
static bool failure_may_be_of_a_page(const struct failure *failure)
{
	switch ((enum failure_cause)failure->cause) {
	case FAILURE_SERVER:
	case FAILURE_REQUEST:
	case FAILURE_UNREACHABLE:
	case FAILURE_TIMEOUT:
		return failure->retry_after_ms <= 0;
	default:
		return !failure_is_general(failure->cause);
	}
}

static bool page_is_to_blame(const struct fleet *fleet, unsigned int number,
                             const struct failure *failure)
{
	const struct fleet_page *page = &fleet->pages[number - 1];

	if (!failure_is_general(failure->cause))
		return true;
	if (!failure_may_be_of_a_page(failure) || fleet->backoff.active || fleet->success_seq == 0)
		return false;
	if (page->backoff.active && page->failed_seq < fleet->success_seq)
		return true;
	return fleet->suspect == 0 || fleet->suspect == number;
}

static void page_set_bad(struct fleet *fleet, struct fleet_page *page, bool bad)
{
	fleet->bad_pages += bad;
	fleet->bad_pages -= page->bad;
	page->bad = bad;
}

void fleet_page_recovers(struct fleet *fleet, struct fleet_page *page)
{
	fleet->backed_off -= page->backoff.active;
	backoff_clear(&page->backoff);
	page_set_bad(fleet, page, false);
}

void fleet_page_answers(struct fleet *fleet, struct fleet_page *page)
{
	fleet_page_recovers(fleet, page);
	backoff_clear(&fleet->backoff);
	fleet->suspect = 0;
	fleet->success_seq = fleet->seq;
	/* Pages that failed with the API are worth asking for at once. All bad ones together are
	 * asked for once a second at most. */
	for (unsigned int i = 0; fleet->backed_off > 0 && i < fleet->page_count; i++)
		if (fleet->pages[i].bad)
			backoff_shorten(&fleet->pages[i].backoff,
			                (int64_t)fleet->bad_pages * BACKOFF_HOLD_MS);
		else
			backoff_shorten(&fleet->pages[i].backoff, 0);
}

bool fleet_page_landed(struct fleet *fleet, struct fleet_page *page)
{
	fleet->in_flight -= page->in_flight;
	page->in_flight = false;
	fleet->stale_pages -= page->served_stale;
	page->served_stale = false;
	return page->asked_seq >= fleet->flush_seq;
}

void fleet_served_stale(struct fleet *fleet, unsigned int number)
{
	struct fleet_page *slow = NULL;

	if (number >= 1 && number <= fleet->page_count && fleet->pages[number - 1].in_flight)
		slow = &fleet->pages[number - 1];
	for (unsigned int i = 0; !slow && fleet->in_flight > 0 && i < fleet->page_count; i++)
		if (fleet->pages[i].in_flight)
			slow = &fleet->pages[i];
	if (!slow || slow->served_stale)
		return;
	slow->served_stale = true;
	fleet->stale_pages++;
}

static void page_failed(struct fleet *fleet, struct fleet_page *page, const struct failure *failure,
                        uint32_t random)
{
	/* With many bad pages, retries would multiply the requests of a listing. */
	unsigned int retries = fleet->bad_pages > MANY_BAD ? 0 : fleet->config.retries;

	fleet->backed_off += !page->backoff.active;
	page->failed_seq = fleet->seq;
	backoff_failed(&page->backoff, failure, retries, fleet_now_ms(fleet), random);
}

static void api_failed(struct fleet *fleet, const struct fleet_page *page,
                       const struct failure *failure, uint32_t random)
{
	unsigned int retries = fleet->config.retries;

	/* Pages asked for at the same time fail together: that is one failure. */
	if (page->asked_failures != fleet->noted)
		return;
	if (fleet->suspect > 0) {
		struct fleet_page *suspect = &fleet->pages[fleet->suspect - 1];

		/* The retries were made for that page. */
		if (!backoff_is_retrying(&suspect->backoff))
			retries = 0;
		page_set_bad(fleet, suspect, false);
	}
	fleet->suspect = 0;
	fleet->noted++;
	backoff_failed(&fleet->backoff, failure, retries, fleet_now_ms(fleet), random);
}

void fleet_failed(struct fleet *fleet, unsigned int number, const struct failure *failure)
{
	struct fleet_page *page = fleet_page(fleet, number);
	uint32_t random = fleet->ports.random(fleet->ports.user);
	bool own;

	++fleet->seq;
	fleet->failure = *failure;
	fleet->health.failures[failure->cause]++;
	if (!page || !fleet_page_landed(fleet, page))
		return;
	own = page_is_to_blame(fleet, number, failure);
	if (own && failure_is_general(failure->cause) && !page->backoff.active)
		fleet->suspect = number;
	if (own)
		page_set_bad(fleet, page, true);
	else
		api_failed(fleet, page, failure, random);
	if (own || failure_may_be_of_a_page(failure))
		page_failed(fleet, page, failure, random);
}
