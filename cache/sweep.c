/* SPDX-License-Identifier: MIT */
#include "cache/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PASSES 3
#define MOST_LOOKS  3 /* for those whom a sweep has missed */
#define MOST_BARREN 2

/* The life of a sweep */

static void drop_pass(struct sweep *sweep)
{
	set_done(&sweep->seen);
	free(sweep->again);
	sweep->again = NULL;
	sweep->again_count = 0;
}

void sweep_free(struct sweep *sweep)
{
	free(sweep->order);
	set_done(&sweep->in);
	set_done(&sweep->gaps);
	drop_pass(sweep);
	free(sweep);
}

void sweep_free_all(struct fleet *fleet)
{
	for (struct sweep *at = fleet->sweeps, *older; at; at = older) {
		older = at->older;
		sweep_free(at);
	}
	fleet->sweeps = NULL;
}

static void begin_pass(struct fleet *fleet, struct sweep *sweep)
{
	sweep->pass_seq = ++fleet->seq;
	sweep->pass_ms = fleet->ports.now_ms(fleet->ports.user);
	sweep->stirred = false;
	sweep->pass_read = false;
	set_clear(&sweep->seen);
}

static void begin_full_pass(struct fleet *fleet, struct sweep *sweep)
{
	begin_pass(fleet, sweep);
	sweep->passes++;
	sweep->next_page = 1;
	sweep->items = 0;
	sweep->unique = 0;
	sweep->repeated = 0;
	sweep->skipped = 0;
	sweep->run = 0;
	sweep->page_size = 0;
	sweep->barren = 0;
	sweep->total_count = AGENT_ABSENT;
	fleet->health.passes++;
}

/* It came too old, and there is no better one to be had for now. */
static bool is_held_as_old(const struct fleet_page *page)
{
	return page->backoff.active && page->backoff.cause == FAILURE_OLD;
}

/* Until when a page is good for who did not wait for it: for its ttl, or as long as it is held. */
static int64_t good_until(const struct fleet *fleet, const struct fleet_page *page)
{
	int64_t end_ms = page->arrived_ms + fleet->config.ttl_ms;
	int64_t stale_ms = end_ms + fleet->config.stale_ms;

	if (page->arrived_seq <= fleet->flush_seq)
		return 0;
	if (!is_held_as_old(page))
		return end_ms;
	return page->backoff.until_ms < stale_ms ? page->backoff.until_ms : stale_ms;
}

static bool is_good(const struct fleet *fleet, const struct fleet_page *page)
{
	return fleet->ports.now_ms(fleet->ports.user) < good_until(fleet, page);
}

static bool is_first(const struct sweep *sweep)
{
	return sweep->passes == 1 && !sweep->again;
}

/* A first pass takes what is still fresh; a further one must see for itself, where there is
 * something to be seen: no cache, if somebody else asked one for the page meanwhile. */
static bool may_take(const struct fleet *fleet, const struct sweep *sweep, unsigned int number)
{
	const struct fleet_page *page;

	if (number > fleet->page_count)
		return false;
	page = &fleet->pages[number - 1];
	if (page->arrived_seq == 0)
		return false;
	if (page->arrived_seq > sweep->pass_seq &&
	    (is_first(sweep) || page->no_cache || page->arrived_ms >= sweep->pass_ms))
		return true;
	return (is_first(sweep) || (!sweep->again && is_held_as_old(page))) && is_good(fleet, page);
}

/* Whether a page that it would take next came before this look, and has expired. So it is with a
 * sweep that was begun to find somebody, and left when the first page had him. */
static bool fell_behind(const struct fleet *fleet, const struct sweep *sweep,
                        const struct query *query)
{
	size_t at = sweep->again ? sweep->again_at : sweep->next_page;

	for (; !sweep->again || at < sweep->again_count; at++) {
		unsigned int number = sweep->again ? sweep->again[at] : (unsigned int)at;
		const struct fleet_page *page;

		if (!may_take(fleet, sweep, number))
			return false;
		page = &fleet->pages[number - 1];
		if (page->arrived_seq <= query->began && !is_good(fleet, page))
			return true;
	}
	return false;
}

/* Whether it is fresh enough for this look: begun since, or all of it read since, or within the
 * ttl. */
