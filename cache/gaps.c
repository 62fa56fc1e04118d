/* SPDX-License-Identifier: MIT */

/*
 * Pages that a sweep does without because they stay bad.
 *
 * A bad page costs its own agents only. The sweep skips it and goes on with the next one. Agents
 * that are known from the page are listed while they may be served stale; after that the listing
 * ends with the page's error. Whatever else is not listed may be on the page: no name is denied,
 * and an agent that was missed near the gap has not departed.
 */

#include <errno.h>

#include "cache/sweep.h"

#define MOST_RUN   16    /* bad pages in a row, of a list that is known to go on */
#define MOST_BLIND 2     /* likewise, when nothing tells how far the list goes */
#define KEEP_MS    60000 /* a record that is not listed any more is kept at least so long */

bool sweep_may_skip(const struct fleet *fleet, unsigned int number)
{
	const struct fleet_page *page;

	if (number > fleet->page_count || fleet->trouble.active)
		return false;
	page = &fleet->pages[number - 1];
	return !page->in_flight && trouble_held(&page->trouble, fleet_now_ms(fleet));
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
	int64_t until_ms = fleet_now_ms(fleet) + TROUBLE_HOLD_MS;
	int err = set_has(&sweep->gaps, number) ? 0 : set_add(&sweep->gaps, number);

	if (err == 0 && stale)
		err = gap_list_stale(sweep, page);
	if (err < 0)
		return err;
	sweep->gap_count++;
	sweep->open |= !stale;
	if (sweep->missing == 0)
		sweep->missing = -failure_errno(page->trouble.cause);
	/* The listing expires when the page may be asked for again; but with many gaps it is not
	 * made anew for each of them. */
	if (until_ms < page->trouble.until_ms)
		until_ms = page->trouble.until_ms;
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

bool sweep_ends_in_gap(const struct fleet *fleet, struct sweep *sweep)
{
	unsigned int number = sweep->next_page - 1;
	bool counted = sweep->total_count >= 0 && sweep->items <= (uint64_t)sweep->total_count;

	if (counted && sweep_covered(fleet, sweep) >= (uint64_t)sweep->total_count)
		return true;
	/* Without a count it has as many pages as the time before. */
	if (!counted && fleet->last_page > 0 && number >= fleet->last_page)
		return true;
	if (counted || fleet->last_page > 0)
		sweep->endless = sweep->run >= MOST_RUN || number >= FLEET_MAX_PAGES;
	else
		sweep->endless = sweep->run >= MOST_BLIND;
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
	return sweep_is_gap(sweep, record->page - 1) || sweep_is_gap(sweep, record->page) ||
	       sweep_is_gap(sweep, record->page + 1);
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

static bool page_has_not_failed(const struct fleet *fleet, unsigned int number)
{
	return number > fleet->page_count || !fleet->pages[number - 1].trouble.active;
}

unsigned int sweep_probe(const struct fleet *fleet, const struct sweep *sweep,
                         unsigned int last_page)
{
	unsigned int next = sweep->next_page;

	if (!fleet->trouble.active)
		return next;
	/* Nothing was ever read: perhaps it is the first page alone. */
	if (fleet->success_seq == 0 && fleet->trouble.holds >= 2 && last_page < MOST_BLIND)
		last_page = MOST_BLIND;
	for (unsigned int i = next; i <= last_page && i < next + MOST_RUN; i++)
		if (page_has_not_failed(fleet, i))
			return i;
	for (unsigned int i = next - 1; i >= 1 && i + MOST_RUN > next; i--)
		if (page_has_not_failed(fleet, i))
			return i;
	return next;
}
