/* SPDX-License-Identifier: MIT */
#include "tests/unit/fleet_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agents.h"

#define GETDENTS_ENTRIES 40      /* of one getdents() call of a reader */
#define LARGE_BYTES      100000  /* of an agent that fills an ingest step */
#define MOST_QUESTIONS   1000000 /* of one reader; more are an endless loop */

static uint64_t world_random(struct world *world)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->random;
}

size_t world_random_below(struct world *world, size_t limit)
{
	return limit ? (size_t)(world_random(world) % limit) : 0;
}

bool world_random_machine(struct world *world, char ret_id[static ID_BYTES])
{
	const struct machine *machine = &world->machines[world_random_below(world, world->count)];

	snprintf(ret_id, ID_BYTES, "%s", machine->id);
	return machine->permanent;
}

int64_t world_wall_ns(const struct world *world)
{
	return world->wall_offset_ns + world->now_ms * 1000000;
}

/* Changes of the list */

struct machine *world_add(struct world *world, size_t position, const char *id)
{
	struct machine *machine;

	assert_true(position <= world->count);
	if (world->count == world->capacity) {
		world->capacity = world->capacity ? 2 * world->capacity : 64;
		world->machines =
			realloc(world->machines, world->capacity * sizeof(*world->machines));
		assert_non_null(world->machines);
	}
	machine = &world->machines[position];
	memmove(machine + 1, machine, (world->count - position) * sizeof(*machine));
	*machine = (struct machine){0};
	snprintf(machine->id, sizeof(machine->id), "%s", id);
	world->count++;
	return machine;
}

void world_remove(struct world *world, size_t position)
{
	assert_true(position < world->count);
	world->count--;
	memmove(&world->machines[position], &world->machines[position + 1],
	        (world->count - position) * sizeof(*world->machines));
}

void world_move(struct world *world, size_t from, size_t to)
{
	struct machine machine = world->machines[from];

	world_remove(world, from);
	*world_add(world, to, machine.id) = machine;
}

void world_join(struct world *world)
{
	char id[ID_BYTES];

	snprintf(id, sizeof(id), "t%u", world->numbered++);
	world_add(world, world_random_below(world, world->count + 1), id);
}

bool world_leave(struct world *world)
{
	for (int tries = 0; world->count > 0 && tries < 200; tries++) {
		size_t position = world_random_below(world, world->count);

		if (!world->machines[position].permanent) {
			world_remove(world, position);
			return true;
		}
	}
	return false;
}

void world_set_bad_pages(struct world *world, const char *layout)
{
	memset(world->bad_pages, 0, sizeof(world->bad_pages));
	for (size_t i = 0; layout[i]; i++)
		world->bad_pages[i + 1] = layout[i] == 'x';
}

/* Responses */

static int64_t world_total_count(struct world *world)
{
	switch (world->count_reported) {
	case COUNT_RIGHT:
		return (int64_t)world->count;
	case COUNT_ABSENT:
		return AGENT_ABSENT;
	case COUNT_RANDOM:
		return (int64_t)world_random_below(world, 2 * world->count + 1);
	case COUNT_FIXED:
		return world->fixed_count;
	}
	return AGENT_ABSENT;
}

/* Sets an ETag that depends on all that the page contains. */
static void page_set_etag(struct page *page)
{
	uint64_t hash = (uint64_t)page->total_count * 31 + page->dropped;

	for (size_t i = 0; i < page->agent_count; i++)
		for (const char *at = page->agents[i]->json; *at; at++)
			hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	snprintf(page->validator.etag, sizeof(page->validator.etag), "\"%llx\"",
	         (unsigned long long)hash);
}

struct page *world_page(struct world *world, unsigned int number)
{
	size_t first = world->one_page_for_all ? 0 : (size_t)(number - 1) * world->per_page;
	size_t end = first + world->per_page;
	struct page *page;

	if (end > world->count)
		end = world->count;
	if (number == world->empty_page ||
	    (number > world->empty_page && number <= world->last_empty_page))
		end = 0;
	page = agents_page(end > first ? end - first : 0);
	for (size_t i = first; i < end; i++) {
		struct agent *agent;
		char status[24];

		snprintf(status, sizeof(status), "v%u", world->machines[i].version);
		agent = agents_new(world->machines[i].id, status);
		if (world->large_agents)
			agent->block_bytes = LARGE_BYTES;
		page->agents[page->agent_count++] = agent;
	}
	page->age_ms = world->age_ms;
	page->old = world->outdated;
	page->dropped = world->malformed;
	page->total_count = world_total_count(world);
	page->per_page = world->per_page;
	if (world->etags)
		page_set_etag(page);
	return page;
}