bool sweep_serves(const struct fleet *fleet, const struct sweep *sweep, const struct query *query)
{
	if (sweep->began_seq > query->began)
		return true;
	if (!sweep->complete && fell_behind(fleet, sweep, query))
		return false;
	if (sweep->oldest_seq > query->began)
		return true;
	if (sweep->began_seq <= fleet->flush_seq)
		return false;
	return fleet->ports.now_ms(fleet->ports.user) < sweep->good_ms;
}

/* The newest whole one; else, of those begun since, the one that began first, for it ends first:
 * were it the newest, who waits could be moved on to another beginning for ever. One from before
 * that lies unfinished is no use: completed now, it would be the older list, with newer agents. */
static struct sweep *usable(const struct fleet *fleet, const struct query *query,
                            bool remembered_too)
{
	struct sweep *found = NULL;

	for (struct sweep *at = fleet->sweeps; at; at = at->older) {
		if (at->from_memory && !remembered_too)
			continue;
		if (sweep_serves(fleet, at, query))
			found = at;
		if (at->complete)
			break;
	}
	return found;
}

struct sweep *sweep_for(struct fleet *fleet, const struct query *query, bool remembered_too)
{
	struct sweep *sweep = usable(fleet, query, remembered_too);

	if (sweep)
		return sweep;
	/* The kernel must not take the old listing for the new one. */
	fleet_list_mtime_ns(fleet);
	sweep = calloc(1, sizeof(*sweep));
	if (!sweep)
		return NULL;
	sweep->number = ++fleet->sweep_number;
	sweep->began_seq = ++fleet->seq;
	sweep->used_ms = fleet->ports.now_ms(fleet->ports.user);
	sweep->oldest_ms = INT64_MAX;
	sweep->oldest_seq = UINT64_MAX;
	sweep->good_ms = INT64_MAX;
	begin_full_pass(fleet, sweep);
	sweep->older = fleet->sweeps;
	fleet->sweeps = sweep;
	listings_forget(fleet);
	return sweep;
}

struct sweep *sweep_find(struct fleet *fleet, uint64_t number)
{
	for (struct sweep *at = fleet->sweeps; at; at = at->older)
		if (at->number == number)
			return at;
	return NULL;
}

/* Taking pages in */

int sweep_append(struct sweep *sweep, struct record *record)
{
	int err;

	if (set_has(&sweep->in, record->index))
		return 0;
	if (sweep->count == sweep->capacity) {
		size_t more = sweep->capacity ? sweep->capacity * 2 : 128;
		struct seat *order = realloc(sweep->order, more * sizeof(*order));

		if (!order)
			return -ENOMEM;
		sweep->order = order;
		sweep->capacity = more;
	}
	err = set_add(&sweep->in, record->index);
	if (err < 0)
		return err;
	sweep->order[sweep->count++] = (struct seat){record->index, record->serial};
	return 0;
}

void sweep_reuse_index(struct fleet *fleet, size_t index)
{
	for (struct sweep *at = fleet->sweeps; at; at = at->older) {
		set_remove(&at->in, index);
		set_remove(&at->seen, index);
	}
}

int sweep_add_newcomer(struct fleet *fleet, struct record *record)
{
	if (!fleet->sweeps || !fleet->sweeps->complete)
		return 0;
	return sweep_append(fleet->sweeps, record);
}

static int take(struct sweep *sweep, const struct fleet_page *page)
{
	size_t unique_before = sweep->unique;

	for (size_t i = 0; i < page->count; i++) {
		struct record *record = page->records[i];
		int err;

		if (!record->present)
			continue;
		err = sweep_append(sweep, record);
		if (err == 0 && !set_has(&sweep->seen, record->index)) {
			err = set_add(&sweep->seen, record->index);
			sweep->unique += err == 0;
		}
		if (err < 0)
			return err;
	}
	sweep->stirred |= page->moved;
	if (sweep->unique > unique_before)
		sweep->barren = 0;
	else if (page->malformed == 0 || page->malformed < page->items)
		sweep->barren++;
	return 0;
}

/* Whether the page just taken was the last. An honest API is asked for exactly ⌈N / per_page⌉
 * pages; one whose numbers contradict themselves until a page is not full or brings nothing new. */
