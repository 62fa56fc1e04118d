/* SPDX-License-Identifier: MIT */
#include "cache/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "cache/sweep.h"

#define PATIENCE_MS   2000 /* with stale data at hand, so long a slow API is waited for */
#define REMEMBERED_MS 1000 /* a listing from memory is kept so long, then the API may be asked */

static int64_t now_of(const struct fleet *fleet)
{
	return fleet->ports.now_ms(fleet->ports.user);
}

struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_ports *ports)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return NULL;
	fleet->config = *config;
	fleet->ports = *ports;
	fleet->hash_seed = (uint64_t)ports->random(ports->user) << 32 | ports->random(ports->user);
	fleet->mounted_ns = ports->wall_ns(ports->user);
	fleet->names_ns = fleet->mounted_ns;
	fleet->nobody = calloc(1, sizeof(*fleet->nobody));
	if (!fleet->nobody) {
		free(fleet);
		return NULL;
	}
	fleet->nobody->refs = 1;
	fleet->nobody->id = "";
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	sweep_free_all(fleet);
	fleet_arriving_done(fleet);
	for (unsigned int i = 0; i < fleet->page_count; i++)
		fleet_page_reset(&fleet->pages[i]);
	free(fleet->pages);
	for (size_t i = 0; i < fleet->record_count; i++)
		record_unref(fleet->records[i]);
	free(fleet->records);
	free(fleet->free_indices);
	table_done(&fleet->by_name);
	agent_unref(fleet->nobody);
	free(fleet);
}

/* Freshness */

/* Whether something that arrived then may be served now. */
bool fleet_fresh(const struct fleet *fleet, int64_t read_ms, uint64_t read_seq)
{
	return read_seq > fleet->flush_seq && now_of(fleet) < read_ms + fleet->config.ttl_ms;
}

static bool may_serve(const struct fleet *fleet, const struct record *record,
                      const struct query *query)
{
	return record->read_seq > query->began ||
	       fleet_fresh(fleet, record->read_ms, record->read_seq);
}

struct query fleet_query(struct fleet *fleet)
{
	return (struct query){
		.began = ++fleet->seq,
		.began_ms = now_of(fleet),
		.wake_ms = INT64_MAX,
	};
}

void fleet_expire(struct fleet *fleet)
{
	fleet->flush_seq = ++fleet->seq;
	backoff_clear(&fleet->backoff);
	for (unsigned int i = 0; i < fleet->page_count; i++)
		fleet_page_recovers(fleet, &fleet->pages[i]);
}

static int64_t left_ms(const struct fleet *fleet, int64_t read_ms, uint64_t read_seq)
{
	if (!fleet_fresh(fleet, read_ms, read_seq))
		return 0;
	return read_ms + fleet->config.ttl_ms - now_of(fleet);
}

int64_t fleet_record_ms(const struct fleet *fleet, const struct record *record)
{
	return left_ms(fleet, record->read_ms, record->read_seq);
}

static const struct sweep *newest_whole(const struct fleet *fleet)
{
	const struct sweep *sweep = fleet->sweeps;

	while (sweep && !sweep->complete)
		sweep = sweep->older;
	return sweep;
}

/* A list that was not read to its end, is remembered through a failure or lacks a page has no time
 * left: the kernel is to ask each time. */
int64_t fleet_list_ms(const struct fleet *fleet)
{
	const struct sweep *sweep = newest_whole(fleet);

	if (!sweep || sweep->from_memory || sweep->missing != 0)
		return 0;
	return left_ms(fleet, sweep->oldest_ms, sweep->began_seq);
}

