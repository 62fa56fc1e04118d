/* SPDX-License-Identifier: MIT */
#include "cache/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/fleet_layers.h"

struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_ports *ports)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return NULL;
	fleet->config = *config;
	fleet->ports = *ports;
	pages_init(&fleet->pages, &fleet->config, &fleet->ports);
	sweeps_init(&fleet->sweeps, &fleet->pages, &fleet->records);
	if (records_init(&fleet->records, &fleet->pages) < 0) {
		free(fleet);
		return NULL;
	}
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	sweeps_done(&fleet->sweeps);
	ingest_done(&fleet->ingest);
	pages_done(&fleet->pages);
	records_done(&fleet->records);
	free(fleet);
}

struct query fleet_query(struct fleet *fleet)
{
	return (struct query){
		.began = ++fleet->pages.seq,
		.began_ms = pages_now_ms(&fleet->pages),
		.wake_ms = INT64_MAX,
	};
}

int fleet_count_hit(struct fleet *fleet, struct query *query, int err)
{
	bool hit = !query->asked && !query->counted && (err == 0 || err == -ENOENT);

	fleet->hits += hit;
	query->counted |= hit;
	return err;
}

/* Responses */

/* Adds the agents from ingest->records[first] on that were unknown before this response to the
 * newest listing. 0 or -ENOMEM. */
static int fleet_list_newcomers(struct fleet *fleet, size_t first)
{
	const struct ingest *ingest = &fleet->ingest;

	for (size_t i = first; i < ingest->count; i++) {
		const struct record *record = ingest->records[i];
		int err = 0;

		if (record->serial >= ingest->first_serial)
			err = sweeps_add_newcomer(&fleet->sweeps, record);
		if (err < 0)
			return err;
	}
	return 0;
}

int fleet_ingest_more(struct fleet *fleet)
{
	struct ingest *ingest = &fleet->ingest;
	size_t first = ingest->count;
	int err = ingest_step(ingest, &fleet->records, sweeps_pass_seq(&fleet->sweeps));
	int list_err = fleet_list_newcomers(fleet, first);

	if (list_err < 0)
		err = list_err;
	if (err == -EAGAIN)
		return err;
	if (err == 0)
		ingest_finish(ingest, &fleet->records);
	ingest_done(ingest);
	return err;
}

int fleet_ingest(struct fleet *fleet, unsigned int number, struct page *page)
{
	int err = ingest_begin(&fleet->ingest, &fleet->records, number, page);

	return err < 0 ? err : fleet_ingest_more(fleet);
}

void fleet_failed(struct fleet *fleet, unsigned int number, const struct failure *failure)
{
	pages_fail(&fleet->pages, number, failure);
}

void fleet_expire(struct fleet *fleet)
{
	pages_expire_all(&fleet->pages);
	sweeps_expire_all(&fleet->sweeps);
}

/* Time */

int64_t fleet_record_left_ms(const struct fleet *fleet, const struct record *record)
{
	return pages_left_ms(&fleet->pages, record->read_ms, record->read_seq);
}

int64_t fleet_list_left_ms(const struct fleet *fleet)
{
	return sweeps_list_left_ms(&fleet->sweeps);
}

int64_t fleet_list_mtime_ns(struct fleet *fleet)
{
	return sweeps_list_mtime_ns(&fleet->sweeps);
}

int64_t fleet_started_ns(const struct fleet *fleet)
{
	return fleet->records.started_ns;
}

int64_t fleet_now_ms(const struct fleet *fleet)
{
	return pages_now_ms(&fleet->pages);
}

int64_t fleet_wall_ns(const struct fleet *fleet)
{
	return pages_wall_ns(&fleet->pages);
}

int64_t fleet_ttl_ms(const struct fleet *fleet)
{
	return fleet->config.ttl_ms;
}

int64_t fleet_refresh_ms(const struct fleet *fleet)
{
	return fleet->config.refresh_ms;
}

int64_t fleet_timeout_ms(const struct fleet *fleet)
{
	return fleet->config.timeout_ms;
}

/* Health */

void fleet_health(const struct fleet *fleet, struct fleet_health *ret_health)
{
	const struct pages *pages = &fleet->pages;
	const struct records *records = &fleet->records;
	const struct sweeps *sweeps = &fleet->sweeps;
	const struct sweep *list = sweep_newest_complete(sweeps->newest);
	bool known = list && list->oldest_ms != INT64_MAX;
	int64_t now_ms = pages_now_ms(pages);
	bool failing = pages->backoff.active || pages->backed_off > 0;
	bool stale = pages->stale > 0 || (failing && pages->success_ns > 0 &&
	                                  pages_may_serve_stale(pages, pages->success_ms));
	int64_t next_ms = failing ? pages_next_try_ms(pages) : now_ms;

	*ret_health = (struct fleet_health){
		.agents = records->present,
		.pages = list ? list->list_pages : 0,
		.swept = records->list_known,
		.verified = list && list->verified,
		.failing = failing,
		.stale = stale,
		.list_age_ms = known ? now_ms - list->oldest_ms : -1,
		.success_ns = pages->success_ns,
		.sweep_ns = sweeps->completed_ns,
		.retry_ms = next_ms > now_ms ? next_ms - now_ms : 0,
		.refresh_ms = fleet_refresh_left_ms(fleet),
		.asked = pages->asked,
		.arrived = pages->arrived,
		.unchanged = records->unchanged,
		.coalesced = pages->coalesced,
		.hits = fleet->hits,
		.sweeps = sweeps->completed,
		.passes = sweeps->passes,
		.duplicates = records->duplicates,
		.malformed = records->malformed,
	};
	memcpy(ret_health->failures, pages->failures_of, sizeof(ret_health->failures));
}

const struct failure *fleet_last_failure(const struct fleet *fleet)
{
	return fleet->pages.last_failure.at_ns ? &fleet->pages.last_failure : NULL;
}
