/* SPDX-License-Identifier: MIT */
/* Queries for one agent. */
#include <errno.h>

#include "cache/fleet.h"
#include "cache/fleet_layers.h"
#include "cache/sweep_gaps.h"
#include "cache/sweep_read.h"

/* Whether the record's data answers the query: it is within its ttl, or arrived after the query
 * began. */
static bool fleet_may_serve(const struct fleet *fleet, const struct record *record,
                            const struct query *query)
{
	return record->read_seq > query->began ||
	       pages_fresh(&fleet->pages, record->read_ms, record->read_seq);
}

/* Requests a page unless it arrived after the query began: 0, -EAGAIN or -errno. A fresh page is
 * not enough. If it contained the agent, the agent's data would be fresh, too. So it arrived
 * without the agent, and the agent may have moved to it afterwards. */
static int fleet_read_since(struct fleet *fleet, unsigned int number, struct query *query)
{
	const struct cached_page *page = pages_find(&fleet->pages, number);

	if (number < 1 || (number > fleet->pages.last && number > 1))
		return 0;
	if (page && page->arrived_seq > query->began)
		return 0;
	return pages_ask(&fleet->pages, number, false, query);
}

/* Reads the page of the record, and then the pages next to it: 0 when all were read, -EAGAIN or
 * -errno. If the page of the record has the agent, the next fleet_renew() finds that its data may
 * be served, and does not read the others. */
static int fleet_read_around(struct fleet *fleet, const struct record *record, struct query *query)
{
	unsigned int page = record->page;
	int err = fleet_read_since(fleet, page, query);
	int before, after;

	if (err < 0)
		return err;
	before = fleet_read_since(fleet, page - 1, query);
	after = fleet_read_since(fleet, page + 1, query);
	if (before == -EAGAIN || after == -EAGAIN)
		return -EAGAIN;
	return before < 0 ? before : after;
}

/* Finds or begins the sweep for a query, and advances it: 0 at its end, -EAGAIN, or -ENOMEM. */
static int fleet_advance_sweep(struct fleet *fleet, struct query *query, struct sweep **ret_sweep)
{
	struct sweep *sweep = sweeps_for(&fleet->sweeps, query, false);
	int err;

	if (!sweep)
		return -ENOMEM;
	*ret_sweep = sweep;
	err = sweep_advance(&fleet->sweeps, sweep);
	return err < 0 || sweep->complete ? err : -EAGAIN;
}

/* Decides what to do with an agent whose data could not be renewed because of err. Returns 0: serve
 * stale data; -EAGAIN: wait; or the failure. */
static int fleet_serve_stale_or_fail(struct fleet *fleet, const struct record *record,
                                     struct query *query, int err)
{
	if (!pages_may_serve_stale(&fleet->pages, record->read_ms))
		return err;
	if (err == -EAGAIN && !pages_patience_is_over(&fleet->pages, record->page, query))
		return err;
	pages_note_stale(&fleet->pages, record->page);
	return 0;
}

/* Returns the -errno of the first gap of the newest list if this list is fresh, so that there is
 * nothing to request, and the agent may be on a gap; else 0. The agent is not on a gap if its own
 * page is not a gap and still had the agent when that page last arrived. */
static int fleet_lost_in_gap(const struct fleet *fleet, const struct record *record,
                             const struct query *query)
{
	const struct sweep *sweep = sweep_newest_complete(fleet->sweeps.newest);

	if (!sweep || sweep->missing_err == 0 || sweep->from_memory ||
	    !sweeps_serves(&fleet->sweeps, sweep, query))
		return 0;
	if (!sweep_is_gap(sweep, record->page) &&
	    fleet->pages.pages[record->page - 1].arrived_seq == record->read_seq)
		return 0;
	return sweep->missing_err;
}

/* Renews the data of an agent that is neither on its last page nor on the pages next to that. Only
 * a whole sweep proves that it left. Returns 0: the data may be served; -EAGAIN; -errno of a
 * failure; or, if the agent left, -ENOENT or -errno of a gap. The caller holds a reference. */
