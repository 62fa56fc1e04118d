/* SPDX-License-Identifier: MIT */
#include "cache/sweep_recheck.h"

#include <errno.h>
#include <stdlib.h>

#include "cache/sweep_gaps.h"

#define MOST_PASSES   3 /* over all pages */
#define MOST_RECHECKS 3

/* Marks the pages to read again for a record that was missed: those around its last position and
 * the other page that had it too; all pages if that has been tried. */
static void recheck_mark_pages(const struct sweeps *sweeps, const struct sweep *sweep,
                               const struct record *record, unsigned int last_page, bool *marks)
{
	unsigned int center = record->page < last_page ? record->page : last_page;
	unsigned int first = sweep->rechecks > 0 ? 1 : center - 1;
	unsigned int last = sweep->rechecks > 0 ? last_page : center + 1;
	unsigned int other = record->other_page;

	for (unsigned int page = first; page <= last; page++)
		if (page >= 1 && page <= last_page && !sweep_is_gap(sweep, page))
			marks[page] = true;
	if (other >= 1 && other <= last_page && !sweep_is_gap(sweep, other) &&
	    sweeps->pages->pages[other - 1].arrived_seq == record->other_seq)
		marks[other] = true;
}

/* Handles each record that the roster lacks: appends it, retains it, removes it, or marks the pages
 * to recheck for it. 0 or -ENOMEM. */
static int recheck_handle_missed(struct sweeps *sweeps, struct sweep *sweep, unsigned int last_page,
                                 bool *marks)
{
	/* A recheck proves something only if no agent moved meanwhile: one that moves against the
	 * reading can be missed any number of times. After the last recheck it departs anyway. */
	bool proved = sweep->rechecks > 0 && (!sweep->moved || sweep->rechecks == MOST_RECHECKS);

	for (size_t i = 0; i < sweeps->records->count; i++) {
		struct record *record = sweeps->records->by_index[i];
		int err = 0;

		if (!record || roster_has(&sweep->roster, record))
			continue;
		if (record->read_seq > sweep->pass_seq)
			/* Read meanwhile on a page that another query requested. */
			err = roster_append(&sweep->roster, record);
		else if (sweep_may_be_in_gap(sweep, record))
			err = sweep_keep_missed(sweeps, sweep, record);
		else if (proved)
			err = sweeps_depart(sweeps, record);
		else
			recheck_mark_pages(sweeps, sweep, record, last_page, marks);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Sets sweep->again to the pages to recheck, or to NULL if there are none. 0 or -ENOMEM. */
static int recheck_plan(struct sweeps *sweeps, struct sweep *sweep, unsigned int last_page)
{
	bool *marks = calloc(last_page + 1, sizeof(*marks));
	unsigned int *again = calloc(last_page, sizeof(*again));
	size_t count = 0;
	int err = marks && again ? recheck_handle_missed(sweeps, sweep, last_page, marks) : -ENOMEM;

	if (err == 0) {
		for (unsigned int page = 1; page <= last_page; page++)
			if (marks[page])
				again[count++] = page;
		free(sweep->again);
		sweep->again = count > 0 ? again : NULL;
		sweep->again_count = count;
		sweep->again_at = 0;
		sweep->rechecks += count > 0;
	}
	if (err < 0 || count == 0)
		free(again);
	free(marks);
	return err;
}

static void sweep_complete(struct sweeps *sweeps, struct sweep *sweep)
{
	sweep->complete = true;
	sweep_end_passes(sweep);
	sweeps->completed++;
	/* A sweep that began earlier may end later. */
	if (sweep->number < sweeps->list_number)
		return;
	sweeps->verified = sweep->verified;
	/* No page was read: all are bad. */
	if (sweep->oldest_ms == INT64_MAX)
		return;
	sweeps->list_number = sweep->number;
	sweeps->list_ms = sweep->oldest_ms;
	sweeps->records->list_known = true;
	sweeps->completed_ns = pages_wall_ns(sweeps->pages);
}

/* Compares a pass over all pages with total_count. Returns whether another pass is worth its
 * requests. It is not if three did not explain the same difference before: an id is on two pages
 * for good, or total_count is wrong. Nor is it without a count, or with a gap. */
static bool sweep_count_disagrees(struct sweeps *sweeps, struct sweep *sweep)
{
	size_t expected = sweep->unique + sweep->dropped;
	size_t total = sweep->total_count >= 0 ? (size_t)sweep->total_count : SIZE_MAX;
	size_t apart = expected > total ? expected - total : total - expected;

	sweep->verified = apart == 0 && sweep->gap_count == 0;
	if (sweep->gap_count > 0)
		return false;
	if (apart != 0 && sweep->total_count >= 0 && apart != sweeps->unexplained &&
	    sweep->passes < MOST_PASSES)
		return true;
	sweeps->unexplained = apart;
	return false;
}

int sweep_end_pass(struct sweeps *sweeps, struct sweep *sweep)
{
	struct pages *pages = sweeps->pages;
	unsigned int last_page = sweep->again ? pages->last : sweep->next_page - 1;
	int err;

	if (!sweep->again) {
		if (!sweep->endless)
			pages_truncate(pages, last_page);
		else if (last_page < pages->last)
			last_page = pages->last;
		sweeps->list_pages = last_page;
		if (sweep_count_disagrees(sweeps, sweep)) {
			sweep_begin_full_pass(sweeps, sweep);
			return 0;
		}
	}
	err = recheck_plan(sweeps, sweep, last_page);
	if (err < 0)
		return err;
	if (sweep->again)
		sweep_begin_pass(sweeps, sweep);
	else
		sweep_complete(sweeps, sweep);
	return 0;
}
