/* SPDX-License-Identifier: MIT */
#include "cache/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS    2000 /* how long a query waits for a slow API if there is stale data */
#define RETRY_PAUSE_MS 2000 /* a retry this long after the failure counts as a new request */

void pages_init(struct pages *pages, const struct fleet_config *config,
                const struct fleet_ports *ports)
{
	*pages = (struct pages){.config = config, .ports = ports};
}

void pages_done(struct pages *pages)
{
	for (unsigned int i = 0; i < pages->count; i++)
		page_reset(&pages->pages[i]);
	free(pages->pages);
}

int64_t pages_now_ms(const struct pages *pages)
{
	return pages->ports->now_ms(pages->ports->user);
}

int64_t pages_wall_ns(const struct pages *pages)
{
	return pages->ports->wall_ns(pages->ports->user);
}

struct cached_page *pages_create(struct pages *pages, unsigned int number)
{
	if (number > FLEET_MAX_PAGES)
		return NULL;
	if (number > pages->count) {
		unsigned int more = number + number / 2;
		struct cached_page *array = realloc(pages->pages, more * sizeof(*array));

		if (!array)
			return NULL;
		memset(array + pages->count, 0, (more - pages->count) * sizeof(*array));
		pages->pages = array;
		pages->count = more;
	}
	return &pages->pages[number - 1];
}

struct cached_page *pages_find(const struct pages *pages, unsigned int number)
{
	return number >= 1 && number <= pages->count ? &pages->pages[number - 1] : NULL;
}

/* Requests */

/* Returns 0 if the backoff permits a request now, -EAGAIN before a retry, or -errno of the failure
 * during a hold. */
static int pages_check_backoff(const struct backoff *backoff, int64_t now_ms, struct query *query)
{
	if (!backoff->active || now_ms >= backoff->until_ms)
		return 0;
	if (!backoff_is_retrying(backoff))
		return -failure_errno(backoff->cause);
	if (query->wake_ms > backoff->until_ms)
		query->wake_ms = backoff->until_ms;
	return -EAGAIN;
}

/* Whether the page failed just now and is retried for the queries that waited for it. After a pause
 * without queries a retry counts as a new request, because the API may work again. */
static bool page_is_being_retried(const struct cached_page *page, int64_t now_ms)
{
	return backoff_is_retrying(&page->backoff) &&
	       now_ms < page->backoff.failed_ms + RETRY_PAUSE_MS;
}

static int pages_request(struct pages *pages, struct cached_page *page, unsigned int number,
                         bool no_cache)
{
	bool conditional = validator_is_present(&page->validator) && page_is_intact(page, number);
	int64_t now_ms = pages_now_ms(pages);
	int err;

	if (page->arrived_seq <= pages->expired_seq && pages->expired_seq > 0)
		no_cache = true;
	err = pages->ports->request_page(pages->ports->user, number,
	                                 conditional ? &page->validator : NULL, no_cache);
	if (err < 0)
		return err;
	page->in_flight = true;
	page->asked_no_cache = no_cache;
	if (!page_is_being_retried(page, now_ms))
		page->awaited_ms = now_ms;
	page->asked_seq = pages->seq;
	pages->in_flight++;
	pages->asked++;
	return -EAGAIN;
}

int pages_ask(struct pages *pages, unsigned int number, bool no_cache, struct query *query)
{
	struct cached_page *page = pages_create(pages, number);
	int64_t now_ms = pages_now_ms(pages);
	int err;

	if (!page)
		return number > FLEET_MAX_PAGES ? -EFBIG : -ENOMEM;
	if (page->in_flight) {
		pages->coalesced += !query->asked;
		query->asked = true;
		return -EAGAIN;
	}
	query->asked = true;
	err = pages_check_backoff(&pages->backoff, now_ms, query);
	if (err == 0)
		err = pages_check_backoff(&page->backoff, now_ms, query);
	if (err < 0)
		return err;
	/* An API that failed is probed by one request at a time. */
	if (pages->backoff.active && pages->in_flight > 0)
		return -EAGAIN;
	return pages_request(pages, page, number, no_cache);
}

/* Returns this page if it is in flight, else any other page in flight; NULL if none is. While the
 * API is in backoff, pages_ask() requests no page as long as another one is in flight, so a query
 * for this page waits for that one. */
static struct cached_page *pages_awaited(const struct pages *pages, unsigned int number)
{
	struct cached_page *page = pages_find(pages, number);

	if (page && page->in_flight)
		return page;
	for (unsigned int i = 0; pages->pages && pages->in_flight > 0 && i < pages->count; i++)
		if (pages->pages[i].in_flight)
			return &pages->pages[i];
	return NULL;
}