/* Replaces the page by a response 304 if it still has the validator of the request. */
static struct page *page_if_modified(struct page *page, const struct validator *condition)
{
	struct page *unchanged;

	if (!validator_is_present(condition) || strcmp(page->validator.etag, condition->etag) != 0)
		return page;
	unchanged = agents_page(0);
	unchanged->unchanged = true;
	unchanged->age_ms = page->age_ms;
	unchanged->old = page->old;
	unchanged->validator = page->validator;
	page_free(page);
	return unchanged;
}

/* The ports of the cache */

static int port_request_page(void *user, unsigned int number, const struct validator *condition,
                             bool no_cache)
{
	struct world *world = user;

	assert_in_range(number, 1, FLEET_MAX_PAGES);
	for (unsigned int i = 0; i < world->in_flight; i++)
		assert_int_not_equal(world->flights[i].page, number);
	assert_true(world->in_flight < MOST_FLIGHTS);
	if (world->drift && world_random_below(world, 100) < world->drift_percent)
		world->drift(world);
	world->flights[world->in_flight++] = (struct flight){
		.page = number,
		.due_ms = world->now_ms + world->latency_ms,
		.content = world->at_request ? world_page(world, number) : NULL,
		.condition = condition ? *condition : (struct validator){.etag = ""},
	};
	world->conditional += condition != NULL;
	world->no_cache += no_cache;
	world->requests++;
	if (number < MOST_PAGES)
		world->requests_of[number]++;
	if (world->peak < world->in_flight)
		world->peak = world->in_flight;
	return 0;
}

static int64_t port_now_ms(void *user)
{
	const struct world *world = user;

	return world->now_ms;
}

static int64_t port_wall_ns(void *user)
{
	return world_wall_ns(user);
}

static uint32_t port_random(void *user)
{
	return (uint32_t)(world_random(user) >> 16);
}

static void port_name(const char *id, char ret_name[static FLEET_NAME_BYTES])
{
	snprintf(ret_name, FLEET_NAME_BYTES, "%s", id);
}

static bool world_has(const struct world *world, const char *id)
{
	for (size_t i = 0; i < world->count; i++)
		if (strcmp(world->machines[i].id, id) == 0)
			return true;
	return false;
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct world *world = user;

	(void)at_ns;
	assert_true(before || after);
	assert_true(!before || before == record->agent);
	if (world->changes_fail)
		return -ENOMEM;
	world->joined += !before;
	world->changed += before && after;
	if (after)
		return 0;
	world->departed++;
	world->departed_wrongly += world_has(world, before->id);
	snprintf(world->departed_id, sizeof(world->departed_id), "%s", before->id);
	return 0;
}

static void port_duplicate(void *user, const struct record *record)
{
	struct world *world = user;

	(void)record;
	world->duplicates++;
}

/* Delivery */

int world_arrive(struct world *world, unsigned int number, struct page *page)
{
	int err = fleet_ingest(world->fleet, number, page);

	while (err == -EAGAIN) {
		world->parts++;
		err = fleet_ingest_more(world->fleet);
	}
	return err;
}

/* The status of a response that fails like this; 0: there is no response, or its body is bad. */
static uint16_t world_status(enum failure_cause cause)
{
	switch (cause) {
	case FAILURE_CREDENTIAL:
		return 403;
	case FAILURE_REDIRECT:
		return 302;
	case FAILURE_REQUEST:
		return 404;
	case FAILURE_BUSY:
		return 429;
	case FAILURE_SERVER:
		return 500;
	default:
		return 0;
	}
}

static void world_fail(struct world *world, unsigned int number, enum failure_cause cause,
                       int64_t retry_after_ms)
{
	const struct failure failure = {
		.cause = (uint8_t)cause,
		.page_only = world->page_only,
		.http_status = world->status_absent ? 0 : world_status(cause),
		.retry_after_ms = retry_after_ms,
		.at_ns = world_wall_ns(world),
	};

	fleet_failed(world->fleet, number, &failure);
}

static bool world_page_fails(const struct world *world, unsigned int number)
{
	if (number < MOST_PAGES && world->bad_pages[number])
		return true;
	return world->failing && (world->failing_page == 0 || world->failing_page == number);
}

void world_deliver(struct world *world, unsigned int which)
{
	struct flight flight;
	struct page *page;

	assert_true(which < world->in_flight);
	flight = world->flights[which];
	page = flight.content;
	memmove(&world->flights[which], &world->flights[which + 1],
	        (--world->in_flight - which) * sizeof(flight));
	if (world->now_ms < flight.due_ms)
		world->now_ms = flight.due_ms;
	if (world_page_fails(world, flight.page)) {
		page_free(page);
		world->failed++;
		world_fail(world, flight.page, world->cause, world->retry_after_ms);
		return;
	}
	if (!page)
		page = world_page(world, flight.page);
	page = page_if_modified(page, &flight.condition);
	world->full_pages += !page->unchanged;
	assert_int_equal(world_arrive(world, flight.page, page), 0);
	if (world->outdated)
		world_fail(world, flight.page, FAILURE_OLD, -1);
}