static bool was_last(const struct fleet *fleet, const struct sweep *sweep,
                     const struct fleet_page *page)
{
	int64_t size = page->per_page != AGENT_ABSENT ? page->per_page : fleet->config.per_page;

	if (page->items == 0 || sweep->barren >= MOST_BARREN)
		return true;
	if (sweep->next_page > FLEET_MAX_PAGES)
		return true;
	if (page->total_count >= 0 && sweep->items <= (uint64_t)page->total_count)
		return sweep_covered(fleet, sweep) >= (uint64_t)page->total_count;
	return page->items < (uint64_t)size;
}

/* The end of a pass */

/* Adds the pages to read again for a record that was missed: those around its last position and the
 * other page that had it too; all pages if that has been tried. */
static void mark_pages(const struct fleet *fleet, const struct sweep *sweep,
                       const struct record *record, unsigned int last_page, bool *marks)
{
	unsigned int center = record->page < last_page ? record->page : last_page;
	unsigned int first = sweep->looks > 0 ? 1 : center - 1;
	unsigned int last = sweep->looks > 0 ? last_page : center + 1;
	unsigned int other = record->other_page;

	for (unsigned int page = first; page <= last; page++)
		if (page >= 1 && page <= last_page && !sweep_is_gap(sweep, page))
			marks[page] = true;
	if (other >= 1 && other <= last_page && !sweep_is_gap(sweep, other) &&
	    fleet->pages[other - 1].arrived_seq == record->other_seq)
		marks[other] = true;
}

/* Goes through those who were known and are not in this listing. When a look for them has proved
 * them gone they leave; else the pages for a look are marked. */
static int diagnose_missing(struct fleet *fleet, struct sweep *sweep, unsigned int last_page,
                            bool *marks)
{
	/* A look proves something only if the pages stood still: who moves against the reading can
	 * be missed any number of times. In the end they are believed all the same. */
	bool proved = sweep->looks > 0 && (!sweep->stirred || sweep->looks == MOST_LOOKS);

	for (size_t i = 0; i < fleet->record_count; i++) {
		struct record *record = fleet->records[i];

		if (!record || set_has(&sweep->in, record->index))
			continue;
		if (record->read_seq > sweep->pass_seq) {
			/* Met meanwhile on a page that was read for somebody else. */
			if (sweep_append(sweep, record) < 0)
				return -ENOMEM;
		} else if (sweep_may_be_in_gap(sweep, record)) {
			if (sweep_keep(fleet, sweep, record) < 0)
				return -ENOMEM;
		} else if (proved) {
			int err = fleet_depart(fleet, record);

			if (err < 0)
				return err;
		} else {
			mark_pages(fleet, sweep, record, last_page, marks);
		}
	}
	return 0;
}

/* Sets sweep->again to the pages to look at for those who were missed, or to NULL. */
static int look_for_missing(struct fleet *fleet, struct sweep *sweep, unsigned int last_page)
{
	bool *marks = calloc(last_page + 1, sizeof(*marks));
	unsigned int *again = calloc(last_page, sizeof(*again));
	size_t count = 0;
	int err = marks && again ? diagnose_missing(fleet, sweep, last_page, marks) : -ENOMEM;

	if (err == 0) {
		for (unsigned int page = 1; page <= last_page; page++)
			if (marks[page])
				again[count++] = page;
		free(sweep->again);
		sweep->again = count > 0 ? again : NULL;
		sweep->again_count = count;
		sweep->again_at = 0;
		sweep->looks += count > 0;
	}
	if (err < 0 || count == 0)
		free(again);
	free(marks);
	return err;
}

static void complete(struct fleet *fleet, struct sweep *sweep)
{
	sweep->complete = true;
	drop_pass(sweep);
	fleet->health.sweeps++;
	/* One that was begun earlier may well end later. */
	if (sweep->number < fleet->list_number)
		return;
	fleet->health.verified = sweep->verified;
	/* Nothing was read: all pages are bad. */
	if (sweep->oldest_ms == INT64_MAX)
		return;
	fleet->list_number = sweep->number;
	fleet->list_ms = sweep->oldest_ms;
	fleet->health.swept = true;
	fleet->health.sweep_ns = fleet->ports.wall_ns(fleet->ports.user);
}

