/* SPDX-License-Identifier: MIT */
#include "cache/sweep.h"

#include <stdlib.h>

struct sweep *sweep_new(struct sweeps *sweeps)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return NULL;
	sweep->number = ++sweeps->last_number;
	sweep->began_seq = ++sweeps->pages->seq;
	sweep->used_ms = pages_now_ms(sweeps->pages);
	sweep->oldest_ms = INT64_MAX;
	sweep->oldest_seq = UINT64_MAX;
	sweep->expires_ms = INT64_MAX;
	sweep->total_count = AGENT_ABSENT;
	sweep->page_size = sweeps->pages->config->per_page;
	sweep_begin_pass(sweeps, sweep, NULL, SIZE_MAX);
	sweeps->passes++;
	return sweep;
}

void sweep_free(struct sweep *sweep)
{
	roster_done(&sweep->roster);
	set_done(&sweep->gaps);
	free(sweep->pass.numbers);
	free(sweep);
}

void sweep_begin_pass(struct sweeps *sweeps, struct sweep *sweep, unsigned int *numbers,
                      size_t count)
{
	free(sweep->pass.numbers);
	sweep->pass = (struct pass){
		.numbers = numbers,
		.number_count = numbers ? count : 0,
		.count = count,
		.began_seq = ++sweeps->pages->seq,
		.began_ms = pages_now_ms(sweeps->pages),
	};
}

void sweep_end_passes(struct sweep *sweep)
{
	sweep->complete = true;
	free(sweep->pass.numbers);
	sweep->pass = (struct pass){0};
}

unsigned int sweep_pass_page(const struct sweep *sweep, size_t i)
{
	const struct pass *pass = &sweep->pass;
	unsigned int last = pass->number_count > 0 ? pass->numbers[pass->number_count - 1] : 0;

	return i < pass->number_count ? pass->numbers[i]
	                              : last + (unsigned int)(i - pass->number_count) + 1;
}

unsigned int sweep_next_page(const struct sweep *sweep)
{
	return sweep_pass_page(sweep, sweep->pass.at);
}

bool sweep_may_take(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int number)
{
	const struct cached_page *page = pages_find(sweeps->pages, number);

	if (!page || page->arrived_seq == 0)
		return false;
	if (sweep->rechecks == 0 && page->arrived_seq <= sweep->empty_seq)
		return false;
	if (sweep->rechecks > 0)
		return page->arrived_seq > sweep->pass.began_seq &&
		       (page->no_cache || page->arrived_ms >= sweep->pass.began_ms);
	if (sweep->renewed_seq > 0)
		return page->arrived_seq > sweep->renewed_seq;
	return page->arrived_seq > sweep->pass.began_seq || page_is_fresh(sweeps->pages, page);
}

void sweep_note_count(struct sweep *sweep, const struct cached_page *page)
{
	if (sweep->count_seq > page->arrived_seq)
		return;
	sweep->count_seq = page->arrived_seq;
	sweep->total_count = page->total_count;
}

bool sweep_page_is_full(const struct sweep *sweep, const struct cached_page *page)
{
	return page->arrived_seq > 0 && page->elements >= (uint64_t)sweep->page_size;
}

int sweep_append_stale(const struct sweeps *sweeps, struct sweep *sweep,
                       const struct record *record)
{
	int64_t end_ms = pages_stale_end_ms(sweeps->pages, record->read_ms);

	if (pages_now_ms(sweeps->pages) >= end_ms) {
		sweep->lacks_agents = true;
		return 0;
	}
	if (sweep->expires_ms > end_ms)
		sweep->expires_ms = end_ms;
	return roster_append(&sweep->roster, record);
}

int sweep_append_page(struct sweep *sweep, const struct cached_page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		int err = 0;

		if (page->records[i]->present)
			err = roster_append(&sweep->roster, page->records[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

uint64_t sweep_expected_count(const struct sweep *sweep)
{
	return sweep->roster.present + sweep->dropped;
}

bool sweep_may_serve_stale(const struct sweeps *sweeps, const struct sweep *sweep)
{
	return sweep && sweep->oldest_ms != INT64_MAX &&
	       pages_may_serve_stale(sweeps->pages, sweep->oldest_ms);
}

struct sweep *sweep_newest_complete(struct sweep *sweep)
{
	while (sweep && !sweep->complete)
		sweep = sweep->older;
	return sweep;
}

int sweeps_depart(struct sweeps *sweeps, struct record *record)
{
	uint32_t index = record->index;
	int err = records_depart(sweeps->records, record);

	if (err < 0)
		return err;
	for (struct sweep *at = sweeps->newest; at; at = at->older)
		roster_forget_index(&at->roster, index);
	return 0;
}
