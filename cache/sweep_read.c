/* SPDX-License-Identifier: MIT */
#include "cache/sweep_read.h"

#include <errno.h>

#include "cache/sweep_gaps.h"
#include "cache/sweep_recheck.h"

#define MOST_BARREN 2

/* Appends the agents of a page to the roster. 0 or -ENOMEM. */
static int sweep_append_page(struct sweep *sweep, const struct cached_page *page)
{
	size_t unique_before = sweep->unique;

	for (size_t i = 0; i < page->count; i++) {
		struct record *record = page->records[i];
		int err;

		if (!record->present)
			continue;
		err = roster_append(&sweep->roster, record);
		if (err == 0 && !set_has(&sweep->seen, record->index)) {
			err = set_add(&sweep->seen, record->index);
			sweep->unique += err == 0;
		}
		if (err < 0)
			return err;
	}
	sweep->moved |= page->moved;
	if (sweep->unique > unique_before)
		sweep->barren = 0;
	else if (page->malformed == 0 || page->malformed < page->items)
		sweep->barren++;
	return 0;
}

/* Whether the page that was just read is the last. A consistent API is asked for exactly
 * ⌈total_count / per_page⌉ pages; one whose numbers contradict each other until a page is not full
 * or has no new agent. */
static bool sweep_ends_in_page(const struct sweeps *sweeps, const struct sweep *sweep,
                               const struct cached_page *page)
{
	int64_t size =
		page->per_page != AGENT_ABSENT ? page->per_page : sweeps->pages->config->per_page;

	if (page->items == 0 || sweep->barren >= MOST_BARREN)
		return true;
	if (sweep->next_page > FLEET_MAX_PAGES)
		return true;
	if (page->total_count >= 0 && sweep->items <= (uint64_t)page->total_count)
		return sweep_covered_items(sweeps, sweep) >= (uint64_t)page->total_count;
	return page->items < (uint64_t)size;
}

/* Reads a page in the pass under way. 0 or -ENOMEM. */
static int sweep_read_page(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number)
{
	const struct pages *pages = sweeps->pages;
	const struct cached_page *page = pages_find(pages, number);
	int err = sweep_append_page(sweep, page);

	if (err < 0 || sweep->again)
		return err;
	sweep->next_page++;
	sweep->run = 0;
	sweep->items += page->items;
	sweep->dropped += page->dropped;
	sweep->total_count = page->total_count;
	sweep->page_size = page->per_page > 0 ? page->per_page : pages->config->per_page;
	if (sweep->oldest_ms > page->arrived_ms)
		sweep->oldest_ms = page->arrived_ms;
	if (sweep->oldest_seq > page->arrived_seq)
		sweep->oldest_seq = page->arrived_seq;
	if (sweep->expires_ms > page_expires_ms(pages, page))
		sweep->expires_ms = page_expires_ms(pages, page);
	sweep->pass_read = sweep_ends_in_page(sweeps, sweep, page);
	return 0;
}

/* Skips a page that stays bad. 0 or -ENOMEM. */
static int sweep_skip_page(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number)
{
	int err = sweep_add_gap(sweeps, sweep, number);

	if (err < 0 || sweep->again)
		return err;
	sweep->next_page++;
	sweep->skipped++;
	sweep->run++;
	sweep->pass_read = sweep_ends_in_gap(sweeps, sweep);
	return 0;
}

int sweep_advance(struct sweeps *sweeps, struct sweep *sweep)
{
	sweep->used_ms = pages_now_ms(sweeps->pages);
	while (!sweep->complete) {
		unsigned int number;
		int err;

		/* Apart from reading the last page, so that it can be tried again. */
		if (sweep->pass_read) {
			err = sweep_end_pass(sweeps, sweep);
			if (err < 0)
				return err;
			continue;
		}
		number = sweep_lacks(sweep);
		if (sweep_may_take(sweeps, sweep, number))
			err = sweep_read_page(sweeps, sweep, number);
		else if (pages_may_skip(sweeps->pages, number))
			err = sweep_skip_page(sweeps, sweep, number);
		else
			return 0;
		if (err < 0)
			return err;
		if (sweep->again)
			sweep->pass_read = ++sweep->again_at == sweep->again_count;
	}
	return 0;
}

/* Requests */