/* Compares a pass over all pages with total_count. Whether another one is worth making: what three
 * could not explain (an id on two pages for good, a count that lies) is not worth three every ttl;
 * without a count, or with a gap, there is nothing to agree with. */
static bool sweep_count_disagrees(struct fleet *fleet, struct sweep *sweep)
{
	size_t expected = sweep->unique + sweep->repeated;
	size_t total = sweep->total_count >= 0 ? (size_t)sweep->total_count : SIZE_MAX;
	size_t apart = expected > total ? expected - total : total - expected;

	sweep->verified = apart == 0 && sweep->gap_count == 0;
	if (sweep->gap_count > 0)
		return false;
	if (apart != 0 && sweep->total_count >= 0 && apart != fleet->unexplained &&
	    sweep->passes < MOST_PASSES)
		return true;
	fleet->unexplained = apart;
	return false;
}

static int end_pass(struct fleet *fleet, struct sweep *sweep)
{
	unsigned int last_page = sweep->again ? fleet->last_page : sweep->next_page - 1;
	int err;

	if (!sweep->again) {
		if (!sweep->endless)
			fleet_forget_pages(fleet, last_page);
		else if (last_page < fleet->last_page)
			last_page = fleet->last_page;
		fleet->health.pages = last_page;
		if (sweep_count_disagrees(fleet, sweep)) {
			begin_full_pass(fleet, sweep);
			return 0;
		}
	}
	err = look_for_missing(fleet, sweep, last_page);
	if (err < 0)
		return err;
	if (sweep->again) {
		begin_pass(fleet, sweep);
		return 0;
	}
	complete(fleet, sweep);
	return 0;
}

unsigned int sweep_lacks(const struct sweep *sweep)
{
	return sweep->again ? sweep->again[sweep->again_at] : sweep->next_page;
}

/* Takes a page into the pass under way. 0 or -ENOMEM. */
static int sweep_take_page(struct fleet *fleet, struct sweep *sweep, unsigned int number)
{
	const struct fleet_page *page = &fleet->pages[number - 1];
	int err = take(sweep, page);

	if (err < 0 || sweep->again)
		return err;
	sweep->next_page++;
	sweep->run = 0;
	sweep->items += page->items;
	sweep->repeated += page->repeated;
	sweep->total_count = page->total_count;
	sweep->page_size = page->per_page > 0 ? page->per_page : fleet->config.per_page;
	if (sweep->oldest_ms > page->arrived_ms)
		sweep->oldest_ms = page->arrived_ms;
	if (sweep->oldest_seq > page->arrived_seq)
		sweep->oldest_seq = page->arrived_seq;
	if (sweep->good_ms > good_until(fleet, page))
		sweep->good_ms = good_until(fleet, page);
	sweep->pass_read = was_last(fleet, sweep, page);
	return 0;
}

/* Goes on without a page that stays bad. 0 or -ENOMEM. */
static int sweep_pass_over(struct fleet *fleet, struct sweep *sweep, unsigned int number)
{
	int err = sweep_skip(fleet, sweep, number);

	if (err < 0 || sweep->again)
		return err;
	sweep->next_page++;
	sweep->skipped++;
	sweep->run++;
	sweep->pass_read = sweep_ends_in_gap(fleet, sweep);
	return 0;
}

int sweep_advance(struct fleet *fleet, struct sweep *sweep)
{
	sweep->used_ms = fleet->ports.now_ms(fleet->ports.user);
	while (!sweep->complete) {
		unsigned int number;
		int err;

		/* Apart from taking the last page, so that it can be tried again. */
		if (sweep->pass_read) {
			err = end_pass(fleet, sweep);
			if (err < 0)
				return err;
			continue;
		}
		number = sweep_lacks(sweep);
		if (may_take(fleet, sweep, number))
			err = sweep_take_page(fleet, sweep, number);
		else if (sweep_may_skip(fleet, number))
			err = sweep_pass_over(fleet, sweep, number);
		else
			return 0;
		if (err < 0)
			return err;
		if (sweep->again)
			sweep->pass_read = ++sweep->again_at == sweep->again_count;
	}
	return 0;
}

/* Asking for more */

