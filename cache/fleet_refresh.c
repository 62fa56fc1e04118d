/* SPDX-License-Identifier: MIT */
/* Reads the list periodically, without a reader. */
#include <errno.h>

#include "cache/fleet.h"
#include "cache/fleet_layers.h"
#include "cache/sweep_read.h"

/* A refresh that failed continues after this time, or when the backoff ends if that is later. */
#define RETRY_MS 1000

/* Returns when the next refresh is due: refresh_ms after the last one began, or after the oldest
 * data of the newest list, if that is later. The data of a refresh itself may be older than its
 * beginning, if an HTTP cache had it. */
static int64_t fleet_refresh_next_ms(const struct fleet *fleet)
{
	const struct sweep *list = sweep_newest_complete(fleet->sweeps.newest);
	int64_t read_ms = fleet->refresh_began_ms;

	if (list && list->oldest_ms != INT64_MAX && list->oldest_ms > read_ms)
		read_ms = list->oldest_ms;
	return read_ms + fleet->config.refresh_ms;
}

static void fleet_refresh_begin(struct fleet *fleet, int64_t now_ms)
{
	fleet->refreshing = true;
	fleet->refresh_began_ms = now_ms;
	fleet->refresh = fleet_query(fleet);
	/* The first list may use the pages that the start of the program fetched. */
	fleet->refresh_renews = fleet->records.list_known;
}

/* Returns 0 when all pages have been read, -EAGAIN, or -errno of the failure. Unlike a reader it
 * does not accept stale data. */
static int fleet_refresh_read(struct fleet *fleet)
{
	struct sweep *sweep;
	int err;

	if (fleet->refresh_renews)
		sweep = sweeps_renewal(&fleet->sweeps, &fleet->refresh);
	else if (!fleet->records.list_known)
		sweep = sweeps_for(&fleet->sweeps, &fleet->refresh, false);
	else
		return 0; /* a reader completed the first list */
	err = sweep ? sweep_advance(&fleet->sweeps, sweep) : -ENOMEM;
	fleet->refresh.wake_ms = INT64_MAX;
	if (err == 0 && !sweep->complete)
		err = sweep_ask(&fleet->sweeps, sweep, &fleet->refresh);
	return err;
}

/* Returns when a refresh that failed continues. */
static int64_t fleet_refresh_retry_ms(const struct fleet *fleet, int64_t now_ms)
{
	int64_t next_ms = pages_next_try_ms(&fleet->pages);

	return next_ms != INT64_MAX && next_ms > now_ms + RETRY_MS ? next_ms : now_ms + RETRY_MS;
}

void fleet_refresh(struct fleet *fleet)
{
	int64_t now_ms = pages_now_ms(&fleet->pages);
	int err;

	if (fleet->config.refresh_ms == 0)
		return;
	if (!fleet->refreshing) {
		if (fleet->records.list_known)
			fleet->refresh_due_ms = fleet_refresh_next_ms(fleet);
		if (now_ms < fleet->refresh_due_ms)
			return;
		fleet_refresh_begin(fleet, now_ms);
	}
	err = fleet_refresh_read(fleet);
	if (err == -EAGAIN) {
		fleet->refresh_due_ms = fleet->refresh.wake_ms;
	} else if (err < 0) {
		fleet->refresh_due_ms = fleet_refresh_retry_ms(fleet, now_ms);
	} else {
		fleet->refreshing = false;
		fleet->refresh_due_ms = fleet_refresh_next_ms(fleet);
	}
}

int64_t fleet_refresh_due_ms(const struct fleet *fleet)
{
	return fleet->config.refresh_ms == 0 ? INT64_MAX : fleet->refresh_due_ms;
}

int64_t fleet_refresh_left_ms(const struct fleet *fleet)
{
	int64_t left_ms = fleet_refresh_due_ms(fleet) - pages_now_ms(&fleet->pages);

	if (fleet->config.refresh_ms == 0)
		return -1;
	return fleet->refreshing || left_ms < 0 ? 0 : left_ms;
}
