/* SPDX-License-Identifier: MIT */

/*
 * Pages that a sweep does without because they stay bad.
 *
 * A bad page costs its own agents only. The sweep skips it and goes on with the next one. Agents
 * that are known from the page are listed while they may be served stale; after that the listing
 * ends with the page's error. Any other agent may be on the page as well, so no name is denied. An
 * agent that the sweep missed has not departed if it was last seen next to the gap, or if the API
 * counts more agents than are listed.
 */

#include <errno.h>

#include "cache/sweep.h"

#define MOST_RUN   16    /* bad pages in a row, if total_count is more than a list may have */
#define MOST_BLIND 2     /* likewise, if no page was ever read */
#define KEEP_MS    60000 /* a record that is not listed any more is kept at least so long */

bool sweep_may_skip(const struct fleet *fleet, unsigned int number)
{
	const struct fleet_page *page;

	if (number > fleet->page_count || fleet->backoff.active)
		return false;
	page = &fleet->pages[number - 1];
	return !page->in_flight && backoff_is_held(&page->backoff, fleet_now_ms(fleet));
}

static int gap_list_stale(struct sweep *sweep, const struct fleet_page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		int err = page->records[i]->present ? sweep_append(sweep, page->records[i]) : 0;

		if (err < 0)
			return err;
	}
	return 0;
}

int sweep_skip(struct fleet *fleet, struct sweep *sweep, unsigned int number)
{
	const struct fleet_page *page = &fleet->pages[number - 1];
	bool stale = page->arrived_seq > 0 && fleet_may_serve_stale(fleet, page->arrived_ms);
	int64_t until_ms = fleet_now_ms(fleet) + BACKOFF_HOLD_MS;
	int err = set_has(&sweep->gaps, number) ? 0 : set_add(&sweep->gaps, number);

	if (err == 0 && stale)
		err = gap_list_stale(sweep, page);
	if (err < 0)
		return err;
	sweep->gap_count++;
	sweep->open |= !stale;
	if (sweep->missing == 0)
		sweep->missing = -failure_errno(page->backoff.cause);
	/* The listing expires when the page may be asked for again; but with many gaps it is not
	 * made anew for each of them. */
	if (until_ms < page->backoff.until_ms)
		until_ms = page->backoff.until_ms;
	if (sweep->good_ms > until_ms)
		sweep->good_ms = until_ms;
	sweep->oldest_seq = 0;
	if (stale && sweep->oldest_ms > page->arrived_ms)
		sweep->oldest_ms = page->arrived_ms;
	return 0;
}

uint64_t sweep_covered(const struct fleet *fleet, const struct sweep *sweep)
{
	int64_t size = sweep->page_size > 0 ? sweep->page_size : fleet->config.per_page;

	return sweep->items + sweep->skipped * (uint64_t)size;
}

/* Whether total_count agrees with the pages so far. */
static bool gaps_list_is_counted(const struct sweep *sweep)
{
	return sweep->total_count >= 0 && sweep->items <= (uint64_t)sweep->total_count;
}

bool sweep_ends_in_gap(const struct fleet *fleet, struct sweep *sweep)
{
	unsigned int number = sweep->next_page - 1;
	bool counted = gaps_list_is_counted(sweep);
	unsigned int most = MOST_BLIND;

	if (counted && sweep_covered(fleet, sweep) >= (uint64_t)sweep->total_count)
		return true;
	if (number < fleet->last_page)
		return false;
	/* Without a count it has as many pages as the time before. */
	if (!counted && fleet->last_page > 0)
		return true;
	if (counted)
		most = sweep->total_count <= FLEET_MAX_AGENTS ? FLEET_MAX_PAGES : MOST_RUN;
	sweep->endless = sweep->run >= most || number >= FLEET_MAX_PAGES;
	return sweep->endless;
}

bool sweep_is_gap(const struct sweep *sweep, unsigned int number)
{
	return set_has(&sweep->gaps, number) || (sweep->endless && number >= sweep->next_page);
}

bool sweep_may_be_in_gap(const struct sweep *sweep, const struct record *record)
{
	if (sweep->gap_count == 0)
		return false;
	/* The pages moved while they were read again: it may be on any of them. */
	if (sweep->looks > 0 && sweep->stirred)
		return true;
	if (sweep_is_gap(sweep, record->page - 1) || sweep_is_gap(sweep, record->page) ||
	    sweep_is_gap(sweep, record->page + 1))
		return true;
	/* It may have moved there from any page, unless all agents that the API counts are known
	 * without it. */
	return !gaps_list_is_counted(sweep) ||
	       sweep->count + sweep->repeated < (uint64_t)sweep->total_count;
}

int sweep_keep(struct fleet *fleet, struct sweep *sweep, struct record *record)
{
	int64_t expired_ms = record->read_ms + fleet->config.ttl_ms;

	if (fleet_may_serve_stale(fleet, record->read_ms))
		return sweep_append(sweep, record);
	/* Agents of the bad page itself cannot become more. Those that were missed elsewhere can,
	 * as agents come and go: so they do not stay for ever. */
	if (sweep_is_gap(sweep, record->page) || fleet_now_ms(fleet) < expired_ms + KEEP_MS)
		return 0;
	return fleet_depart(fleet, record);
}

/* The first of these pages that has not failed, 0 if all have. */
static unsigned int gaps_first_healthy(const struct fleet *fleet, unsigned int first,
                                       unsigned int last)
{
	for (unsigned int number = first; number <= last; number++)
		if (number > fleet->page_count || !fleet->pages[number - 1].backoff.active)
			return number;
	return 0;
}

unsigned int sweep_probe(const struct fleet *fleet, const struct sweep *sweep,
                         unsigned int last_page)
{
	unsigned int next = sweep->next_page;
	unsigned int read, unread;

	if (!fleet->backoff.active)
		return next;
	if (last_page < fleet->last_page)
		last_page = fleet->last_page;
	/* Nothing was ever read: perhaps it is the first page alone. */
	if (fleet->success_seq == 0 && fleet->backoff.holds >= 2 && last_page < MOST_BLIND)
		last_page = MOST_BLIND;
	unread = gaps_first_healthy(fleet, next, last_page);
	read = gaps_first_healthy(fleet, 1, next - 1);
	/* An unread page brings the sweep further. But it may be bad as well, so the second probe
	 * is for a page that was read. */
	if (unread > 0 && (read == 0 || fleet->backoff.holds < 2))
		return unread;
	return read > 0 ? read : next;
}