static int fleet_renew_by_sweep(struct fleet *fleet, const struct record *record,
                                struct query *query)
{
	struct sweep *sweep = NULL;
	int err = fleet_advance_sweep(fleet, query, &sweep);

	if (err == 0 && sweep->missing_err == 0 && record->present &&
	    !fleet_may_serve(fleet, record, query)) {
		/* The agent's data has expired, but this list has not: responses differ in age, or
		 * one was outdated. The agent may have left since, so a new list is read. */
		sweep->expires_ms = pages_now_ms(&fleet->pages);
		err = fleet_advance_sweep(fleet, query, &sweep);
	}
	if (!record->present)
		return sweep && sweep->missing_err != 0 ? sweep->missing_err : -ENOENT;
	if (fleet_may_serve(fleet, record, query))
		return 0;
	if (err == -EAGAIN && sweep)
		return sweep_ask(&fleet->sweeps, sweep, query);
	/* If the list has no gap, the data is served although its ttl has ended: the list is fresh
	 * and has the agent. Either the agent's page was outdated on arrival (page_expires_ms()),
	 * or the page expired while this query waited. */
	return err == 0 ? sweep->missing_err : err;
}

int fleet_renew(struct fleet *fleet, struct record *record, struct query *query)
{
	int err;

	query->wake_ms = INT64_MAX;
	if (!record->present)
		return fleet_count_hit(fleet, query, -ENOENT);
	if (fleet_may_serve(fleet, record, query))
		return fleet_count_hit(fleet, query, 0);
	/* fleet_find() holds no reference, and a sweep releases that of the cache if the agent
	 * left. */
	record_ref(record);
	err = fleet_lost_in_gap(fleet, record, query);
	if (err == 0)
		err = fleet_read_around(fleet, record, query);
	if (err == 0)
		err = fleet_renew_by_sweep(fleet, record, query);
	if (err < 0 && record->present)
		err = fleet_serve_stale_or_fail(fleet, record, query, err);
	record_unref(record);
	return err;
}

/* Decides about an unknown name while the sweep that looks for it is incomplete. If the last whole
 * list lacks the name, its absence is served like stale data: while the list may be served stale,
 * and after the same wait. But if that list has a gap, the name may be on the missing page. Returns
 * -ENOENT, -EAGAIN or -errno. */
static int fleet_absent_after_patience(struct fleet *fleet, struct sweep *sweep,
                                       struct query *query)
{
	const struct sweep *last = sweep_newest_complete(fleet->sweeps.newest);
	struct pages *pages = &fleet->pages;
	unsigned int number = sweep_next_page(sweep);
	int err = sweep_ask(&fleet->sweeps, sweep, query);

	if (err != -EAGAIN || !last || last->gap_err != 0 ||
	    !sweep_may_serve_stale(&fleet->sweeps, last))
		return err;
	if (!pages_patience_is_over(pages, number, query))
		return err;
	pages_note_stale(pages, number);
	return -ENOENT;
}

int fleet_find(struct fleet *fleet, const char *name, struct query *query,
               struct record **ret_record)
{
	struct record *record = records_find(&fleet->records, name);
	struct sweep *sweep = NULL;
	int err;

	query->wake_ms = INT64_MAX;
	if (!record) {
		err = fleet_advance_sweep(fleet, query, &sweep);
		record = records_find(&fleet->records, name);
		if (!record) {
			if (err == -EAGAIN && sweep)
				return fleet_absent_after_patience(fleet, sweep, query);
			if (err < 0)
				return err;
			if (sweep->missing_err != 0)
				return sweep->missing_err;
			return fleet_count_hit(fleet, query, -ENOENT);
		}
	}
	err = fleet_renew(fleet, record, query);
	if (err == 0)
		*ret_record = record;
	return err;
}