int64_t fleet_list_mtime_ns(struct fleet *fleet)
{
	const struct sweep *sweep = fleet->sweeps;
	int64_t read_ms = sweep ? sweep->oldest_ms : 0;

	/* A gap is listed from data that has expired; the listing has not. */
	if (sweep && sweep->missing != 0)
		read_ms = sweep->good_ms - fleet->config.ttl_ms;
	/* Moved once per expiry, before the new sweep begins: the time that the kernel sees now is
	 * the one it will find again after it has listed, so that it can keep that listing. */
	if (sweep && sweep->oldest_ms != INT64_MAX && sweep->number != fleet->names_bumped_for &&
	    left_ms(fleet, read_ms, sweep->began_seq) == 0) {
		fleet->names_bump++;
		fleet->names_bumped_for = sweep->number;
		fleet->names_bumped_ms = now_of(fleet);
	} else if (sweep && (sweep->from_memory || sweep->missing != 0) &&
	           now_of(fleet) >= fleet->names_bumped_ms + REMEMBERED_MS) {
		fleet->names_bump++;
		fleet->names_bumped_ms = now_of(fleet);
	}
	return fleet->names_ns + fleet->names_bump;
}

void fleet_names_changed(struct fleet *fleet)
{
	fleet->names_ns = fleet->ports.wall_ns(fleet->ports.user);
	fleet->names_bump = 0;
}

/* Pages */

struct fleet_page *fleet_page(struct fleet *fleet, unsigned int number)
{
	if (number > FLEET_MAX_PAGES)
		return NULL;
	if (number > fleet->page_count) {
		unsigned int more = number + number / 2;
		struct fleet_page *pages = realloc(fleet->pages, more * sizeof(*pages));

		if (!pages)
			return NULL;
		memset(pages + fleet->page_count, 0, (more - fleet->page_count) * sizeof(*pages));
		fleet->pages = pages;
		fleet->page_count = more;
	}
	return &fleet->pages[number - 1];
}

/* What a failure forbids: -errno while it is held, -EAGAIN while it is being retried but not yet, 0
 * when it is time to ask. */
static int forbidden(const struct backoff *backoff, int64_t now_ms, struct query *query)
{
	if (!backoff->active || now_ms >= backoff->until_ms)
		return 0;
	if (!backoff_is_retrying(backoff))
		return -failure_errno(backoff->cause);
	if (query->wake_ms > backoff->until_ms)
		query->wake_ms = backoff->until_ms;
	return -EAGAIN;
}

int fleet_ask(struct fleet *fleet, unsigned int number, bool no_cache, struct query *query)
{
	struct fleet_page *page = fleet_page(fleet, number);
	int64_t now_ms = now_of(fleet);
	bool conditional;
	int err;

	if (!page)
		return number > FLEET_MAX_PAGES ? -EFBIG : -ENOMEM;
	if (page->in_flight) {
		fleet->health.coalesced += !query->waited;
		query->waited = true;
		return -EAGAIN;
	}
	query->waited = true;
	err = forbidden(&fleet->backoff, now_ms, query);
	if (err == 0)
		err = forbidden(&page->backoff, now_ms, query);
	if (err < 0)
		return err;
	/* An API that failed is probed by one request at a time. */
	if (fleet->backoff.active && fleet->in_flight > 0)
		return -EAGAIN;
	conditional = validator_is_there(&page->validator) && fleet_page_is_intact(page, number);
	if (page->arrived_seq <= fleet->flush_seq && fleet->flush_seq > 0)
		no_cache = true;
	err = fleet->ports.want(fleet->ports.user, number, conditional ? &page->validator : NULL,
	                        no_cache);
	if (err < 0)
		return err;
	page->in_flight = true;
	page->asked_no_cache = no_cache;
	page->asked_ms = now_ms;
	page->asked_seq = fleet->seq;
	page->asked_failures = fleet->noted;
	fleet->in_flight++;
	fleet->health.asked++;
	return -EAGAIN;
}

/* Looking for one agent */

/* Whether a page was read since the look began, wants it otherwise: 0, -EAGAIN or -errno. Who is
 * not where it was last seen is looked for anew, so that the page be fresh is not enough. */
static int read_since(struct fleet *fleet, unsigned int number, struct query *query)
{
	if (number < 1 || (number > fleet->last_page && number > 1))
		return 0;
	if (number <= fleet->page_count && fleet->pages[number - 1].arrived_seq > query->began)
		return 0;
	return fleet_ask(fleet, number, false, query);
}