bool pages_patience_is_over(const struct pages *pages, unsigned int number, struct query *query)
{
	const struct cached_page *page = pages_find(pages, number);
	int64_t timeout_ms = pages->config->timeout_ms;
	int64_t now_ms = pages_now_ms(pages);
	int64_t until_ms = query->began_ms;

	if (!page || (!page->in_flight && !page_is_being_retried(page, now_ms)))
		page = pages->backoff.active ? pages_awaited(pages, number) : NULL;
	if (page && page->awaited_ms < until_ms)
		until_ms = page->awaited_ms;
	if (timeout_ms > 0 && timeout_ms * 3 / 4 < PATIENCE_MS)
		until_ms += timeout_ms * 3 / 4;
	else
		until_ms += PATIENCE_MS;
	if (now_ms >= until_ms)
		return true;
	if (query->wake_ms > until_ms)
		query->wake_ms = until_ms;
	return false;
}

void pages_note_stale(struct pages *pages, unsigned int number)
{
	struct cached_page *slow = pages_awaited(pages, number);

	if (!slow || slow->served_stale)
		return;
	slow->served_stale = true;
	pages->stale++;
}

void pages_land(struct pages *pages, struct cached_page *page)
{
	pages->in_flight -= page->in_flight;
	page->in_flight = false;
	pages->stale -= page->served_stale;
	page->served_stale = false;
}

bool page_ignores_response(const struct pages *pages, const struct cached_page *page)
{
	return page->asked_seq < pages->expired_seq;
}

/* Expiry */

bool pages_fresh(const struct pages *pages, int64_t read_ms, uint64_t read_seq)
{
	return pages_left_ms(pages, read_ms, read_seq) > 0;
}

int64_t pages_left_ms(const struct pages *pages, int64_t read_ms, uint64_t read_seq)
{
	int64_t left_ms = read_ms + pages->config->ttl_ms - pages_now_ms(pages);

	return read_seq > pages->expired_seq && left_ms > 0 ? left_ms : 0;
}

int64_t pages_stale_end_ms(const struct pages *pages, int64_t read_ms)
{
	return read_ms + pages->config->ttl_ms + pages->config->stale_ms;
}

bool pages_may_serve_stale(const struct pages *pages, int64_t read_ms)
{
	return pages_now_ms(pages) < pages_stale_end_ms(pages, read_ms);
}

int64_t page_expires_ms(const struct pages *pages, const struct cached_page *page)
{
	int64_t end_ms = page->arrived_ms + pages->config->ttl_ms;
	int64_t stale_ms = pages_stale_end_ms(pages, page->arrived_ms);

	if (page->arrived_seq <= pages->expired_seq)
		return 0;
	if (!page_is_outdated(page))
		return end_ms;
	return page->backoff.until_ms < stale_ms ? page->backoff.until_ms : stale_ms;
}

bool page_is_fresh(const struct pages *pages, const struct cached_page *page)
{
	return pages_now_ms(pages) < page_expires_ms(pages, page);
}

bool page_is_outdated(const struct cached_page *page)
{
	return page->backoff.active && page->backoff.cause == FAILURE_OLD;
}

void pages_expire_all(struct pages *pages)
{
	pages->expired_seq = ++pages->seq;
	backoff_clear(&pages->backoff);
	for (unsigned int i = 0; i < pages->count; i++)
		pages_end_backoff(pages, &pages->pages[i]);
}

/* Content */

void pages_note_arrival(struct pages *pages, struct cached_page *page, const struct page *response,
                        int64_t at_ms, uint64_t seq)
{
	page->arrived_ms = at_ms;
	page->arrived_seq = seq;
	page->was_missing = false;
	page->no_cache = page->asked_no_cache;
	if (!response->old)
		pages_succeed(pages, page);
	pages->success_ms = at_ms;
	pages->success_ns = pages_wall_ns(pages);
	pages->arrived++;
}

void page_reset(struct cached_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		record_unref(page->records[i]);
	free(page->records);
	page->records = NULL;
	page->count = 0;
	page->arrived_seq = 0;
	page->validator = (struct validator){0};
}

void pages_truncate(struct pages *pages, unsigned int last)
{
	pages->last = last;
	for (unsigned int i = last; i < pages->count; i++) {
		pages_end_backoff(pages, &pages->pages[i]);
		page_reset(&pages->pages[i]);
		pages->pages[i].was_missing = false;
	}
}

bool page_is_intact(const struct cached_page *page, unsigned int number)
{
	if (page->arrived_seq == 0 || page->count + page->dropped != page->elements)
		return false;
	for (size_t i = 0; i < page->count; i++) {
		const struct record *record = page->records[i];

		if (!record->present || record->page != number ||
		    record->read_seq != page->arrived_seq)
			return false;
	}
	return true;
}
