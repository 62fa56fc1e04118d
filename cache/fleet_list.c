/* SPDX-License-Identifier: MIT */
/* Queries for the list. */
#include <errno.h>

#include "cache/fleet.h"
#include "cache/fleet_layers.h"
#include "cache/sweep_read.h"

/* A cursor is a list and a position in it: the number of the sweep in the upper 32 bits, the
 * position in the lower ones. */
static uint64_t sweep_cursor(const struct sweep *sweep, size_t position)
{
	return sweep->number << 32 | position;
}

/* Returns the sweep of a cursor, or NULL if it was forgotten. */
static struct sweep *fleet_sweep_of(const struct fleet *fleet, uint64_t cursor)
{
	return sweeps_find(&fleet->sweeps, cursor >> 32);
}

/* Requests pages before a reader needs them. Does so when the reader passes the end of a page, but
 * not after the first page alone: it may need only the first entries. */
static void fleet_read_ahead(struct fleet *fleet, struct sweep *sweep, size_t position)
{
	struct query prefetch = {.asked = true}; /* so that it is not counted as coalesced */
	size_t ahead = (size_t)fleet->config.per_page * fleet->config.max_connections;

	if (!sweep->complete && sweep->pass.at > 1 && position % fleet->config.per_page == 0 &&
	    sweep->roster.count - position < ahead)
		sweep_ask(&fleet->sweeps, sweep, &prefetch);
}

/* Requests the page that a sweep lacks, or gives up waiting for it. Returns 0: the sweep was
 * completed from memory; -EAGAIN: wait; or -errno of the failure. */
static int fleet_wait_or_complete(struct fleet *fleet, struct sweep *sweep, struct query *query)
{
	int err = sweep_ask(&fleet->sweeps, sweep, query);
	bool list_known = fleet->records.list_known;

	if (err == -EAGAIN &&
	    (!list_known || !pages_patience_is_over(&fleet->pages, sweep_next_page(sweep), query)))
		return err;
	return sweep_complete_from_memory(&fleet->sweeps, sweep, err) == 0 ? 0 : err;
}

int fleet_whole_list(struct fleet *fleet, struct query *query, uint64_t *ret_list)
{
	struct sweep *sweep;
	int err;

	query->wake_ms = INT64_MAX;
	if (query->list > 0) {
		*ret_list = query->list;
		return 0;
	}
	sweep = sweeps_for(&fleet->sweeps, query, true);
	err = sweep ? sweep_advance(&fleet->sweeps, sweep) : -ENOMEM;
	while (err == 0 && !sweep->complete) {
		err = fleet_wait_or_complete(fleet, sweep, query);
		if (err == 0)
			err = sweep_advance(&fleet->sweeps, sweep);
	}
	if (err < 0)
		return err;
	fleet_count_hit(fleet, query, 0);
	query->list = sweep_cursor(sweep, 0);
	*ret_list = query->list;
	return 0;
}

int fleet_list_absent(struct fleet *fleet, uint64_t list)
{
	const struct sweep *sweep = fleet_sweep_of(fleet, list);

	return sweep && sweep->missing_err != 0 ? sweep->missing_err : -ENOENT;
}

int fleet_list_end(struct fleet *fleet, uint64_t list)
{
	const struct sweep *sweep = fleet_sweep_of(fleet, list);

	return sweep && sweep->lacks_agents ? sweep->missing_err : 0;
}

uint64_t fleet_newest_list(const struct fleet *fleet)
{
	const struct sweep *sweep = sweep_newest_complete(fleet->sweeps.newest);

	return sweep ? sweep_cursor(sweep, 0) : 0;
}

bool fleet_list_is_known(const struct fleet *fleet)
{
	return fleet->records.list_known;
}

/* Returns the sweep of a cursor; for cursor 0 the one that serves the query. 0; -ESTALE if the
 * sweep was forgotten; -ENOMEM; or -EAGAIN for cursor 0 without a query. */
static int fleet_walk_sweep(struct fleet *fleet, uint64_t cursor, const struct query *query,
                            struct sweep **ret_sweep)
{
	struct sweep *sweep = NULL;

	if (cursor > 0)
		sweep = fleet_sweep_of(fleet, cursor);
	else if (query)
		sweep = sweeps_for(&fleet->sweeps, query, true);
	if (!sweep)
		return cursor > 0 ? -ESTALE : query ? -ENOMEM : -EAGAIN;
	*ret_sweep = sweep;
	return 0;
}

int fleet_walk(struct fleet *fleet, uint64_t *cursor, struct query *query,
               struct record **ret_record)
{
	const size_t from = *cursor & UINT32_MAX;
	size_t position = from;
	struct sweep *sweep;
	int err = fleet_walk_sweep(fleet, *cursor, query, &sweep);

	if (err < 0)
		return err;
	if (query)
		query->wake_ms = INT64_MAX;
	for (;;) {
		struct record *record;

		err = sweep_advance(&fleet->sweeps, sweep);
		if (err < 0)
			return err;
		record = roster_next(&sweep->roster, &fleet->records, &position);
		if (record) {
			*cursor = sweep_cursor(sweep, position + 1);
			fleet_read_ahead(fleet, sweep, position);
		}
		if (record || sweep->complete) {
			if (query)
				sweep_count_reader(sweep, from == 0, !record);
			if (!record && sweep->lacks_agents)
				return sweep->missing_err;
			*ret_record = record;
			return query ? fleet_count_hit(fleet, query, 0) : 0;
		}
		err = query ? fleet_wait_or_complete(fleet, sweep, query) : -EAGAIN;
		if (err < 0)
			return err;
	}
}
