/* SPDX-License-Identifier: MIT */
#include "cache/sweep_read.h"

#include <errno.h>

#include "cache/sweep_gaps.h"
#include "cache/sweep_recheck.h"

/* Whether the run of pages that only repeat agents (`repeating` of struct sweep) is longer than
 * half of the pages up to this one. If so, the API returns the same page for many numbers. A page
 * may also repeat agents because it is newer or older than others. But each such page repeats those
 * of an earlier page that had them first, so at most half of the pages do that. */
static bool sweep_only_repeats(const struct sweep *sweep, unsigned int number)
{
	return 2 * sweep->repeating > number;
}

/* Whether the page that the first pass just read is the last. The list ends at an empty page (see
 * sweep_ends_in_empty_page()). It ends at a page that only repeats agents (sweep_only_repeats()),
 * unless the last list had more pages. Else a plausible total_count decides: the list ends when its
 * pages have that many elements. Else it ends at the first page that is not full. */
static bool sweep_ends_in_page(const struct sweeps *sweeps, const struct sweep *sweep,
                               const struct cached_page *page)
{
	unsigned int number = (unsigned int)sweep->pass.at;

	if (number >= FLEET_MAX_PAGES)
		return true;
	if (page->elements == 0)
		return sweep_ends_in_empty_page(sweeps, sweep, page);
	if (number >= sweeps->pages->last && sweep_only_repeats(sweep, number))
		return true;
	if (sweep_count_is_plausible(sweep))
		return sweep_covered_elements(sweep) >= (uint64_t)sweep->total_count;
	return !sweep_page_is_full(sweep, page);
}

/* Counts a page for the run of pages that only repeat agents. */
static void sweep_count_repeating(struct sweep *sweep, const struct cached_page *page,
                                  bool brought_new)
{
	if (brought_new)
		sweep->repeating = 0;
	else if (page->dropped < page->elements)
		sweep->repeating++;
}

/* Counts a page that the first pass read: how much of the list is read, and how old it is. */
static void sweep_count_page(const struct sweeps *sweeps, struct sweep *sweep,
                             const struct cached_page *page)
{
	int64_t expires_ms = page_expires_ms(sweeps->pages, page);

	sweep->elements += page->elements;
	sweep->dropped += page->dropped;
	sweep->page_size = page->per_page > 0 ? page->per_page : sweeps->pages->config->per_page;
	if (sweep->oldest_ms > page->arrived_ms)
		sweep->oldest_ms = page->arrived_ms;
	if (sweep->oldest_seq > page->arrived_seq)
		sweep->oldest_seq = page->arrived_seq;
	if (sweep->expires_ms > expires_ms)
		sweep->expires_ms = expires_ms;
}

/* Whether the recheck goes on behind the page that it just read. The first pass may have found too
 * few pages: it read pages from before the list grew, or a total_count that lags. So the recheck
 * reads on if the last page of the list is full and had an agent that was missed, and as long as
 * the pages behind the list are full. */
static bool recheck_goes_on(const struct pages *pages, const struct sweep *sweep,
                            const struct cached_page *page, unsigned int number)
{
	return sweep->pass.at == sweep->pass.count && number >= pages->last &&
	       number < FLEET_MAX_PAGES && sweep_page_is_full(sweep, page) &&
	       (sweep->repeating == 0 || number > sweep->list_pages) &&
	       !sweep_only_repeats(sweep, number);
}

/* Reads a page in the pass under way. 0 or -ENOMEM. */
static int sweep_read_page(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number)
{
	const struct cached_page *page = pages_find(sweeps->pages, number);
	size_t count_before = sweep->roster.count;
	int err = 0;

	if (sweep->rechecks == 0 && page->elements > 0) {
		if (sweep_go_back_to_empty(sweeps, sweep))
			return 0;
		err = sweep_skip_empty(sweeps, sweep);
	}
	if (err == 0)
		err = sweep_append_page(sweep, page);
	if (err < 0)
		return err;
	sweep->pass.at++;
	sweep->pass.moved |= page->moved;
	sweep_note_count(sweep, page);
	if (sweep->rechecks > 0 && number <= sweep->list_pages)
		sweep->repeating = 0; /* a recheck of these pages is expected to repeat agents */
	sweep_count_repeating(sweep, page, sweep->roster.count > count_before);
	if (sweep->rechecks > 0) {
		sweep->pass.count += recheck_goes_on(sweeps->pages, sweep, page, number);
		return 0;
	}
	sweep_count_page(sweeps, sweep, page);
	sweep_count_empty(sweep, page, number);
	if (sweep_ends_in_page(sweeps, sweep, page))
		sweep->pass.count = sweep->pass.at;
	return 0;
}

/* Skips a page that stays bad. 0 or -ENOMEM. */
static int sweep_skip_page(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number)
{
	int err = sweep->rechecks == 0 ? sweep_skip_empty(sweeps, sweep) : 0;

	if (err == 0)
		err = sweep_add_gap(sweeps, sweep, number);
	if (err < 0)
		return err;
	sweep->pass.at++;
	if (sweep->rechecks == 0 && sweep_ends_in_gap(sweeps, sweep))
		sweep->pass.count = sweep->pass.at;
	return 0;
}