static int look_around(struct fleet *fleet, struct record *record, struct query *query)
{
	unsigned int page = record->page;
	int err = read_since(fleet, page, query);
	int before, after;

	if (err < 0)
		return err;
	before = read_since(fleet, page - 1, query);
	after = read_since(fleet, page + 1, query);
	if (before == -EAGAIN || after == -EAGAIN)
		return -EAGAIN;
	return before < 0 ? before : after;
}

/* Goes on with a sweep: 0 at its end, -EAGAIN, or -ENOMEM. */
static int sweep_on(struct fleet *fleet, struct query *query, struct sweep **ret_sweep)
{
	struct sweep *sweep = sweep_for(fleet, query, false);
	int err;

	if (!sweep)
		return -ENOMEM;
	*ret_sweep = sweep;
	err = sweep_advance(fleet, sweep);
	return err < 0 || sweep->complete ? err : -EAGAIN;
}

/* Until when a slow page is waited for by who could do with stale data. Counted from when it was
 * asked for: one look after another shall not wait for the same. */
static int64_t patience_ms(const struct fleet *fleet, unsigned int number,
                           const struct query *query)
{
	int64_t from_ms = query->began_ms;

	if (number >= 1 && number <= fleet->page_count) {
		const struct fleet_page *page = &fleet->pages[number - 1];

		if (page->in_flight && page->asked_ms < from_ms)
			from_ms = page->asked_ms;
	}
	if (fleet->config.timeout_ms > 0 && fleet->config.timeout_ms * 3 / 4 < PATIENCE_MS)
		return from_ms + fleet->config.timeout_ms * 3 / 4;
	return from_ms + PATIENCE_MS;
}

bool fleet_may_serve_stale(const struct fleet *fleet, int64_t read_ms)
{
	return now_of(fleet) < read_ms + fleet->config.ttl_ms + fleet->config.stale_ms;
}

/* What an agent's data is worth when it could not be renewed (now): stale data, the failure, or
 * more patience. */
static int settle(struct fleet *fleet, const struct record *record, struct query *query, int err)
{
	int64_t until_ms = patience_ms(fleet, record->page, query);

	if (!fleet_may_serve_stale(fleet, record->read_ms))
		return err;
	if (err != -EAGAIN || now_of(fleet) >= until_ms) {
		fleet_served_stale(fleet, record->page);
		return 0;
	}
	if (query->wake_ms > until_ms)
		query->wake_ms = until_ms;
	return err;
}

/* 0, or -errno when the newest list did without the page that this record may be on, and is still
 * fresh: then there is nothing to be asked for. */
static int lost_in_gap(const struct fleet *fleet, const struct record *record,
                       const struct query *query)
{
	const struct sweep *sweep = newest_whole(fleet);

	if (!sweep || sweep->missing == 0 || sweep->from_memory ||
	    !sweep_serves(fleet, sweep, query))
		return 0;
	if (!sweep_is_gap(sweep, record->page) &&
	    fleet->pages[record->page - 1].arrived_seq == record->read_seq)
		return 0;
	return sweep->missing;
}

int fleet_renew(struct fleet *fleet, struct record *record, struct query *query)
{
	struct sweep *sweep = NULL;
	int err;

	query->wake_ms = INT64_MAX;
	if (!record->present)
		return -ENOENT;
	if (may_serve(fleet, record, query)) {
		fleet->health.hits += !query->waited;
		return 0;
	}
	err = lost_in_gap(fleet, record, query);
	if (err == 0)
		err = look_around(fleet, record, query);
	if (err == 0) {
		/* Not where it was: only a whole sweep can tell that it left. */
		record_ref(record);
		err = sweep_on(fleet, query, &sweep);
		if (!record->present)
			err = -ENOENT;
		else if (may_serve(fleet, record, query))
			err = 0;
		else if (err == -EAGAIN && sweep)
			err = sweep_ask(fleet, sweep, query);
		else if (err == 0)
			err = sweep->missing;
		record_unref(record);
	}
	if (err == 0 || err == -ENOENT)
		return err;
	return settle(fleet, record, query, err);
}