static unsigned int world_next_flight(struct world *world)
{
	switch (world->order) {
	case FIRST_FIRST:
		break;
	case LAST_FIRST:
		return world->in_flight - 1;
	case ANY_FIRST:
		return (unsigned int)world_random_below(world, world->in_flight);
	}
	return 0;
}

void world_deliver_next(struct world *world)
{
	assert_true(world->in_flight > 0);
	world_deliver(world, world_next_flight(world));
}

void world_wait(struct world *world, const struct query *query)
{
	unsigned int which = world->in_flight > 0 ? world_next_flight(world) : 0;

	if (world->in_flight > 0 && world->flights[which].due_ms <= query->wake_ms) {
		world_deliver(world, which);
		return;
	}
	assert_true(query->wake_ms != INT64_MAX); /* or the reader would sleep for ever */
	assert_true(query->wake_ms >= world->now_ms);
	world->now_ms = query->wake_ms;
}

/* Delivers the responses that arrived while the test advanced the time. */
static void world_catch_up(struct world *world)
{
	for (unsigned int i = 0; i < world->in_flight;)
		if (world->flights[i].due_ms < world->now_ms)
			world_deliver(world, i);
		else
			i++;
}

/* One reader that waits */

int world_find(struct world *world, const char *id, struct record **ret_record)
{
	struct record *record = NULL;
	struct query query;

	world_catch_up(world);
	query = fleet_query(world->fleet);
	for (int asked = 0; asked < MOST_QUESTIONS; asked++) {
		int err = fleet_find(world->fleet, id, &query, &record);

		if (err == -EAGAIN) {
			world_wait(world, &query);
			continue;
		}
		if (err == 0)
			assert_string_equal(record->name, id);
		if (err == 0 && ret_record)
			*ret_record = record;
		return err;
	}
	fail_msg("the lookup of %s does not end", id);
	return -ELOOP;
}

int world_renew(struct world *world, struct record *record)
{
	struct query query;

	world_catch_up(world);
	query = fleet_query(world->fleet);
	for (int asked = 0; asked < MOST_QUESTIONS; asked++) {
		int err = fleet_renew(world->fleet, record, &query);

		if (err != -EAGAIN)
			return err;
		world_wait(world, &query);
	}
	fail_msg("the renewal of %s does not end", record->name);
	return -ELOOP;
}

static void listing_append(struct listing *listing, struct record *record)
{
	listing->records =
		realloc(listing->records, (listing->count + 1) * sizeof(*listing->records));
	assert_non_null(listing->records);
	listing->records[listing->count++] = record_ref(record);
}

int world_list_some(struct world *world, uint64_t *cursor, size_t most, struct listing *listing)
{
	struct query query;
	size_t got = 0, entries = 0; /* in all, and in the present reply */

	world_catch_up(world);
	query = fleet_query(world->fleet);
	for (int asked = 0; asked < MOST_QUESTIONS; asked++) {
		struct record *record = NULL;
		int err = fleet_walk(world->fleet, cursor, entries > 0 ? NULL : &query, &record);

		if (entries > 0 && (err < 0 || !record)) {
			query = fleet_query(world->fleet);
			entries = 0;
			continue;
		}
		if (err == -EAGAIN) {
			world_wait(world, &query);
			continue;
		}
		if (err < 0 || !record)
			return err;
		listing_append(listing, record);
		if (++got == most)
			return 1;
		if (++entries == GETDENTS_ENTRIES) {
			query = fleet_query(world->fleet);
			entries = 0;
		}
	}
	fail_msg("the listing does not end");
	return -ELOOP;
}

void world_list(struct world *world, struct listing *listing)
{
	unsigned int requests = world->requests;
	uint64_t cursor = 0;

	*listing = (struct listing){0};
	listing->err = world_list_some(world, &cursor, SIZE_MAX, listing);
	listing->requests = world->requests - requests;
}

unsigned int world_list_all(struct world *world)
{
	struct listing listing;
	unsigned int requests;

	world_list(world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, world->count);
	for (size_t i = 0; i < listing.count; i++)
		assert_string_equal(listing.records[i]->name, world->machines[i].id);
	requests = listing.requests;
	listing_done(&listing);
	return requests;
}

