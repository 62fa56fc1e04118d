/* SPDX-License-Identifier: MIT */
#include "cache/sweep.h"

#include <stdlib.h>

void sweep_end_passes(struct sweep *sweep)
{
	set_done(&sweep->seen);
	free(sweep->again);
	sweep->again = NULL;
	sweep->again_count = 0;
}

void sweep_free(struct sweep *sweep)
{
	roster_done(&sweep->roster);
	set_done(&sweep->gaps);
	sweep_end_passes(sweep);
	free(sweep);
}

void sweep_begin_pass(struct sweeps *sweeps, struct sweep *sweep)
{
	sweep->pass_seq = ++sweeps->pages->seq;
	sweep->pass_ms = pages_now_ms(sweeps->pages);
	sweep->moved = false;
	sweep->pass_read = false;
	set_clear(&sweep->seen);
}

void sweep_begin_full_pass(struct sweeps *sweeps, struct sweep *sweep)
{
	sweep_begin_pass(sweeps, sweep);
	sweep->passes++;
	sweep->next_page = 1;
	sweep->items = 0;
	sweep->unique = 0;
	sweep->dropped = 0;
	sweep->skipped = 0;
	sweep->run = 0;
	sweep->page_size = 0;
	sweep->barren = 0;
	sweep->total_count = AGENT_ABSENT;
	sweeps->passes++;
}

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
	sweep_begin_full_pass(sweeps, sweep);
	return sweep;
}

bool sweep_is_in_first_pass(const struct sweep *sweep)
{
	return sweep->passes == 1 && !sweep->again;
}

unsigned int sweep_lacks(const struct sweep *sweep)
{
	return sweep->again ? sweep->again[sweep->again_at] : sweep->next_page;
}

bool sweep_may_take(const struct sweeps *sweeps, const struct sweep *sweep, unsigned int number)
{
	const struct cached_page *page = pages_find(sweeps->pages, number);
	bool first = sweep_is_in_first_pass(sweep);

	if (!page || page->arrived_seq == 0)
		return false;
	if (page->arrived_seq > sweep->pass_seq &&
	    (first || page->no_cache || page->arrived_ms >= sweep->pass_ms))
		return true;
	return (first || (!sweep->again && page_is_outdated(page))) &&
	       page_is_fresh(sweeps->pages, page);
}

int sweeps_depart(struct sweeps *sweeps, struct record *record)
{
	uint32_t index = record->index;
	int err = records_depart(sweeps->records, record);

	if (err < 0)
		return err;
	for (struct sweep *at = sweeps->newest; at; at = at->older) {
		roster_free_index(&at->roster, index);
		set_remove(&at->seen, index);
	}
	return 0;
}

struct sweep *sweeps_newest_whole(const struct sweeps *sweeps)
{
	struct sweep *sweep = sweeps->newest;

	while (sweep && !sweep->complete)
		sweep = sweep->older;
	return sweep;
}