/* What a name that is not known gets while the sweep that looks for it lacks a page. The last whole
 * list did not have it: that is served as long as other data of that age, after the same wait. But
 * when a page fails, or failed then, the name may be on it. */
static int deny_after_patience(struct fleet *fleet, struct sweep *sweep, struct query *query)
{
	const struct sweep *last = newest_whole(fleet);
	unsigned int number = sweep_lacks(sweep);
	int64_t until_ms = patience_ms(fleet, number, query);
	int err = sweep_ask(fleet, sweep, query);

	if (err != -EAGAIN || sweep->missing != 0 || !last || last->missing != 0 ||
	    fleet->backoff.active || fleet->bad_pages > 0 ||
	    !fleet_may_serve_stale(fleet, fleet->list_ms))
		return err;
	if (now_of(fleet) >= until_ms) {
		fleet_served_stale(fleet, number);
		return -ENOENT;
	}
	if (query->wake_ms > until_ms)
		query->wake_ms = until_ms;
	return err;
}

int fleet_find(struct fleet *fleet, const char *name, struct query *query, struct record **ret)
{
	struct record *record = fleet_named(fleet, name);
	struct sweep *sweep = NULL;
	int err;

	query->wake_ms = INT64_MAX;
	if (!record) {
		err = sweep_on(fleet, query, &sweep);
		record = fleet_named(fleet, name);
		if (!record) {
			if (err == -EAGAIN && sweep)
				return deny_after_patience(fleet, sweep, query);
			if (err < 0)
				return err;
			return sweep->missing != 0 ? sweep->missing : -ENOENT;
		}
	}
	err = fleet_renew(fleet, record, query);
	if (err == 0)
		*ret = record;
	return err;
}

/* Listing */

/* The next record at or after *position, moving it there; NULL when there is none yet. */
static struct record *next_present(const struct fleet *fleet, const struct sweep *sweep,
                                   size_t *position)
{
	for (; *position < sweep->count; ++*position) {
		struct record *record = fleet_seated(fleet, sweep->order[*position]);

		if (record)
			return record;
	}
	return NULL;
}

/* Keeps the pages coming for a reader that goes on: one look ahead for each page that it reads. */
static void read_ahead(struct fleet *fleet, struct sweep *sweep, size_t position)
{
	struct query nobody = {.waited = true};
	size_t ahead = (size_t)fleet->config.per_page * fleet->config.max_connections;

	if (!sweep->complete && sweep->next_page > 2 && position % fleet->config.per_page == 0 &&
	    sweep->count - position < ahead)
		sweep_ask(fleet, sweep, &nobody);
}

/* What a listing is worth that lacks a page (now): what is remembered, the failure, or more
 * patience. 0: go on. */
static int go_on_without(struct fleet *fleet, struct sweep *sweep, struct query *query)
{
	int err = sweep_ask(fleet, sweep, query);
	int64_t until_ms = patience_ms(fleet, sweep_lacks(sweep), query);

	if (err == -EAGAIN && now_of(fleet) < until_ms) {
		if (fleet->health.swept && query->wake_ms > until_ms)
			query->wake_ms = until_ms;
		return err;
	}
	return sweep_remember(fleet, sweep) == 0 ? 0 : err;
}

int fleet_whole(struct fleet *fleet, struct query *query, uint64_t *ret_cursor)
{
	struct sweep *sweep;
	int err;

	query->wake_ms = INT64_MAX;
	if (query->list > 0) {
		*ret_cursor = query->list;
		return 0;
	}
	sweep = sweep_for(fleet, query, true);
	err = sweep ? sweep_advance(fleet, sweep) : -ENOMEM;
	while (err == 0 && !sweep->complete) {
		err = go_on_without(fleet, sweep, query);
		if (err == 0)
			err = sweep_advance(fleet, sweep);
	}
	if (err < 0)
		return err;
	fleet->health.hits += !query->waited;
	query->list = sweep->number << 32;
	*ret_cursor = query->list;
	return 0;
}