void listing_done(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		record_unref(listing->records[i]);
	free(listing->records);
	*listing = (struct listing){0};
}

unsigned int listing_times(const struct listing *listing, const char *id)
{
	unsigned int times = 0;

	for (size_t i = 0; i < listing->count; i++)
		times += strcmp(listing->records[i]->name, id) == 0;
	return times;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void world_check_listing(const struct world *world, const struct listing *listing)
{
	const char **names = calloc(listing->count + 1, sizeof(*names));

	assert_non_null(names);
	for (size_t i = 0; i < listing->count; i++)
		names[i] = listing->records[i]->name;
	qsort(names, listing->count, sizeof(*names), compare_names);
	for (size_t i = 1; i < listing->count; i++)
		assert_string_not_equal(names[i], names[i - 1]);
	for (size_t i = 0; i < world->count; i++) {
		const char *id = world->machines[i].id;

		if (world->machines[i].permanent &&
		    !bsearch(&id, names, listing->count, sizeof(*names), compare_names))
			fail_msg("%s is not listed", id);
	}
	free(names);
}

struct fleet_health world_health(const struct world *world)
{
	struct fleet_health health;

	fleet_health(world->fleet, &health);
	return health;
}

/* Many readers */

bool reader_ask(struct world *world, struct reader *reader)
{
	struct record *record = NULL;

	if (!reader->asking)
		reader->query = fleet_query(world->fleet);
	do {
		reader->err =
			reader->id ? fleet_find(world->fleet, reader->id, &reader->query, &record)
				   : fleet_walk(world->fleet, &reader->cursor, &reader->query,
		                                &record);
		reader->listed += reader->err == 0 && record;
	} while (!reader->id && reader->err == 0 && record);
	reader->asking = reader->err == -EAGAIN;
	return !reader->asking;
}

void readers_ask_all(struct world *world, struct reader *readers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		reader_ask(world, &readers[i]);
	for (int steps = 0; steps < MOST_QUESTIONS; steps++) {
		bool waiting = false;

		for (size_t i = 0; i < count; i++)
			if (readers[i].asking)
				waiting |= !reader_ask(world, &readers[i]);
		if (!waiting)
			return;
		world_deliver_next(world);
	}
	fail_msg("a reader is never answered");
}

unsigned int readers_storm(struct world *world, int64_t minutes)
{
	struct reader readers[50] = {0};
	static const char *const ids[] = {"p1", "p150", "p241", "no-such-agent", NULL};
	unsigned int requests = world->requests;
	int64_t end_ms = world->now_ms + minutes * 60000;

	for (size_t i = 0; i < 50; i++)
		readers[i].id = ids[i % 5];
	for (; world->now_ms < end_ms; world->now_ms += 100) {
		while (world->in_flight > 0 && world->flights[0].due_ms <= world->now_ms)
			world_deliver(world, 0);
		for (size_t i = 0; i < 50; i++) {
			if (!readers[i].asking)
				readers[i].cursor = 0;
			reader_ask(world, &readers[i]);
		}
	}
	while (world->in_flight > 0)
		world_deliver(world, 0);
	return world->requests - requests;
}

/* The world itself */

void world_init(struct world *world, size_t count)
{
	*world = (struct world){
		.config = {.ttl_ms = TTL_MS,
	                   .stale_ms = STALE_MS,
	                   .retries = 2,
	                   .per_page = 100,
	                   .max_connections = 6},
		.now_ms = 1000000,
		.random = 0x9e3779b97f4a7c15,
		.per_page = 100,
		.retry_after_ms = -1,
		.cause = FAILURE_SERVER,
	};
	world->wall_offset_ns = MOUNTED_NS - world->now_ms * 1000000;
	for (size_t i = 0; i < count; i++) {
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%zu", i);
		world_add(world, i, id)->permanent = true;
	}
}

void world_mount(struct world *world)
{
	const struct fleet_ports ports = {
		.user = world,
		.request_page = port_request_page,
		.now_ms = port_now_ms,
		.wall_ns = port_wall_ns,
		.random = port_random,
		.name = port_name,
		.changed = port_changed,
		.duplicate = port_duplicate,
	};

	world->config.per_page = world->per_page;
	world->fleet = fleet_new(&world->config, &ports);
	assert_non_null(world->fleet);
}

void world_of(struct world *world, size_t count)
{
	world_init(world, count);
	world_mount(world);
}

void world_of_etags(struct world *world, size_t count)
{
	world_init(world, count);
	world->etags = true;
	world_mount(world);
}

void world_done(struct world *world)
{
	fleet_free(world->fleet);
	for (unsigned int i = 0; i < world->in_flight; i++)
		page_free(world->flights[i].content);
	free(world->machines);
}