/* The last page there seems to be, so that reading ahead does not run past the end. */
static unsigned int likely_last(const struct fleet *fleet, const struct sweep *sweep)
{
	uint64_t size, pages;

	if (sweep->next_page == 1)
		return sweep->passes > 1 ? fleet->last_page : 1;
	if (sweep->total_count <= 0)
		return sweep->next_page;
	size = sweep->next_page - 1 - sweep->skipped;
	size = size > 0 ? sweep->items / size : 0;
	if (size == 0)
		size = fleet->config.per_page;
	pages = ((uint64_t)sweep->total_count + size - 1) / size;
	if (pages > FLEET_MAX_PAGES)
		pages = FLEET_MAX_PAGES;
	return pages < sweep->next_page ? sweep->next_page : (unsigned int)pages;
}

int sweep_ask(struct fleet *fleet, struct sweep *sweep, struct query *query)
{
	unsigned int window = fleet->config.max_connections;
	/* What a cache on the way kept from before shows nothing that the first pass did not. */
	bool no_cache = !is_first(sweep);
	int err;

	if (sweep->again) {
		err = fleet_ask(fleet, sweep->again[sweep->again_at], no_cache, query);
		for (size_t i = sweep->again_at + 1;
		     i < sweep->again_count && i < sweep->again_at + window; i++)
			if (!may_take(fleet, sweep, sweep->again[i]))
				fleet_ask(fleet, sweep->again[i], no_cache, query);
		return err;
	}
	/* One page for who only glances; twice as many as were read for who goes on. */
	if (sweep->passes == 1 && window > 2 * (sweep->next_page - 1))
		window = 2 * (sweep->next_page - 1);
	err = fleet_ask(fleet, sweep_probe(fleet, sweep, likely_last(fleet, sweep)), no_cache,
	                query);
	for (unsigned int i = 1; i < window && sweep->next_page + i <= likely_last(fleet, sweep);
	     i++)
		if (!may_take(fleet, sweep, sweep->next_page + i))
			fleet_ask(fleet, sweep->next_page + i, no_cache, query);
	return err;
}

/* When the API fails */

/* Until when a listing from memory serves: until the API, or the page that it lacks, is worth
 * asking again. Since the other pages may well have news, it is the ttl at most if it is for the
 * page. */
static int64_t remembered_until(const struct fleet *fleet, const struct backoff *page_backoff,
                                int64_t now_ms)
{
	int64_t ttl_end_ms = now_ms + fleet->config.ttl_ms;

	if (backoff_is_held(&fleet->backoff, now_ms))
		return fleet->backoff.until_ms;
	if (!page_backoff || !backoff_is_held(page_backoff, now_ms))
		return now_ms;
	return page_backoff->until_ms < ttl_end_ms ? page_backoff->until_ms : ttl_end_ms;
}

int sweep_remember(struct fleet *fleet, struct sweep *sweep)
{
	int64_t now_ms = fleet->ports.now_ms(fleet->ports.user);
	unsigned int lacks = sweep_lacks(sweep);
	const struct backoff *page_backoff =
		lacks <= fleet->page_count ? &fleet->pages[lacks - 1].backoff : NULL;
	const struct sweep *before = sweep->older;

	while (before && !before->complete)
		before = before->older;
	if (!before || !fleet_may_serve_stale(fleet, fleet->list_ms))
		return -ENOENT;
	for (size_t i = 0; i < before->count; i++) {
		struct record *record = fleet_seated(fleet, before->order[i]);

		if (record && sweep_append(sweep, record) < 0)
			return -ENOMEM;
	}
	/* And agents that were met since, on pages that this sweep did not get to. */
	for (size_t i = 0; i < fleet->record_count; i++)
		if (fleet->records[i] && sweep_append(sweep, fleet->records[i]) < 0)
			return -ENOMEM;
	sweep->complete = true;
	sweep->verified = false;
	sweep->from_memory = true;
	sweep->open = before->open;
	sweep->missing = before->missing;
	if (fleet->backoff.active)
		sweep->missing = -failure_errno(fleet->backoff.cause);
	else if (page_backoff && page_backoff->active)
		sweep->missing = -failure_errno(page_backoff->cause);
	drop_pass(sweep);
	fleet_served_stale(fleet, lacks);
	sweep->good_ms = remembered_until(fleet, page_backoff, now_ms);
	sweep->oldest_seq = 0;
	sweep->oldest_ms = sweep->good_ms - fleet->config.ttl_ms;
	return 0;
}
