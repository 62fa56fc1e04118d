/* SPDX-License-Identifier: MIT */
#include "cache/sweep_gaps.h"

#define MOST_EMPTY        8     /* consecutive empty pages */
#define MOST_RUN          16    /* gaps in a row, if total_count exceeds FLEET_MAX_AGENTS */
#define MOST_RUN_UNKNOWN  2     /* gaps in a row before any agents or a plausible total_count */
#define MOST_FIRST_PROBES 2     /* pages to try while no page has ever arrived */
#define KEEP_MS           60000 /* a missed record is retained at least this long after its ttl */

/* Whether known agents of a page that becomes a gap may be served stale. If not, the listing lacks
 * agents of the page. */
static bool sweep_gap_may_serve_stale(const struct sweeps *sweeps, const struct cached_page *page,
                                      unsigned int number)
{
	const struct records *records = sweeps->records;

	if (page->arrived_seq > 0)
		return pages_may_serve_stale(sweeps->pages, page->arrived_ms);
	/* An empty page has no records any more: search those that were last read on it.
	 * sweep_handle_missed_in_gap() lists them. */
	for (size_t i = 0; page->failed_empty && i < records->count; i++) {
		const struct record *record = records->by_index[i];

		if (record && record->page == number &&
		    pages_may_serve_stale(sweeps->pages, record->read_ms))
			return true;
	}
	return false;
}

int sweep_add_gap(const struct sweeps *sweeps, struct sweep *sweep, unsigned int number)
{
	const struct cached_page *page = pages_find(sweeps->pages, number);
	bool stale = sweep_gap_may_serve_stale(sweeps, page, number);
	int64_t until_ms = pages_now_ms(sweeps->pages) + BACKOFF_HOLD_MS;
	int err = set_reserve(&sweep->gaps, number);

	if (err == 0 && stale)
		err = sweep_append_page(sweep, page);
	if (err < 0)
		return err;
	/* From here on nothing fails. If the page had been added before, and arrived before the
	 * next call, it would remain a gap although the pass read it. */
	set_add(&sweep->gaps, number);
	sweep->gap_count++;
	sweep->lacks_agents |= !stale;
	if (sweep->gap_err == 0)
		sweep->gap_err = -failure_errno(page->backoff.cause);
	sweep->missing_err = sweep->gap_err;
	/* The listing expires when the page may be requested again, but not within a second: with
	 * many gaps it would be made again for each of them. */
	if (until_ms < page->backoff.until_ms)
		until_ms = page->backoff.until_ms;
	if (sweep->expires_ms > until_ms)
		sweep->expires_ms = until_ms;
	/* A query needs the missing page as well. So it is not enough for sweeps_serves() that all
	 * other pages arrived after the query began. */
	sweep->oldest_seq = 0;
	if (!stale || page->arrived_seq == 0)
		return 0;
	sweep_note_count(sweep, page);
	if (sweep->oldest_ms > page->arrived_ms)
		sweep->oldest_ms = page->arrived_ms;
	if (sweep->expires_ms > pages_stale_end_ms(sweeps->pages, page->arrived_ms))
		sweep->expires_ms = pages_stale_end_ms(sweeps->pages, page->arrived_ms);
	return 0;
}

void sweep_count_empty(struct sweep *sweep, const struct cached_page *page, unsigned int number)
{
	if (page->elements > 0) {
		sweep->empty_again = false;
		sweep->empty_seq = 0;
	} else if (sweep->empty_count++ == 0) {
		sweep->empty_first = number;
		if (sweep->empty_seq < page->asked_seq)
			sweep->empty_seq = page->asked_seq;
	}
}

bool sweep_go_back_to_empty(const struct sweeps *sweeps, struct sweep *sweep)
{
	if (sweep->empty_count == 0 || sweep->empty_again ||
	    pages_find(sweeps->pages, sweep->empty_first)->failed_empty)
		return false;
	sweep->pass.at -= sweep->empty_count;
	sweep->empty_count = 0;
	sweep->empty_again = true;
	sweep->empty_seq = ++sweeps->pages->seq;
	return true;
}

int sweep_skip_empty(const struct sweeps *sweeps, struct sweep *sweep)
{
	for (; sweep->empty_count > 0; sweep->empty_first++, sweep->empty_count--) {
		int err;

		pages_fail_empty(sweeps->pages, sweep->empty_first);
		err = sweep_add_gap(sweeps, sweep, sweep->empty_first);
		if (err < 0)
			return err;
	}
	sweep->empty_again = false;
	sweep->empty_seq = 0;
	return 0;
}

bool sweep_ends_in_empty_page(const struct sweeps *sweeps, const struct sweep *sweep,
                              const struct cached_page *page)
{
	uint64_t size =
		page->per_page > 0 ? (uint64_t)page->per_page : sweeps->pages->config->per_page;

	if (page->total_count < 0 || page->total_count > FLEET_MAX_AGENTS)
		return true;
	/* total_count exceeded the last list by `unexplained`: no page is expected for those. */
	return sweep->empty_count >= MOST_EMPTY ||
	       sweep->pass.at * size + sweeps->unexplained >= (uint64_t)page->total_count;
}