/* Returns the likely last page, so that reading ahead does not run past the end. */
static unsigned int sweep_likely_last(const struct sweeps *sweeps, const struct sweep *sweep)
{
	uint64_t size, pages;

	if (sweep->next_page == 1)
		return sweep->passes > 1 ? sweeps->pages->last : 1;
	if (sweep->total_count <= 0)
		return sweep->next_page;
	size = sweep->next_page - 1 - sweep->skipped;
	size = size > 0 ? sweep->items / size : 0;
	if (size == 0)
		size = sweeps->pages->config->per_page;
	pages = ((uint64_t)sweep->total_count + size - 1) / size;
	if (pages > FLEET_MAX_PAGES)
		pages = FLEET_MAX_PAGES;
	return pages < sweep->next_page ? sweep->next_page : (unsigned int)pages;
}

int sweep_ask(struct sweeps *sweeps, struct sweep *sweep, struct query *query)
{
	struct pages *pages = sweeps->pages;
	unsigned int window = pages->config->max_connections;
	/* An HTTP cache may have kept what the first pass saw. */
	bool no_cache = !sweep_is_in_first_pass(sweep);
	unsigned int last;
	int err;

	if (sweep->again) {
		err = pages_ask(pages, sweep->again[sweep->again_at], no_cache, query);
		for (size_t i = sweep->again_at + 1;
		     i < sweep->again_count && i < sweep->again_at + window; i++)
			if (!sweep_may_take(sweeps, sweep, sweep->again[i]))
				pages_ask(pages, sweep->again[i], no_cache, query);
		return err;
	}
	/* One page for a reader that needs only the first entries; twice as many as were read for
	 * one that goes on. */
	if (sweep->passes == 1 && window > 2 * (sweep->next_page - 1))
		window = 2 * (sweep->next_page - 1);
	last = sweep_likely_last(sweeps, sweep);
	err = pages_ask(pages, sweep_probe(sweeps, sweep, last), no_cache, query);
	for (unsigned int i = 1; i < window && sweep->next_page + i <= last; i++)
		if (!sweep_may_take(sweeps, sweep, sweep->next_page + i))
			pages_ask(pages, sweep->next_page + i, no_cache, query);
	return err;
}

/* When the API fails */

/* Returns until when a listing from memory serves: until the API, or the page that the sweep lacks,
 * may be requested again. If only that page fails, it is the ttl at most, since the other pages may
 * have changed. */
static int64_t sweep_memory_expires_ms(const struct pages *pages, const struct cached_page *lacked)
{
	int64_t now_ms = pages_now_ms(pages);
	int64_t ttl_end_ms = now_ms + pages->config->ttl_ms;

	if (backoff_is_held(&pages->backoff, now_ms))
		return pages->backoff.until_ms;
	if (!lacked || !backoff_is_held(&lacked->backoff, now_ms))
		return now_ms;
	return lacked->backoff.until_ms < ttl_end_ms ? lacked->backoff.until_ms : ttl_end_ms;
}

/* Appends the agents of an earlier sweep in its order, then all others that are known: they were
 * found since, on pages that this sweep did not get to. */
static int sweep_append_known(const struct records *records, struct sweep *sweep,
                              const struct sweep *before)
{
	struct record *record;

	for (size_t i = 0; (record = roster_next(&before->roster, records, &i)); i++)
		if (roster_append(&sweep->roster, record) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < records->count; i++)
		if (records->by_index[i] && roster_append(&sweep->roster, records->by_index[i]) < 0)
			return -ENOMEM;
	return 0;
}

int sweep_complete_from_memory(struct sweeps *sweeps, struct sweep *sweep)
{
	struct pages *pages = sweeps->pages;
	unsigned int number = sweep_lacks(sweep);
	const struct cached_page *lacked = pages_find(pages, number);
	const struct sweep *before = sweep->older;

	while (before && !before->complete)
		before = before->older;
	if (!before || !pages_may_serve_stale(pages, sweeps->list_ms))
		return -ENOENT;
	if (sweep_append_known(sweeps->records, sweep, before) < 0)
		return -ENOMEM;
	sweep->complete = true;
	sweep->verified = false;
	sweep->from_memory = true;
	sweep->open = before->open;
	sweep->missing = before->missing;
	if (pages->backoff.active)
		sweep->missing = -failure_errno(pages->backoff.cause);
	else if (lacked && lacked->backoff.active)
		sweep->missing = -failure_errno(lacked->backoff.cause);
	sweep_end_passes(sweep);
	pages_note_stale(pages, number);
	sweep->expires_ms = sweep_memory_expires_ms(pages, lacked);
	sweep->oldest_seq = 0;
	sweep->oldest_ms = sweep->expires_ms - pages->config->ttl_ms;
	return 0;
}
