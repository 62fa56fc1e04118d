/* SPDX-License-Identifier: MIT */
#include "cache/sweep_recheck.h"

#include <errno.h>
#include <stdlib.h>

#include "cache/sweep_gaps.h"

#define MOST_RECHECKS            3 /* because of agents that were missed */
#define MOST_RECHECKS_IF_LACKING 5 /* the same, while total_count shows that agents are lacking */
#define MOST_FIRST_RECHECKS      2 /* of the first sweep, because total_count does not agree */

/* Plans a recheck. */
struct recheck {
	unsigned int last_page; /* last page that the list may have: one more if its last is full */
	bool *marks;            /* by number, up to last_page: whether to read the page again */
	bool missed;            /* an agent was missed, and has not departed */
};

static void recheck_mark_page(struct recheck *recheck, const struct sweep *sweep,
                              unsigned int number)
{
	if (number >= 1 && number <= recheck->last_page && !sweep_is_gap(sweep, number))
		recheck->marks[number] = true;
}

/* Marks the pages where a record that was missed is likely to be: its last page, the pages next to
 * that, and the other page that had it too. */
static void recheck_mark_likely(const struct sweeps *sweeps, const struct sweep *sweep,
                                const struct record *record, struct recheck *recheck)
{
	unsigned int last = sweep->list_pages;
	unsigned int center = record->page < last ? record->page : last;
	unsigned int other = record->other_page;

	recheck_mark_page(recheck, sweep, center - 1);
	recheck_mark_page(recheck, sweep, center);
	recheck_mark_page(recheck, sweep, center + 1);
	if (other >= 1 && other <= last &&
	    pages_find(sweeps->pages, other)->arrived_seq == record->other_seq)
		recheck_mark_page(recheck, sweep, other);
}

/* Marks the pages where any record that was missed may be. First recheck: pages that arrived before
 * the sweep began, because the record may have moved there since. Later ones: all pages. */
static void recheck_mark_possible(const struct sweeps *sweeps, const struct sweep *sweep,
                                  struct recheck *recheck)
{
	for (unsigned int number = 1; number <= recheck->last_page; number++) {
		const struct cached_page *page = pages_find(sweeps->pages, number);
		bool old = page && page->arrived_seq > 0 && page->arrived_seq < sweep->began_seq;

		if (sweep->rechecks > 0 || old)
			recheck_mark_page(recheck, sweep, number);
	}
}

/* Whether total_count exceeds the agents in the roster by more than `unexplained`. An excess that
 * stays means that an id is on two pages for good, or that total_count is wrong. */
static bool sweep_lacks_counted_agents(const struct sweeps *sweeps, const struct sweep *sweep)
{
	return sweep->total_count >= 0 &&
	       sweep_expected_count(sweep) + sweeps->unexplained < (uint64_t)sweep->total_count;
}

/* Whether an agent that all passes so far missed departs now: the last recheck proves that it left,
 * or the limit of rechecks is reached. */
static bool recheck_departs_missed(const struct sweeps *sweeps, const struct sweep *sweep)
{
	bool lacking = sweep_lacks_counted_agents(sweeps, sweep);

	if (sweep->rechecks >= (lacking ? MOST_RECHECKS_IF_LACKING : MOST_RECHECKS))
		return true;
	return sweep->rechecks > 0 && !sweep->pass.moved && !lacking;
}

/* Handles each record that the roster lacks: appends it, retains it, removes it, or marks the pages
 * to recheck for it. 0 or -ENOMEM. */
static int recheck_handle_missed(struct sweeps *sweeps, struct sweep *sweep,
                                 struct recheck *recheck)
{
	bool departs = recheck_departs_missed(sweeps, sweep);

	for (size_t i = 0; i < sweeps->records->count; i++) {
		struct record *record = sweeps->records->by_index[i];
		int err = 0;

		if (!record || roster_has(&sweep->roster, record))
			continue;
		if (record->read_seq > sweep->pass.began_seq) {
			/* Read meanwhile on a page that another query requested. */
			err = roster_append(&sweep->roster, record);
		} else if (sweep_may_be_in_gap(sweep, record)) {
			err = sweep_handle_missed_in_gap(sweeps, sweep, record);
		} else if (departs) {
			err = sweeps_depart(sweeps, record);
		} else {
			recheck->missed = true;
			recheck_mark_likely(sweeps, sweep, record, recheck);
		}
		if (err < 0)
			return err;
	}
	return 0;
}