unsigned int sweep_end_list(const struct sweeps *sweeps, const struct sweep *sweep)
{
	struct cached_page *end;

	if (sweep->empty_count == 0)
		return (unsigned int)sweep->pass.at;
	end = pages_find(sweeps->pages, sweep->empty_first);
	if (end->failed_empty)
		pages_end_backoff(sweeps->pages, end);
	return sweep->empty_first;
}

uint64_t sweep_covered_elements(const struct sweep *sweep)
{
	return sweep->elements + sweep->gap_count * (uint64_t)sweep->page_size;
}

bool sweep_count_is_plausible(const struct sweep *sweep)
{
	return sweep->total_count >= 0 && sweep->elements <= (uint64_t)sweep->total_count;
}

/* Whether the last `most` pages up to page `last` are all gaps. */
static bool sweep_has_run_of_gaps(const struct sweep *sweep, unsigned int last, unsigned int most)
{
	for (unsigned int i = 0; i < most; i++)
		if (last == i || !set_has(&sweep->gaps, last - i))
			return false;
	return true;
}

bool sweep_ends_in_gap(const struct sweeps *sweeps, struct sweep *sweep)
{
	unsigned int number = (unsigned int)sweep->pass.at;
	bool counted = sweep_count_is_plausible(sweep);
	unsigned int most = MOST_RUN_UNKNOWN;

	if (counted && sweep_covered_elements(sweep) >= (uint64_t)sweep->total_count)
		return true;
	if (number < sweeps->pages->last)
		return false;
	/* Without a plausible total_count, the list is taken to end at the highest known page.
	 * Before the first whole list, that is only the highest page that has arrived, so agents
	 * may be lacking. */
	if (!counted && sweeps->pages->last > 0) {
		sweep->lacks_agents |= !sweeps->records->list_known;
		return true;
	}
	if (counted)
		most = sweep->total_count <= FLEET_MAX_AGENTS ? FLEET_MAX_PAGES : MOST_RUN;
	sweep->endless = number >= FLEET_MAX_PAGES || sweep_has_run_of_gaps(sweep, number, most);
	return sweep->endless;
}

bool sweep_is_gap(const struct sweep *sweep, unsigned int number)
{
	return set_has(&sweep->gaps, number) || (sweep->endless && number > sweep->list_pages);
}

bool sweep_may_be_in_gap(const struct sweep *sweep, const struct record *record)
{
	if (sweep->missing_err == 0)
		return false;
	/* The agents moved while the pages were read again: it may be on any page. */
	if (sweep->rechecks > 0 && sweep->pass.moved)
		return true;
	if (sweep_is_gap(sweep, record->page - 1) || sweep_is_gap(sweep, record->page) ||
	    sweep_is_gap(sweep, record->page + 1))
		return true;
	/* It may have moved to a gap from any page, unless all agents that the API counts are
	 * known without it. */
	return !sweep_count_is_plausible(sweep) ||
	       sweep_expected_count(sweep) < (uint64_t)sweep->total_count;
}

int sweep_handle_missed_in_gap(struct sweeps *sweeps, struct sweep *sweep, struct record *record)
{
	const struct pages *pages = sweeps->pages;
	int64_t expired_ms = record->read_ms + pages->config->ttl_ms;
	int64_t now_ms = pages_now_ms(pages);

	/* Agents of the bad page itself are limited in number. Those of other pages would add up as
	 * agents come and go, so they are not retained for ever. */
	if (!pages_may_serve_stale(pages, record->read_ms) && now_ms >= expired_ms + KEEP_MS &&
	    !sweep_is_gap(sweep, record->page))
		return sweeps_depart(sweeps, record);
	return sweep_append_stale(sweeps, sweep, record);
}

/* Returns the first of these pages that has not failed, 0 if all have. */
static unsigned int pages_first_healthy(const struct pages *pages, unsigned int first,
                                        unsigned int last)
{
	for (unsigned int number = first; number <= last; number++) {
		const struct cached_page *page = pages_find(pages, number);

		if (!page || !page->backoff.active)
			return number;
	}
	return 0;
}

unsigned int sweep_probe(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int last)
{
	const struct pages *pages = sweeps->pages;
	unsigned int next = sweep_next_page(sweep);
	unsigned int read, unread;

	if (!pages->backoff.active)
		return next;
	if (last < pages->last)
		last = pages->last;
	/* No page ever arrived: perhaps only the first one is bad. */
	if (pages->success_seq == 0 && pages->backoff.holds >= 2 && last < MOST_FIRST_PROBES)
		last = MOST_FIRST_PROBES;
	unread = pages_first_healthy(pages, next, last);
	read = pages_first_healthy(pages, 1, next - 1);
	/* An unread page advances the sweep. But it may be bad as well, so later probes are for a
	 * page that was read. */
	if (unread > 0 && (read == 0 || pages->backoff.holds < 2))
		return unread;
	return read > 0 ? read : next;
}