int sweep_advance(struct sweeps *sweeps, struct sweep *sweep)
{
	sweep->used_ms = pages_now_ms(sweeps->pages);
	while (!sweep->complete) {
		unsigned int number;
		int err;

		if (sweep->pass.at == sweep->pass.count) {
			err = sweep_end_pass(sweeps, sweep);
			if (err < 0)
				return err;
			continue;
		}
		number = sweep_next_page(sweep);
		if (sweep_may_take(sweeps, sweep, number))
			err = sweep_read_page(sweeps, sweep, number);
		else if (pages_may_skip(sweeps->pages, number))
			err = sweep_skip_page(sweeps, sweep, number);
		else
			return 0;
		if (err < 0)
			return err;
	}
	return 0;
}

/* Requests */

/* Returns how many pages the pass likely has, so that reading ahead does not run past the end. */
static size_t sweep_likely_count(const struct sweeps *sweeps, const struct sweep *sweep)
{
	size_t read = sweep->pass.at - sweep->gap_count - sweep->empty_count;
	uint64_t size, pages;

	if (sweep->rechecks > 0)
		return sweep->pass.count;
	if (sweep->pass.at == 0 || sweep->total_count <= 0)
		return sweep->pass.at + 1;
	size = read > 0 ? sweep->elements / read : 0;
	if (size == 0)
		size = sweeps->pages->config->per_page;
	pages = ((uint64_t)sweep->total_count + size - 1) / size;
	if (pages > FLEET_MAX_PAGES)
		pages = FLEET_MAX_PAGES;
	return pages > sweep->pass.at ? pages : sweep->pass.at + 1;
}

int sweep_ask(struct sweeps *sweeps, struct sweep *sweep, struct query *query)
{
	struct pages *pages = sweeps->pages;
	size_t window = pages->config->max_connections;
	size_t count = sweep_likely_count(sweeps, sweep);
	unsigned int number = sweep_next_page(sweep);
	/* An HTTP cache may still have the response that the first pass read. */
	bool no_cache = sweep->rechecks > 0;
	int err;

	if (sweep->rechecks == 0) {
		number = sweep_probe(sweeps, sweep, (unsigned int)count);
		/* One page for a reader that needs only the first entries. */
		if (sweep->pass.at == 0)
			window = 1;
	}
	err = pages_ask(pages, number, no_cache, query);
	for (size_t i = sweep->pass.at + 1; i < sweep->pass.at + window && i < count; i++)
		if (!sweep_may_take(sweeps, sweep, sweep_pass_page(sweep, i)))
			pages_ask(pages, sweep_pass_page(sweep, i), no_cache, query);
	return err;
}

/* When the API fails */

/* Returns when a listing from memory expires: when the API, or the page that the sweep lacks, may
 * be requested again; at once if no backoff holds. If only that page fails, after one ttl at most,
 * because the other pages may have changed. */
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

/* Appends the agents of an earlier sweep in its order, then all others that are known: those were
 * found after that sweep. roster_reserve() has been called, so no append fails. */
static void sweep_append_known(const struct sweeps *sweeps, struct sweep *sweep,
                               const struct sweep *before)
{
	const struct records *records = sweeps->records;
	struct record *record;

	for (size_t i = 0; (record = roster_next(&before->roster, records, &i)); i++)
		sweep_append_stale(sweeps, sweep, record);
	for (size_t i = 0; i < records->count; i++)
		if (records->by_index[i])
			sweep_append_stale(sweeps, sweep, records->by_index[i]);
}

/* Whether the data of any agent may be served stale. */
static bool records_may_serve_stale(const struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		if (records->by_index[i] &&
		    pages_may_serve_stale(records->pages, records->by_index[i]->read_ms))
			return true;
	return false;
}

int sweep_complete_from_memory(struct sweeps *sweeps, struct sweep *sweep, int err)
{
	struct pages *pages = sweeps->pages;
	unsigned int number = sweep_next_page(sweep);
	const struct cached_page *lacked = pages_find(pages, number);
	const struct sweep *before = sweep_newest_complete(sweep->older);

	if (!before || (!sweep_may_serve_stale(sweeps, before) &&
	                (err == -EAGAIN || !records_may_serve_stale(sweeps->records))))
		return -ENOENT;
	/* If this fails, the sweep is unchanged, and reads on later. */
	if (roster_reserve(&sweep->roster, sweeps->records) < 0)
		return -ENOMEM;
	sweep->expires_ms = sweep_memory_expires_ms(pages, lacked);
	sweep->lacks_agents = before->lacks_agents;
	sweep_append_known(sweeps, sweep, before);
	sweep_end_passes(sweep);
	sweep->from_memory = true;
	/* If pages brought new agents since, total_count lacks them, so it is not verified. */
	sweep->dropped = before->dropped;
	sweep->total_count = before->total_count;
	sweep->verified = before->verified && !sweep->lacks_agents &&
	                  sweep_expected_count(sweep) == (uint64_t)sweep->total_count;
	sweep->list_pages = before->list_pages;
	sweep->oldest_ms = before->oldest_ms;
	sweep->oldest_seq = 0;
	sweep->gap_err = before->gap_err;
	sweep->missing_err = err == -EAGAIN ? before->gap_err : err;
	if (sweep->lacks_agents && sweep->missing_err == 0)
		sweep->missing_err = -failure_errno(FAILURE_TIMEOUT);
	pages_note_stale(pages, number);
	return 0;
}