/* Marks all pages that may be requested, if the first sweep disagrees with total_count. */
static void recheck_mark_all_of_first(const struct sweeps *sweeps, const struct sweep *sweep,
                                      struct recheck *recheck)
{
	if (sweeps->records->list_known || sweep->missing_err != 0 || sweep->total_count < 0 ||
	    sweep->rechecks >= MOST_FIRST_RECHECKS ||
	    sweep_expected_count(sweep) == (uint64_t)sweep->total_count)
		return;
	for (unsigned int page = 1; page <= sweep->list_pages; page++)
		recheck->marks[page] |= !pages_may_skip(sweeps->pages, page);
}

/* Handles the records that were missed, and plans a recheck. *ret_numbers: pages to recheck, which
 * the caller frees; NULL if no page has to be rechecked. Returns 0 or -ENOMEM. */
static int recheck_plan(struct sweeps *sweeps, struct sweep *sweep, unsigned int **ret_numbers,
                        size_t *ret_count)
{
	const struct cached_page *end = pages_find(sweeps->pages, sweep->list_pages);
	unsigned int last = sweep->list_pages;
	struct recheck recheck = {
		.last_page =
			last < FLEET_MAX_PAGES && sweep_page_is_full(sweep, end) ? last + 1 : last,
		.marks = calloc(last + 2, sizeof(*recheck.marks)),
	};
	unsigned int *numbers = calloc(last + 1, sizeof(*numbers));
	size_t count = 0;
	int err =
		recheck.marks && numbers ? recheck_handle_missed(sweeps, sweep, &recheck) : -ENOMEM;

	if (err == 0) {
		if (recheck.missed)
			recheck_mark_possible(sweeps, sweep, &recheck);
		recheck_mark_all_of_first(sweeps, sweep, &recheck);
		for (unsigned int page = 1; page <= recheck.last_page; page++)
			if (recheck.marks[page])
				numbers[count++] = page;
	}
	free(recheck.marks);
	if (err < 0 || count == 0) {
		free(numbers);
		numbers = NULL;
	}
	*ret_numbers = numbers;
	*ret_count = count;
	return err;
}

static void sweep_complete(struct sweeps *sweeps, struct sweep *sweep)
{
	uint64_t expected = sweep_expected_count(sweep);
	uint64_t total = sweep->total_count >= 0 ? (uint64_t)sweep->total_count : 0;
	const struct sweep *before = sweep_newest_complete(sweep->older);

	sweep_end_passes(sweep);
	sweep->verified = sweep->total_count >= 0 && expected == total && sweep->missing_err == 0;
	if (sweep->missing_err == 0) {
		sweeps->unexplained = expected < total ? total - expected : 0;
		sweeps->pages->gapless_list_known = true;
	}
	/* If no page has data, the list was not read, and is as old as the one before. */
	if (sweep->oldest_ms == INT64_MAX) {
		if (before)
			sweep->oldest_ms = before->oldest_ms;
		return;
	}
	sweeps->completed++;
	sweeps->records->list_known = true;
	sweeps->completed_ns = pages_wall_ns(sweeps->pages);
}

int sweep_end_pass(struct sweeps *sweeps, struct sweep *sweep)
{
	struct pages *pages = sweeps->pages;
	unsigned int *numbers;
	size_t count;
	int err;

	if (sweep->rechecks == 0) {
		sweep->list_pages = sweep_end_list(sweeps, sweep);
		if (!sweep->endless)
			pages_truncate(pages, sweep->list_pages);
	} else if (!sweep->endless) {
		sweep->list_pages = pages->last;
	}
	err = recheck_plan(sweeps, sweep, &numbers, &count);
	if (err < 0)
		return err;
	if (count == 0) {
		sweep_complete(sweeps, sweep);
		return 0;
	}
	sweep_begin_pass(sweeps, sweep, numbers, count);
	sweep->rechecks++;
	sweeps->passes += count >= sweep->list_pages;
	return 0;
}