int fleet_list_absent(struct fleet *fleet, uint64_t list)
{
	const struct sweep *sweep = sweep_find(fleet, list >> 32);

	return sweep && sweep->missing != 0 ? sweep->missing : -ENOENT;
}

int fleet_list_end(struct fleet *fleet, uint64_t list)
{
	const struct sweep *sweep = sweep_find(fleet, list >> 32);

	return sweep && sweep->open ? sweep->missing : 0;
}

uint64_t fleet_newest(const struct fleet *fleet)
{
	const struct sweep *sweep = newest_whole(fleet);

	return sweep ? sweep->number << 32 : 0;
}

/* The sweep of a cursor: 0, -ESTALE, or for a cursor of 0 -ENOMEM, and -EAGAIN without a look. */
static int fleet_walk_sweep(struct fleet *fleet, uint64_t cursor, struct query *query,
                            struct sweep **ret_sweep)
{
	struct sweep *sweep;

	if (cursor > 0)
		sweep = sweep_find(fleet, cursor >> 32);
	else
		sweep = query ? sweep_for(fleet, query, true) : NULL;
	if (!sweep)
		return cursor > 0 ? -ESTALE : query ? -ENOMEM : -EAGAIN;
	*ret_sweep = sweep;
	return 0;
}

int fleet_walk(struct fleet *fleet, uint64_t *cursor, struct query *query, struct record **ret)
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

		err = sweep_advance(fleet, sweep);
		if (err < 0)
			return err;
		record = next_present(fleet, sweep, &position);
		if (record) {
			*cursor = sweep->number << 32 | (position + 1);
			read_ahead(fleet, sweep, position);
		}
		if (record || sweep->complete) {
			if (query)
				listing_count_reader(sweep, from == 0, !record);
			if (!record && sweep->open)
				return sweep->missing;
			*ret = record;
			return 0;
		}
		err = query ? go_on_without(fleet, sweep, query) : -EAGAIN;
		if (err < 0)
			return err;
	}
}

/* Health */

/* When something that failed is asked for again, at the earliest. */
static int64_t next_try_ms(const struct fleet *fleet)
{
	int64_t next_ms = INT64_MAX;

	if (fleet->backoff.active)
		return fleet->backoff.until_ms;
	for (unsigned int i = 0; i < fleet->page_count; i++) {
		const struct backoff *backoff = &fleet->pages[i].backoff;

		if (fleet->pages[i].bad && next_ms > backoff->until_ms)
			next_ms = backoff->until_ms;
	}
	return next_ms;
}

void fleet_health(const struct fleet *fleet, struct fleet_health *ret_health)
{
	int64_t now_ms = now_of(fleet);
	struct fleet_health health = fleet->health;

	health.agents = fleet->present;
	health.list_age_ms = health.swept ? now_ms - fleet->list_ms : -1;
	health.failing = fleet->backoff.active || fleet->bad_pages > 0;
	health.stale = fleet->stale_pages > 0 || (health.failing && health.success_ns > 0 &&
	                                          fleet_may_serve_stale(fleet, fleet->success_ms));
	if (health.failing && next_try_ms(fleet) > now_ms)
		health.retry_ms = next_try_ms(fleet) - now_ms;
	*ret_health = health;
}

const struct failure *fleet_last_failure(const struct fleet *fleet)
{
	return fleet->failure.at_ns ? &fleet->failure : NULL;
}

int64_t fleet_now_ms(const struct fleet *fleet)
{
	return now_of(fleet);
}

int64_t fleet_mounted_ns(const struct fleet *fleet)
{
	return fleet->mounted_ns;
}

int64_t fleet_ttl_ms(const struct fleet *fleet)
{
	return fleet->config.ttl_ms;
}

int64_t fleet_timeout_ms(const struct fleet *fleet)
{
	return fleet->config.timeout_ms;
}

int64_t fleet_wall_ns(const struct fleet *fleet)
{
	return fleet->ports.wall_ns(fleet->ports.user);
}
