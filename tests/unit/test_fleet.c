/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/agents.h"

/*
 * The cache in virtual time, against an API that lives in this file: a list of machines that is cut
 * into pages, may be shifted between any two requests, fails, is slow and lies as a test likes.
 */

#define ID_BYTES     24
#define MOST_FLIGHTS 512
#define MOUNTED_NS   INT64_C(1700000000000000000)
#define TTL_MS       10000
#define STALE_MS     300000
#define BATCH        40 /* entries that one getdents of a reader takes */

struct machine {
	char id[ID_BYTES];
	unsigned int version; /* another one, another json */
	bool permanent;
};

struct flight {
	unsigned int page;
	int64_t due_ms;
	struct page *content; /* as it was when it was asked for; NULL: as it will be */
	struct validator condition;
};

enum order { FIRST_FIRST, LAST_FIRST, ANY_FIRST };
enum count { COUNT_RIGHT, COUNT_ABSENT, COUNT_RANDOM, COUNT_FIXED };

struct world {
	struct fleet *fleet;
	struct fleet_config config;
	int64_t now_ms;
	int64_t wall_offset_ns; /* wall clock, less the other one */
	uint64_t random;

	struct machine *machines;
	size_t count;
	size_t capacity;
	unsigned int numbered; /* the next newcomer's number */

	struct flight flights[MOST_FLIGHTS];
	unsigned int in_flight;
	enum order order;
	int64_t latency_ms;
	int64_t age_ms;     /* of what comes */
	bool old;           /* and that is too much, as the client says */
	bool heavy;         /* agents take so much memory that a page is taken in in parts */
	unsigned int parts; /* so many but for the last */
	bool at_request;    /* an answer is as the list was when it was asked for */
	void (*shift)(struct world *world); /* what happens between two requests */
	unsigned int shift_percent;         /* of them */

	unsigned int per_page; /* that the API gives, whatever it is asked for */
	enum count count_told;
	int64_t fixed_count;
	bool one_page_for_all; /* each page is page 1 */
	unsigned int empty_page;
	unsigned int malformed; /* elements of each page that are no agent */

	bool failing;
	unsigned int failing_page; /* 0: all */
	enum failure_cause cause;
	int64_t retry_after_ms;
	bool bad[200]; /* pages that fail whatever the others do */

	bool recognised;          /* answers have an ETag, and are not repeated */
	unsigned int conditions;  /* wants that had one */
	unsigned int past_caches; /* wants that no cache was to answer */
	unsigned int repeated;    /* pages that came as a whole */
	unsigned int wants;
	unsigned int wants_of[200];
	unsigned int peak; /* most in flight at once */
	unsigned int failed;
	bool deaf; /* there is no memory to take note of a change */
	unsigned int joined;
	unsigned int changed;
	unsigned int gone;
	char gone_id[ID_BYTES]; /* the last one */
	unsigned int duplicates_told;
};

static uint64_t random_of(struct world *world)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->random;
}

static size_t random_below(struct world *world, size_t limit)
{
	return limit ? (size_t)(random_of(world) % limit) : 0;
}

/* The list */

static struct machine *world_add(struct world *world, size_t position, const char *id)
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

static void world_remove(struct world *world, size_t position)
{
	assert_true(position < world->count);
	world->count--;
	memmove(&world->machines[position], &world->machines[position + 1],
	        (world->count - position) * sizeof(*world->machines));
}

static void world_move(struct world *world, size_t from, size_t to)
{
	struct machine machine = world->machines[from];

	world_remove(world, from);
	*world_add(world, to, machine.id) = machine;
}

static void world_join(struct world *world)
{
	char id[ID_BYTES];

	snprintf(id, sizeof(id), "t%u", world->numbered++);
	world_add(world, random_below(world, world->count + 1), id);
}

/* Somebody who is not permanent leaves. */
static bool world_leave(struct world *world)
{
	for (int tries = 0; world->count > 0 && tries < 200; tries++) {
		size_t position = random_below(world, world->count);

		if (!world->machines[position].permanent) {
			world_remove(world, position);
			return true;
		}
	}
	return false;
}

static void world_shuffle(struct world *world)
{
	for (size_t i = world->count; i > 1; i--) {
		size_t other = random_below(world, i);
		struct machine machine = world->machines[i - 1];

		world->machines[i - 1] = world->machines[other];
		world->machines[other] = machine;
	}
}

/* The API */

static int64_t told_count(struct world *world)
{
	switch (world->count_told) {
	case COUNT_RIGHT:
		return (int64_t)(world->count);
	case COUNT_ABSENT:
		return AGENT_ABSENT;
	case COUNT_RANDOM:
		return (int64_t)random_below(world, 2 * world->count + 1);
	case COUNT_FIXED:
		return world->fixed_count;
	}
	return AGENT_ABSENT;
}

/* Gives it an ETag that is another whenever anything in it is. */
static void recognise(struct page *page)
{
	uint64_t hash = (uint64_t)page->total_count * 31 + page->malformed;

	for (size_t i = 0; i < page->agent_count; i++)
		for (const char *at = page->agents[i]->json; *at; at++)
			hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	snprintf(page->validator.etag, sizeof(page->validator.etag), "\"%llx\"",
	         (unsigned long long)hash);
}

static struct page *page_of(struct world *world, unsigned int number)
{
	size_t first = world->one_page_for_all ? 0 : (size_t)(number - 1) * world->per_page;
	size_t end = first + world->per_page;
	struct page *page;

	if (end > world->count)
		end = world->count;
	if (number == world->empty_page)
		end = 0;
	page = agents_page(end > first ? end - first : 0);
	for (size_t i = first; i < end; i++) {
		struct agent *agent;
		char status[24];

		snprintf(status, sizeof(status), "v%u", world->machines[i].version);
		agent = agents_new(world->machines[i].id, status);
		if (world->heavy)
			agent->bytes = 100000; /* so that each is a part of its own */
		page->agents[page->agent_count++] = agent;
	}
	page->age_ms = world->age_ms;
	page->old = world->old;
	page->malformed = world->malformed;
	page->total_count = told_count(world);
	page->per_page = world->per_page;
	if (world->recognised)
		recognise(page);
	return page;
}

/* Instead of a page that is still what the one who asks has. */
static struct page *unless_unchanged(struct page *page, const struct validator *condition)
{
	struct page *instead;

	if (!validator_is_there(condition) || strcmp(page->validator.etag, condition->etag) != 0)
		return page;
	instead = agents_page(0);
	instead->unchanged = true;
	instead->age_ms = page->age_ms;
	instead->old = page->old;
	instead->validator = page->validator;
	page_free(page);
	return instead;
}

static int port_want(void *user, unsigned int number, const struct validator *condition,
                     bool past_caches)
{
	struct world *world = user;

	assert_in_range(number, 1, FLEET_MAX_PAGES);
	for (unsigned int i = 0; i < world->in_flight; i++)
		assert_int_not_equal(world->flights[i].page, number);
	assert_true(world->in_flight < MOST_FLIGHTS);
	if (world->shift && random_below(world, 100) < world->shift_percent)
		world->shift(world);
	world->flights[world->in_flight++] = (struct flight){
		.page = number,
		.due_ms = world->now_ms + world->latency_ms,
		.content = world->at_request ? page_of(world, number) : NULL,
		.condition = condition ? *condition : (struct validator){.etag = ""},
	};
	world->conditions += condition != NULL;
	world->past_caches += past_caches;
	world->wants++;
	if (number < 200)
		world->wants_of[number]++;
	if (world->peak < world->in_flight)
		world->peak = world->in_flight;
	return 0;
}

static int64_t port_now_ms(void *user)
{
	return ((struct world *)user)->now_ms;
}

static int64_t port_wall_ns(void *user)
{
	const struct world *world = user;

	return world->wall_offset_ns + world->now_ms * 1000000;
}

static uint32_t port_random(void *user)
{
	return (uint32_t)(random_of(user) >> 16);
}

static void port_name(const char *id, char ret_name[static FLEET_NAME_BYTES])
{
	snprintf(ret_name, FLEET_NAME_BYTES, "%s", id);
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct world *world = user;

	(void)at_ns;
	assert_true(before || after);
	assert_true(!before || before == record->agent);
	if (world->deaf)
		return -ENOMEM;
	world->joined += !before;
	world->changed += before && after;
	world->gone += !after;
	if (!after)
		snprintf(world->gone_id, sizeof(world->gone_id), "%s", before->id);
	return 0;
}

static void port_duplicate(void *user, const struct record *record)
{
	(void)record;
	((struct world *)user)->duplicates_told++;
}

/* A page comes in, in as many parts as it takes. */
static int arrive(struct world *world, unsigned int number, struct page *page)
{
	int err = fleet_arrived(world->fleet, number, page);

	while (err == -EAGAIN) {
		world->parts++;
		err = fleet_arrive_on(world->fleet);
	}
	return err;
}

/* An answer comes in. */
static void deliver(struct world *world, unsigned int which)
{
	struct flight flight = world->flights[which];
	struct page *page = flight.content;

	assert_true(which < world->in_flight);
	memmove(&world->flights[which], &world->flights[which + 1],
	        (--world->in_flight - which) * sizeof(flight));
	if (world->now_ms < flight.due_ms)
		world->now_ms = flight.due_ms;
	if ((world->failing && (world->failing_page == 0 || world->failing_page == flight.page)) ||
	    (flight.page < 200 && world->bad[flight.page])) {
		struct failure failure = {
			.cause = (uint8_t)world->cause,
			.retry_after_ms = world->retry_after_ms,
			.at_ns = port_wall_ns(world),
		};

		page_free(page);
		world->failed++;
		fleet_failed(world->fleet, flight.page, &failure);
		return;
	}
	if (!page)
		page = page_of(world, flight.page);
	page = unless_unchanged(page, &flight.condition);
	world->repeated += !page->unchanged;
	assert_int_equal(arrive(world, flight.page, page), 0);
	if (world->old) {
		const struct failure failure = {
			.cause = FAILURE_OLD,
			.retry_after_ms = -1,
			.at_ns = port_wall_ns(world),
		};

		fleet_failed(world->fleet, flight.page, &failure);
	}
}

static unsigned int next_flight(struct world *world)
{
	switch (world->order) {
	case FIRST_FIRST:
		break;
	case LAST_FIRST:
		return world->in_flight - 1;
	case ANY_FIRST:
		return (unsigned int)random_below(world, world->in_flight);
	}
	return 0;
}

/* Whoever asked the question waits: until something comes in, or it wanted to ask again. */
static void wait_for(struct world *world, const struct look *look)
{
	unsigned int which = world->in_flight > 0 ? next_flight(world) : 0;

	if (world->in_flight > 0 && world->flights[which].due_ms <= look->wake_ms) {
		deliver(world, which);
		return;
	}
	assert_true(look->wake_ms != INT64_MAX); /* else nobody would ever wake it */
	assert_true(look->wake_ms >= world->now_ms);
	world->now_ms = look->wake_ms;
}

/* What was on its way while time passed has come by now. */
static void catch_up(struct world *world)
{
	for (unsigned int i = 0; i < world->in_flight;)
		if (world->flights[i].due_ms < world->now_ms)
			deliver(world, i);
		else
			i++;
}

/* Readers */

static int find(struct world *world, const char *id, struct record **ret_record)
{
	struct record *record = NULL;
	struct look look;

	catch_up(world);
	look = fleet_look(world->fleet);
	for (int asked = 0; asked < 100000; asked++) {
		int err = fleet_find(world->fleet, id, &look, &record);

		if (err != -EAGAIN) {
			if (err == 0 && ret_record)
				*ret_record = record;
			if (err == 0)
				assert_string_equal(record->name, id);
			return err;
		}
		wait_for(world, &look);
	}
	fail_msg("%s is looked for without end", id);
	return -ELOOP;
}

static int renew(struct world *world, struct record *record)
{
	struct look look;

	catch_up(world);
	look = fleet_look(world->fleet);
	for (int asked = 0; asked < 100000; asked++) {
		int err = fleet_renew(world->fleet, record, &look);

		if (err != -EAGAIN)
			return err;
		wait_for(world, &look);
	}
	fail_msg("%s is renewed without end", record->name);
	return -ELOOP;
}

struct listing {
	struct record **records; /* references */
	size_t count;
	unsigned int wants;
	int err;
};

/* Reads on from *cursor, `most` entries at most; like a reader with many getdents. */
static int list_some(struct world *world, uint64_t *cursor, size_t most, struct listing *listing)
{
	struct look look;
	size_t got = 0;

	catch_up(world);
	look = fleet_look(world->fleet);
	for (unsigned int asked = 0; asked < 1000000; asked++) {
		struct record *record = NULL;
		int err = fleet_walk(world->fleet, cursor, &look, &record);

		if (err == -EAGAIN) {
			wait_for(world, &look);
			continue;
		}
		if (err < 0 || !record)
			return err;
		listing->records =
			realloc(listing->records, (listing->count + 1) * sizeof(*listing->records));
		assert_non_null(listing->records);
		listing->records[listing->count++] = record_ref(record);
		if (++got == most)
			return 1;
		if (got % BATCH == 0)
			look = fleet_look(world->fleet);
	}
	fail_msg("the listing does not end");
	return -ELOOP;
}

static void list_done(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		record_unref(listing->records[i]);
	free(listing->records);
	*listing = (struct listing){0};
}

static void list(struct world *world, struct listing *listing)
{
	unsigned int wants = world->wants;
	uint64_t cursor = 0;

	*listing = (struct listing){0};
	listing->err = list_some(world, &cursor, SIZE_MAX, listing);
	listing->wants = world->wants - wants;
}

static unsigned int times_listed(const struct listing *listing, const char *id)
{
	unsigned int times = 0;

	for (size_t i = 0; i < listing->count; i++)
		times += strcmp(listing->records[i]->name, id) == 0;
	return times;
}

/* Lists, and says what it cost; the listing must be the list as it is now. */
static unsigned int list_all(struct world *world)
{
	struct listing listing;
	unsigned int wants;

	list(world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, world->count);
	for (size_t i = 0; i < listing.count; i++)
		assert_string_equal(listing.records[i]->name, world->machines[i].id);
	wants = listing.wants;
	list_done(&listing);
	return wants;
}

static struct fleet_health health_of(const struct world *world)
{
	struct fleet_health health;

	fleet_health(world->fleet, &health);
	return health;
}

/* Worlds */

static void world_init(struct world *world, size_t count)
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

/* After this, config and the rest are what they are. */
static void world_mount(struct world *world)
{
	const struct fleet_ports ports = {
		.user = world,
		.want = port_want,
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

static void world_done(struct world *world)
{
	fleet_free(world->fleet);
	for (unsigned int i = 0; i < world->in_flight; i++)
		page_free(world->flights[i].content);
	free(world->machines);
}

static void world_of(struct world *world, size_t count)
{
	world_init(world, count);
	world_mount(world);
}

/* What it costs */

static void test_the_first_entries_cost_one_request(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 1042);
	assert_int_equal(world.wants, 0);
	assert_int_equal(list_some(&world, &cursor, 100, &listing), 1);
	assert_int_equal(listing.count, 100);
	assert_int_equal(world.wants, 1);
	assert_true(cursor > UINT32_MAX);
	assert_true(cursor < UINT64_C(1) << 63);
	list_done(&listing);
	world_done(&world);
	(void)state;
}

static void test_a_listing_costs_each_page_once_per_ttl(void **state)
{
	struct world world;

	world_of(&world, 1042);
	assert_int_equal(list_all(&world), 11);
	/* one reader, who waits for the pages read ahead, each once at most */
	assert_true(health_of(&world).coalesced <= 10);
	assert_int_equal(list_all(&world), 0);
	world.now_ms += TTL_MS - 1;
	assert_int_equal(list_all(&world), 0);
	world.now_ms += 1;
	assert_int_equal(list_all(&world), 11);
	assert_int_equal(list_all(&world), 0);
	for (unsigned int page = 1; page <= 11; page++)
		assert_int_equal(world.wants_of[page], 2);
	assert_true(health_of(&world).verified);
	assert_int_equal(health_of(&world).sweeps, 2);
	assert_int_equal(health_of(&world).passes, 2);
	assert_int_equal(health_of(&world).pages, 11);
	world_done(&world);
	(void)state;
}

static void test_whole_pages_cost_no_request_for_an_empty_one(void **state)
{
	const struct {
		size_t agents;
		unsigned int wants;
	} rows[] = {{0, 1}, {1, 1}, {99, 1}, {100, 1}, {101, 2}, {200, 2}, {1000, 10}, {1001, 11}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;

		world_of(&world, rows[i].agents);
		assert_int_equal(list_all(&world), rows[i].wants);
		assert_true(health_of(&world).verified);
		world_done(&world);
	}
	(void)state;
}

static void test_nothing_is_fetched_while_nobody_asks(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 1042);
	list_all(&world);
	assert_int_equal(find(&world, "p3", &record), 0);
	for (int i = 0; i < 100; i++) {
		world.now_ms += TTL_MS / 3;
		fleet_list_ms(world.fleet);
		fleet_list_mtime_ns(world.fleet);
		fleet_record_ms(world.fleet, record);
		health_of(&world);
		fleet_look(world.fleet);
	}
	assert_int_equal(world.wants, 11);
	assert_int_equal(fleet_record_ms(world.fleet, record), 0);
	world_done(&world);
	(void)state;
}

static void test_one_agent_costs_its_page(void **state)
{
	struct world world;
	struct record *record = NULL;

	world_of(&world, 1042);
	assert_int_equal(find(&world, "p7", &record), 0);
	assert_int_equal(world.wants, 1);
	assert_int_equal(find(&world, "p99", &record), 0);
	assert_int_equal(world.wants, 1);
	assert_int_equal(fleet_record_ms(world.fleet, record), TTL_MS);
	assert_int_equal(find(&world, "p1041", &record), 0);
	assert_int_equal(world.wants, 11);
	world.now_ms += TTL_MS;
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 12);
	assert_int_equal(world.wants_of[11], 2);
	assert_int_equal(find(&world, "p1040", NULL), 0);
	assert_int_equal(world.wants, 12);
	world_done(&world);
	(void)state;
}

static void test_a_name_that_is_not_there_costs_one_sweep_per_ttl(void **state)
{
	struct world world;

	world_of(&world, 1042);
	for (int round = 1; round <= 3; round++) {
		assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
		assert_int_equal(world.wants, 11 * round);
		assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
		assert_int_equal(find(&world, "nobody-else", NULL), -ENOENT);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
		assert_int_equal(list_all(&world), 0);
		assert_int_equal(world.wants, 11 * round);
		world.now_ms += 1;
	}
	world_done(&world);
	(void)state;
}

/* Many readers */

struct reader {
	const char *id; /* NULL: lists */
	struct look look;
	uint64_t cursor;
	size_t listed;
	bool asking;
	int err;
};

/* One getdents' worth, or one look-up; true: it was answered. */
static bool ask(struct world *world, struct reader *reader)
{
	struct record *record = NULL;

	if (!reader->asking)
		reader->look = fleet_look(world->fleet);
	reader->asking = true;
	do {
		reader->err =
			reader->id
				? fleet_find(world->fleet, reader->id, &reader->look, &record)
				: fleet_walk(world->fleet, &reader->cursor, &reader->look, &record);
		reader->listed += reader->err == 0 && record;
	} while (!reader->id && reader->err == 0 && record);
	reader->asking = reader->err == -EAGAIN;
	return !reader->asking;
}

/* Lets all of them ask until each was answered. */
static void ask_all(struct world *world, struct reader *readers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ask(world, &readers[i]);
	for (int steps = 0; steps < 100000; steps++) {
		bool waiting = false;

		for (size_t i = 0; i < count; i++)
			if (readers[i].asking)
				waiting |= !ask(world, &readers[i]);
		if (!waiting)
			return;
		assert_true(world->in_flight > 0);
		deliver(world, next_flight(world));
	}
	fail_msg("some reader is never answered");
}

static void test_200_readers_of_a_cold_tree_cost_one_sweep(void **state)
{
	const int64_t latencies_ms[] = {0, 50, 5000, 60000};

	for (enum order order = FIRST_FIRST; order <= ANY_FIRST; order++) {
		for (size_t i = 0; i < sizeof(latencies_ms) / sizeof(latencies_ms[0]); i++) {
			struct world world;
			struct reader readers[200] = {0};

			world_of(&world, 1042);
			world.order = order;
			world.latency_ms = latencies_ms[i];
			for (size_t reader = 0; reader < 200; reader++)
				if (reader % 3 > 0)
					readers[reader].id = reader % 3 == 1 ? "p1041" : "nobody";
			ask_all(&world, readers, 200);
			for (size_t reader = 0; reader < 200; reader++) {
				assert_int_equal(readers[reader].err,
				                 reader % 3 == 2 ? -ENOENT : 0);
				if (!readers[reader].id)
					assert_int_equal(readers[reader].listed, 1042);
			}
			assert_int_equal(world.wants, 11);
			assert_true(health_of(&world).coalesced > 0);
			world_done(&world);
		}
	}
	(void)state;
}

static void test_reading_ahead_grows_with_the_reader(void **state)
{
	const unsigned int connections[] = {1, 2, 6, 100};

	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		unsigned int most = connections[i];
		struct world world;
		struct reader reader = {0};

		world_init(&world, 1042);
		world.config.max_connections = most;
		world_mount(&world);
		ask(&world, &reader);
		assert_int_equal(world.in_flight, 1);
		for (unsigned int pages = 1; pages < 11; pages++) {
			unsigned int window = 2 * pages < most ? 2 * pages : most;

			deliver(&world, 0);
			assert_false(ask(&world, &reader));
			assert_int_equal(world.in_flight,
			                 window < 11 - pages ? window : 11 - pages);
		}
		deliver(&world, 0);
		assert_true(ask(&world, &reader));
		assert_int_equal(reader.listed, 1042);
		assert_int_equal(world.wants, 11);
		assert_true(world.peak <= most);
		world_done(&world);
	}
	(void)state;
}

/* Freshness */

static void test_ttl_counts_from_the_arrival(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 50);
	world.latency_ms = 5000;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_ms(world.fleet, record), TTL_MS);
	world.now_ms += TTL_MS - 1;
	assert_int_equal(fleet_record_ms(world.fleet, record), 1);
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 1);
	world.now_ms += 1;
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 2);
	world_done(&world);
	(void)state;
}

static void test_the_age_that_a_page_comes_with_counts(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 250);
	world.age_ms = TTL_MS - 10;
	list_all(&world);
	assert_int_equal(world.wants, 3);
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_ms(world.fleet, record), 10);
	assert_int_equal(fleet_list_ms(world.fleet), 10);
	world.now_ms += 9;
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 3);
	world.now_ms += 1;
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 4);
	/* One that is beyond it is good for who waited, and for nobody else. */
	world.now_ms += TTL_MS;
	world.age_ms = TTL_MS + 1;
	list_all(&world);
	assert_int_equal(world.wants, 7);
	assert_int_equal(fleet_list_ms(world.fleet), 0);
	list_all(&world);
	assert_int_equal(world.wants, 10);
	world_done(&world);
	(void)state;
}

/* From a cache in front of an API that is down: each page is asked for again after a second, then
 * two, four, up to 30; who waited for it is served, and so is everybody until `stale` is over. */
static void test_what_comes_too_old_is_stale_data(void **state)
{
	struct world world;
	struct record *record;
	unsigned int wants;

	world_init(&world, 250);
	world.config.stale_ms = 60000;
	world_mount(&world);
	world.age_ms = TTL_MS + 20000;
	world.old = true;
	/* A list that was never read whole before, too. */
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(list_all(&world), 2);
	assert_int_equal(find(&world, "p249", &record), 0);
	assert_int_equal(list_all(&world), 0);
	assert_int_equal(fleet_record_ms(world.fleet, record), 0);
	assert_int_equal(world.wants, 3);
	assert_true(health_of(&world).stale);
	assert_int_equal(health_of(&world).list_age_ms, TTL_MS + 20000);
	assert_int_equal(health_of(&world).failures[FAILURE_OLD], 3);
	assert_int_equal(fleet_last_failure(world.fleet)->cause, FAILURE_OLD);
	for (int64_t hold_ms = 1000; hold_ms <= 16000; hold_ms *= 2) {
		wants = world.wants;
		world.now_ms += hold_ms - 1;
		world.age_ms += hold_ms - 1;
		assert_int_equal(find(&world, "p249", &record), 0);
		assert_int_equal(world.wants, wants);
		world.now_ms += 1;
		world.age_ms += 1;
		assert_int_equal(find(&world, "p249", &record), 0);
		assert_int_equal(find(&world, "p249", &record), 0);
		assert_int_equal(world.wants, wants + 1);
		/* Another page is held by itself. */
		assert_int_equal(find(&world, "p1", &record), 0);
	}
	/* Nothing else comes, and what is here has had its time. */
	world.failing = true;
	world.now_ms += 60000;
	assert_int_equal(find(&world, "p249", &record), -EREMOTEIO);
	assert_int_equal(find(&world, "p1", &record), -EREMOTEIO);
	assert_false(health_of(&world).stale);
	/* A fresh answer ends it all. */
	world.failing = false;
	world.old = false;
	world.age_ms = 0;
	world.now_ms += 60000;
	assert_int_equal(list_all(&world), 3);
	assert_false(health_of(&world).failing);
	assert_int_equal(list_all(&world), 0);
	world_done(&world);
	(void)state;
}

/* Another cache may have kept it since before what is known: no value goes back to what it was. */
static void test_what_comes_older_than_what_is_known_is_not_taken(void **state)
{
	struct world world;
	struct record *record;

	world_init(&world, 150);
	world.config.stale_ms = 60000;
	world_mount(&world);
	world.machines[120].version = 2;
	list_all(&world);
	world.machines[120].version = 1;
	world.now_ms += TTL_MS;
	world.age_ms = TTL_MS + 1;
	world.old = true;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(find(&world, "p120", &record), 0);
		assert_string_equal(record->agent->status, "v2");
		list_all(&world);
		assert_int_equal(world.wants, round == 0 ? 4 : 6); /* it is held like a failure */
		assert_int_equal(world.changed, 0);
		assert_true(health_of(&world).stale);
		assert_int_equal(health_of(&world).list_age_ms, TTL_MS + 1000 * round);
		world.now_ms += 1000;
		world.age_ms += 1000;
	}
	/* A younger one is taken, old as it is. */
	world.now_ms += 30000;
	world.age_ms = TTL_MS + 500;
	assert_int_equal(find(&world, "p120", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	assert_int_equal(world.changed, 1);
	world_done(&world);
	(void)state;
}

/* What was asked for before an expiry is not held against the page after it, either. */
static void test_what_is_on_its_way_at_an_expiry_may_be_old(void **state)
{
	struct reader reader = {.id = "p1"};
	struct world world;

	world_of(&world, 50);
	assert_false(ask(&world, &reader));
	fleet_expire(world.fleet);
	world.age_ms = TTL_MS + 1;
	world.old = true;
	deliver(&world, 0);
	world.age_ms = 0;
	world.old = false;
	assert_false(ask(&world, &reader));
	assert_int_equal(world.wants, 2);
	deliver(&world, 0);
	assert_true(ask(&world, &reader));
	assert_int_equal(reader.err, 0);
	assert_false(health_of(&world).failing);
	world_done(&world);
	(void)state;
}

/* A second look is not satisfied with what a cache kept since before it, though somebody else asked
 * for that, and it comes only now. */
static void test_what_a_cache_kept_is_no_second_look(void **state)
{
	struct reader lister = {.id = NULL}, reader = {.id = "p1"};
	struct world world;

	world_of(&world, 150);
	list_all(&world);
	world.now_ms += TTL_MS;
	/* p120 has moved to the first page, of which the cache has the one before. */
	snprintf(world.machines[120].id, sizeof(world.machines[120].id), "new");
	world.age_ms = TTL_MS - 1000;
	assert_false(ask(&world, &lister));
	deliver(&world, 0);
	assert_false(ask(&world, &lister));
	world.now_ms += 1000;
	assert_false(ask(&world, &reader));
	assert_int_equal(world.in_flight, 2);
	assert_int_equal(world.past_caches, 0);
	deliver(&world, 0);
	assert_false(ask(&world, &lister));
	assert_int_equal(world.in_flight, 2);
	assert_int_equal(world.past_caches, 1);
	deliver(&world, 0);
	assert_false(ask(&world, &lister));
	snprintf(world.machines[50].id, sizeof(world.machines[50].id), "p120");
	world.age_ms = 0;
	ask_all(&world, &lister, 1);
	assert_int_equal(lister.err, 0);
	assert_int_equal(world.gone, 0);
	assert_int_equal(world.past_caches, 2);
	assert_int_equal(world.wants, 2 + 5);
	world_done(&world);
	(void)state;
}

/* Old pages may well be of different ages, and so not agree on how many agents there are. */
static void test_old_pages_that_disagree_are_listed(void **state)
{
	struct world world;

	world_of(&world, 250);
	world.age_ms = TTL_MS + 20000;
	world.old = true;
	world.count_told = COUNT_FIXED;
	world.fixed_count = 240;
	assert_int_equal(find(&world, "p1", NULL), 0);
	list_all(&world);
	assert_false(health_of(&world).verified);
	assert_in_range(world.wants, 3, 4);
	world_done(&world);
	(void)state;
}

static void test_a_new_value_is_seen_after_the_ttl_at_the_latest(void **state)
{
	struct world world;
	struct record *record;

	world_of(&world, 500);
	assert_int_equal(find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v0");
	world.machines[321].version = 1;
	assert_int_equal(find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v0");
	world.now_ms += TTL_MS;
	assert_int_equal(find(&world, "p321", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE), port_wall_ns(&world));
	assert_int_equal(record_since(record, AGENT_ID, CHANGES_WHOLE), MOUNTED_NS);
	world_done(&world);
	(void)state;
}

static void test_a_page_slower_than_the_ttl_answers_who_waited(void **state)
{
	struct world world;
	struct record *record;
	struct reader readers[40] = {0};

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 5000;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(world.wants, 1);
	world.now_ms += 100;
	assert_int_equal(renew(&world, record), 0);
	assert_int_equal(world.wants, 2);
	world.now_ms += 100;
	for (size_t i = 0; i < 40; i++)
		readers[i].id = "p2";
	ask_all(&world, readers, 40);
	assert_int_equal(readers[39].err, 0);
	assert_int_equal(world.wants, 3);
	world_done(&world);
	(void)state;
}

/* A look-up reads as far as it must; what it left behind is old when somebody comes later. */
static void test_nothing_expired_is_served_after_a_look_up(void **state)
{
	for (size_t agents = 50; agents <= 450; agents += 100) {
		for (size_t known = 0; known < agents; known += 100) {
			struct world world;
			struct listing listing;
			struct record *record;
			char id[ID_BYTES];

			world_of(&world, agents);
			snprintf(id, sizeof(id), "p%zu", known);
			assert_int_equal(find(&world, id, NULL), 0);
			world.now_ms += TTL_MS;
			world_add(&world, 0, "new");
			for (size_t i = 0; i < world.count; i++)
				world.machines[i].version = 1;
			if (known % 200)
				assert_int_equal(find(&world, "new", &record), 0);
			list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, world.count);
			for (size_t i = 0; i < listing.count; i++)
				assert_string_equal(listing.records[i]->agent->status, "v1");
			list_done(&listing);
			world_done(&world);
		}
	}
	(void)state;
}

/* Who waited may be told late, when what came for it has expired already. */
static void test_what_came_for_a_reader_is_good_for_it(void **state)
{
	struct world world;
	struct record *record;
	struct look look;
	uint64_t cursor = 0;

	world_init(&world, 50);
	world.config.stale_ms = 0;
	world_mount(&world);
	for (unsigned int round = 1; round <= 3; round++) {
		look = fleet_look(world.fleet);
		assert_int_equal(fleet_find(world.fleet, "p1", &look, &record), -EAGAIN);
		deliver(&world, 0);
		world.now_ms += 2 * TTL_MS;
		assert_int_equal(fleet_find(world.fleet, "p1", &look, &record), 0);
		assert_int_equal(fleet_record_ms(world.fleet, record), 0);
		assert_int_equal(world.wants, round);
	}
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "nobody", &look, &record), -EAGAIN);
	deliver(&world, 0);
	world.now_ms += 2 * TTL_MS;
	assert_int_equal(fleet_find(world.fleet, "nobody", &look, &record), -ENOENT);
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_walk(world.fleet, &cursor, &look, &record), -EAGAIN);
	deliver(&world, 0);
	world.now_ms += 2 * TTL_MS;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(fleet_walk(world.fleet, &cursor, &look, &record), 0);
		assert_non_null(record);
	}
	assert_int_equal(world.wants, 5);
	world_done(&world);
	(void)state;
}

static void test_a_listing_slower_than_its_ttl_ends(void **state)
{
	struct world world;

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 5000;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(list_all(&world), 11);
		world.now_ms += 100;
	}
	assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
	assert_int_equal(world.wants, 44);
	world_done(&world);
	(void)state;
}

/* New readers keep coming, and what they want is always newer than what the first waits for. */
static void test_nobody_starves_while_others_begin(void **state)
{
	struct world world;
	struct reader readers[60] = {0};
	size_t begun = 0, answered = 0;

	world_init(&world, 1042);
	world.config.ttl_ms = 100;
	world.config.stale_ms = 0;
	world_mount(&world);
	world.latency_ms = 1000;
	for (int steps = 0; answered < 60; steps++) {
		int64_t began_ms = world.now_ms;

		assert_true(steps < 10000);
		if (begun < 60)
			readers[begun++].id = "nobody";
		answered = 0;
		for (size_t i = 0; i < begun; i++) {
			if (!readers[i].look.began || readers[i].asking)
				ask(&world, &readers[i]);
			if (!readers[i].asking) {
				assert_int_equal(readers[i].err, -ENOENT);
				answered++;
				continue;
			}
			/* eleven pages in the windows 1, 2, 6: about five seconds */
			assert_true(world.now_ms - readers[i].look.began_ms < 20000);
		}
		if (answered < begun || world.in_flight > 0) {
			assert_true(world.in_flight > 0);
			deliver(&world, 0);
		}
		if (world.now_ms == began_ms)
			world.now_ms += 500;
	}
	world_done(&world);
	(void)state;
}

static void test_the_wall_clock_may_jump(void **state)
{
	const int64_t ten_years_ns = INT64_C(10) * 365 * 86400 * 1000000000;
	struct world world;
	struct record *record;

	world_of(&world, 250);
	list_all(&world);
	for (int sign = -1; sign <= 1; sign += 2) {
		world.wall_offset_ns += 2 * sign * ten_years_ns;
		assert_int_equal(find(&world, "p1", &record), 0);
		assert_int_equal(fleet_record_ms(world.fleet, record), TTL_MS);
		assert_int_equal(fleet_list_ms(world.fleet), TTL_MS);
		assert_int_equal(list_all(&world), 0);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(list_all(&world), 0);
		world.now_ms += 1;
		assert_int_equal(list_all(&world), 3);
	}
	world_done(&world);
	(void)state;
}

/* Conditions */

static void world_of_conditions(struct world *world, size_t count)
{
	world_init(world, count);
	world->recognised = true;
	world_mount(world);
}

static void test_what_is_unchanged_is_renewed_without_its_body(void **state)
{
	struct world world;
	struct record *record;
	struct fleet_health health;
	int64_t mtime_ns;

	world_of_conditions(&world, 250);
	world.malformed = 2;
	world.count_told = COUNT_FIXED;
	world.fixed_count = 256;
	assert_int_equal(list_all(&world), 3);
	assert_int_equal(world.conditions, 0);
	health = health_of(&world);
	for (unsigned int round = 1; round <= 3; round++) {
		world.now_ms += TTL_MS;
		mtime_ns = fleet_list_mtime_ns(world.fleet);
		assert_int_equal(find(&world, "p120", &record), 0);
		assert_int_equal(fleet_record_ms(world.fleet, record), TTL_MS);
		assert_int_equal(record->renewals, round);
		assert_int_equal(list_all(&world), 2);
		assert_int_equal(list_all(&world), 0);
		assert_int_equal(world.conditions, 3 * round);
		assert_int_equal(world.repeated, 3);
		assert_int_equal(fleet_list_ms(world.fleet), TTL_MS);
		assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns);
	}
	assert_int_equal(health_of(&world).arrived, 12);
	assert_int_equal(health_of(&world).unchanged, 9);
	assert_int_equal(health_of(&world).sweeps, 4);
	assert_int_equal(health_of(&world).verified, health.verified);
	assert_int_equal(health_of(&world).malformed, health.malformed);
	assert_int_equal(world.changed, 0);
	assert_int_equal(world.joined, 250);
	/* One page has changed; only that one comes again. */
	world.machines[120].version++;
	world.now_ms += TTL_MS;
	assert_int_equal(list_all(&world), 3);
	assert_int_equal(world.repeated, 4);
	assert_int_equal(world.changed, 1);
	assert_int_equal(find(&world, "p120", &record), 0);
	assert_string_equal(record->agent->status, "v1");
	world_done(&world);
	(void)state;
}

static void test_an_unchanged_page_has_an_age_too(void **state)
{
	struct world world;
	struct record *record;

	world_of_conditions(&world, 50);
	assert_int_equal(find(&world, "p1", &record), 0);
	world.now_ms += TTL_MS;
	world.age_ms = 4000;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(fleet_record_ms(world.fleet, record), TTL_MS - 4000);
	world.age_ms = TTL_MS;
	world.old = true;
	world.now_ms += TTL_MS;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_true(health_of(&world).stale);
	assert_int_equal(world.wants, 3);
	assert_int_equal(world.repeated, 1);
	world_done(&world);
	(void)state;
}

/* Who was met on another page since is no longer what this page brought. */
static void test_what_was_met_elsewhere_is_asked_for_as_a_whole(void **state)
{
	struct world world;
	struct machine kept;

	world_of_conditions(&world, 150);
	world.count_told = COUNT_ABSENT;
	list_all(&world);
	world.now_ms += TTL_MS;
	/* p100 has moved to the first page, for now; the second is not read. */
	kept = world.machines[50];
	world.machines[50] = world.machines[100];
	world.machines[100] = kept;
	assert_int_equal(find(&world, "p1", NULL), 0);
	world.machines[100] = world.machines[50];
	world.machines[50] = kept;
	world.conditions = 0;
	world.repeated = 0;
	world.now_ms += TTL_MS;
	assert_int_equal(list_all(&world), 2);
	/* The first page is another again; the second the same, but p100 was on the first since. */
	assert_int_equal(world.conditions, 1);
	assert_int_equal(world.repeated, 2);
	/* From then on both are what they are. */
	world.now_ms += TTL_MS;
	assert_int_equal(list_all(&world), 2);
	assert_int_equal(world.conditions, 3);
	assert_int_equal(world.repeated, 2);
	world_done(&world);
	(void)state;
}

/* The same, while it was already asked for on that condition: then it counts as not come. */
static void test_what_was_met_elsewhere_meanwhile_is_asked_for_again(void **state)
{
	struct world world;
	struct machine kept;
	struct record *record;
	struct look look;

	world_of_conditions(&world, 150);
	world.count_told = COUNT_ABSENT;
	list_all(&world);
	world.now_ms += TTL_MS;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p120", &look, &record), -EAGAIN);
	assert_int_equal(world.conditions, 1);
	/* On its way: the second page, which has not changed. The first gets to have p100. */
	world.order = LAST_FIRST;
	kept = world.machines[50];
	world.machines[50] = world.machines[100];
	assert_int_equal(find(&world, "p1", NULL), 0);
	assert_int_equal(world.wants, 4);
	world.machines[50] = kept;
	world.repeated = 0;
	deliver(&world, 0);
	assert_int_equal(world.repeated, 0);
	assert_int_equal(health_of(&world).unchanged, 0);
	assert_int_equal(fleet_find(world.fleet, "p120", &look, &record), -EAGAIN);
	assert_int_equal(world.conditions, 2); /* the first page's was the other */
	deliver(&world, 0);
	assert_int_equal(world.repeated, 1);
	assert_int_equal(fleet_find(world.fleet, "p120", &look, &record), 0);
	assert_false(health_of(&world).failing);
	world_done(&world);
	(void)state;
}

/* Whoever left, and whose place another took, is not renewed. */
static void test_nobody_who_left_is_renewed(void **state)
{
	struct world world;
	struct listing listing;

	world_of_conditions(&world, 250);
	list_all(&world);
	for (int round = 0; round < 20; round++) {
		char id[ID_BYTES];

		world_remove(&world, 249);
		snprintf(id, sizeof(id), "n%d", round);
		world_add(&world, (size_t)round * 10, id);
		world.now_ms += TTL_MS;
		list(&world, &listing);
		list_done(&listing);
		world.now_ms += TTL_MS;
		list_all(&world);
		world.now_ms += TTL_MS;
		world.repeated = 0;
		list_all(&world);
		assert_int_equal(world.repeated, 0);
	}
	assert_int_equal(world.gone, 20);
	world_done(&world);
	(void)state;
}

/* An agent on two pages belongs to the first; the second's may be the one that counts next time. */
static void test_a_page_that_lost_an_agent_to_another_comes_whole(void **state)
{
	struct world world;
	struct record *record;

	world_of_conditions(&world, 150);
	world.count_told = COUNT_ABSENT;
	snprintf(world.machines[120].id, ID_BYTES, "p20"); /* as if it stood twice */
	assert_int_equal(find(&world, "p149", NULL), 0);
	snprintf(world.machines[20].id, ID_BYTES, "other");
	for (int round = 0; round < 3; round++) {
		world.now_ms += TTL_MS;
		list_all(&world);
		assert_int_equal(find(&world, "p20", &record), 0);
		assert_int_equal(record->page, 2);
	}
	world_done(&world);
	(void)state;
}

/* Expired by hand, it is asked for on the same condition, of the API itself. */
static void test_after_an_expiry_conditions_hold(void **state)
{
	struct world world;
	struct reader reader = {.id = "p1"};

	world_of_conditions(&world, 50);
	list_all(&world);
	assert_int_equal(world.past_caches, 0);
	fleet_expire(world.fleet);
	list_all(&world);
	assert_int_equal(world.wants, 2);
	assert_int_equal(world.past_caches, 1);
	assert_int_equal(world.repeated, 1);
	/* What is on its way then counts as not come, unchanged or not. */
	world.now_ms += TTL_MS;
	assert_false(ask(&world, &reader));
	fleet_expire(world.fleet);
	deliver(&world, 0);
	assert_false(ask(&world, &reader));
	assert_int_equal(world.wants, 4);
	assert_int_equal(world.past_caches, 2);
	deliver(&world, 0);
	assert_true(ask(&world, &reader));
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_int_equal(world.past_caches, 2);
	assert_int_equal(world.repeated, 1);
	assert_int_equal(health_of(&world).unchanged, 3);
	world_done(&world);
	(void)state;
}

static void test_expire_makes_everything_old(void **state)
{
	struct world world;
	struct record *record;
	int64_t mtime_ns;

	world_of(&world, 250);
	list_all(&world);
	mtime_ns = fleet_list_mtime_ns(world.fleet);
	assert_int_equal(find(&world, "p1", &record), 0);
	fleet_expire(world.fleet);
	assert_int_equal(fleet_record_ms(world.fleet, record), 0);
	assert_int_equal(fleet_list_ms(world.fleet), 0);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
	assert_int_equal(world.wants, 3);
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(world.wants, 4);
	assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
	assert_int_equal(world.wants, 6); /* page 1 is fresh again */
	assert_int_equal(list_all(&world), 0);
	world_done(&world);
	(void)state;
}

static void test_expire_ends_the_wait_for_a_failed_api(void **state)
{
	struct world world;

	world_of(&world, 50);
	world.failing = true;
	world.cause = FAILURE_CREDENTIAL;
	assert_int_equal(find(&world, "p1", NULL), -EACCES);
	assert_int_equal(find(&world, "p1", NULL), -EACCES);
	assert_int_equal(world.wants, 1);
	world.failing = false;
	fleet_expire(world.fleet);
	assert_int_equal(find(&world, "p1", NULL), 0);
	world_done(&world);
	(void)state;
}

/* It may have been asked for with the token of before, and told by whom that no longer concerns. */
static void test_what_is_on_its_way_at_an_expiry_is_asked_for_anew(void **state)
{
	struct reader reader = {.id = "p1"};
	struct world world;

	for (int failing = 0; failing < 2; failing++) {
		world_of(&world, 50);
		assert_false(ask(&world, &reader));
		fleet_expire(world.fleet);
		world.failing = failing;
		world.cause = FAILURE_CREDENTIAL;
		deliver(&world, 0);
		world.failing = false;
		assert_false(ask(&world, &reader));
		assert_int_equal(world.wants, 2);
		deliver(&world, 0);
		assert_true(ask(&world, &reader));
		assert_int_equal(reader.err, 0);
		assert_false(health_of(&world).failing);
		world_done(&world);
	}
	(void)state;
}

/* When things were last changed */

static void test_the_list_is_changed_once_per_expiry(void **state)
{
	struct world world;

	world_of(&world, 250);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS);
	list_all(&world);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round);
		world.now_ms += TTL_MS - 1;
		assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
		list_all(&world);
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round);
		world.now_ms += 1;
		/* looked at before the list is read again, or not: it is the same time */
		if (round % 2)
			assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + round + 1);
		list_all(&world);
	}
	world.now_ms += 3600000;
	for (int i = 0; i < 10; i++)
		assert_int_equal(fleet_list_mtime_ns(world.fleet), MOUNTED_NS + 6);
	world_done(&world);
	(void)state;
}

static void test_the_list_is_changed_when_its_names_are(void **state)
{
	struct world world;
	int64_t joined_ns;
	struct record *record;

	world_of(&world, 250);
	list_all(&world);
	assert_int_equal(find(&world, "p3", &record), 0);
	assert_int_equal(record->first_ns, MOUNTED_NS);
	world.now_ms += TTL_MS;
	world_add(&world, 130, "new");
	list_all(&world);
	joined_ns = port_wall_ns(&world);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), joined_ns);
	assert_int_equal(find(&world, "new", &record), 0);
	assert_int_equal(record->first_ns, joined_ns);
	world.now_ms += TTL_MS;
	world_remove(&world, 130);
	list_all(&world);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), port_wall_ns(&world));
	world_done(&world);
	(void)state;
}

/* What moves */

static unsigned int cost_of(struct world *world, const char *id, int expected)
{
	unsigned int wants = world->wants;

	assert_int_equal(find(world, id, NULL), expected);
	return world->wants - wants;
}

static void test_one_that_moved_to_the_next_page_is_found(void **state)
{
	struct world world;

	world_of(&world, 1042);
	list_all(&world);
	world.now_ms += TTL_MS;
	world_move(&world, 450, 350);
	assert_in_range(cost_of(&world, "p450", 0), 1, 3);
	world.now_ms += TTL_MS;
	world_move(&world, 350, 450);
	assert_in_range(cost_of(&world, "p450", 0), 1, 3);
	world.now_ms += TTL_MS;
	assert_int_equal(cost_of(&world, "p450", 0), 1);
	world.now_ms += TTL_MS;
	world_move(&world, 450, 1000);
	assert_in_range(cost_of(&world, "p450", 0), 3, 11);
	world.now_ms += TTL_MS;
	assert_int_equal(cost_of(&world, "p450", 0), 1);
	assert_int_equal(world.gone, 0);
	world_done(&world);
	(void)state;
}

static void test_one_that_left_is_gone(void **state)
{
	struct world world;
	struct record *record, *back;

	world_of(&world, 1042);
	list_all(&world);
	assert_int_equal(find(&world, "p450", &record), 0);
	record_ref(record);
	world_remove(&world, 450);
	assert_int_equal(find(&world, "p450", &back), 0);
	world.now_ms += TTL_MS;
	assert_in_range(cost_of(&world, "p450", -ENOENT), 11, 14);
	assert_int_equal(world.gone, 1);
	assert_string_equal(world.gone_id, "p450");
	assert_false(record->present);
	assert_int_equal(renew(&world, record), -ENOENT);
	assert_int_equal(cost_of(&world, "p450", -ENOENT), 0);
	assert_int_equal(list_all(&world), 0);
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_int_equal(world.gone, 1);

	world_add(&world, 450, "p450");
	world.now_ms += TTL_MS;
	assert_int_equal(find(&world, "p450", &back), 0);
	assert_ptr_not_equal(back, record);
	assert_int_equal(back->first_ns, port_wall_ns(&world));
	assert_int_equal(renew(&world, record), -ENOENT);
	record_unref(record);
	assert_int_equal(health_of(&world).agents, 1042);
	world_done(&world);
	(void)state;
}

static void test_a_listing_sees_who_left(void **state)
{
	struct world world;

	world_of(&world, 1042);
	list_all(&world);
	world.now_ms += TTL_MS;
	world_remove(&world, 1041);
	world_remove(&world, 500);
	world_remove(&world, 0);
	/* 11 pages, and again: 1 and 2; 5, 6, 7; 10 and 11 */
	assert_int_equal(list_all(&world), 11 + 7);
	assert_int_equal(world.gone, 3);
	world.now_ms += TTL_MS;
	assert_int_equal(list_all(&world), 11);
	world_done(&world);
	(void)state;
}

static void test_each_change_is_told_once(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 250);
	list_all(&world);
	assert_int_equal(world.joined, 250);
	world.machines[7].version++;
	world.machines[120].version++;
	world_remove(&world, 30);
	world_add(&world, 60, "new");
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_int_equal(world.changed, 2);
	assert_int_equal(world.joined, 251);
	assert_int_equal(world.gone, 1);
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_int_equal(world.changed, 2);

	/* What nobody could take note of has not happened yet. */
	world_remove(&world, 10);
	world.now_ms += TTL_MS;
	world.deaf = true;
	list(&world, &listing);
	assert_int_equal(listing.err, -ENOMEM);
	list_done(&listing);
	assert_int_equal(health_of(&world).agents, 250);
	world.deaf = false;
	list_all(&world);
	assert_int_equal(world.gone, 2);
	world_done(&world);
	(void)state;
}

static void test_a_page_with_a_change_that_cannot_be_told_comes_again(void **state)
{
	struct world world;
	struct look look;
	struct record *record;

	world_of(&world, 3);
	list_all(&world);
	world.machines[1].version++;
	world_add(&world, 3, "new");
	world.now_ms += TTL_MS;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, world.machines[1].id, &look, &record), -EAGAIN);
	assert_int_equal(world.in_flight, 1);
	world.in_flight = 0;
	world.deaf = true;
	assert_int_equal(arrive(&world, 1, page_of(&world, 1)), -ENOMEM);
	fleet_failed(world.fleet, 1, &(struct failure){.cause = FAILURE_MEMORY});
	assert_int_equal(health_of(&world).agents, 3);
	world.deaf = false;
	world.now_ms += TTL_MS;
	list_all(&world);
	assert_int_equal(world.changed, 1);
	assert_int_equal(world.joined, 4);
	world_done(&world);
	(void)state;
}

static void test_the_whole_fleet_may_leave(void **state)
{
	struct world world;

	world_of(&world, 1042);
	list_all(&world);
	world.count = 0;
	world.now_ms += TTL_MS;
	assert_in_range(list_all(&world), 1, 4);
	assert_int_equal(world.gone, 1042);
	assert_int_equal(health_of(&world).agents, 0);
	world_done(&world);
	(void)state;
}

/*
 * Listings of a fleet that drifts: whoever was there throughout is listed exactly once, and whoever
 * left is not listed for long.
 */

struct drift {
	const char *what;
	void (*shift)(struct world *world);
	unsigned int percent; /* of the requests */
	bool shuffle;         /* between two listings */
	bool at_request;
	enum order order;
	unsigned int max_connections;
};

static void shift_join(struct world *world)
{
	world_join(world);
}

static void shift_join_or_leave(struct world *world)
{
	if (random_below(world, 2))
		world_join(world);
	else
		world_leave(world);
}

static void shift_one_for_one(struct world *world)
{
	if (world_leave(world))
		world_join(world);
}

/* The oldest leaves and the newest comes last: all others move towards the front. */
static void shift_queue(struct world *world)
{
	char id[ID_BYTES];

	for (size_t i = 0; i < world->count; i++) {
		if (world->machines[i].permanent)
			continue;
		world_remove(world, i);
		snprintf(id, sizeof(id), "t%u", world->numbered++);
		world_add(world, world->count, id);
		return;
	}
}

/* Likewise the other way round: the newest comes first. */
static void shift_stack(struct world *world)
{
	char id[ID_BYTES];

	for (size_t i = world->count; i > 0; i--) {
		if (world->machines[i - 1].permanent)
			continue;
		world_remove(world, i - 1);
		snprintf(id, sizeof(id), "t%u", world->numbered++);
		world_add(world, 0, id);
		return;
	}
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_once_each(const struct world *world, const struct listing *listing)
{
	const char **names = calloc(listing->count + 1, sizeof(*names));
	size_t permanent = 0, there = 0;

	assert_non_null(names);
	for (size_t i = 0; i < listing->count; i++)
		names[i] = listing->records[i]->name;
	qsort(names, listing->count, sizeof(*names), compare_ids);
	for (size_t i = 0; i < listing->count; i++) {
		permanent += names[i][0] == 'p';
		if (i > 0)
			assert_string_not_equal(names[i], names[i - 1]);
	}
	for (size_t i = 0; i < world->count; i++)
		there += world->machines[i].permanent;
	free(names);
	assert_int_equal(permanent, there);
}

#define MOST_NUMBERED 100000

/* In this round's listing, who left in an earlier round but the last is not listed. */
static void check_gone(const struct world *world, const struct listing *listing,
                       unsigned int *there_at, unsigned int round)
{
	for (size_t i = 0; i < world->count; i++)
		if (world->machines[i].id[0] == 't')
			there_at[strtoul(world->machines[i].id + 1, NULL, 10)] = round;
	for (size_t i = 0; i < listing->count; i++) {
		const char *name = listing->records[i]->name;
		unsigned int *at = &there_at[strtoul(name + 1, NULL, 10)];

		if (name[0] != 't')
			continue;
		if (*at == 0)
			*at = round; /* came and went within this round */
		assert_in_range(round - *at, 0, 1);
	}
	assert_true(world->numbered < MOST_NUMBERED);
}

static void drift(const struct drift *drift, bool recognised, bool heavy, uint64_t seed)
{
	struct world world;
	unsigned int *there_at = calloc(MOST_NUMBERED, sizeof(*there_at));

	assert_non_null(there_at);
	world_init(&world, 200);
	world.random = seed * 0x9e3779b97f4a7c15;
	world.per_page = 20;
	world.config.max_connections = drift->max_connections;
	world.at_request = drift->at_request;
	world.heavy = heavy;
	world.order = drift->order;
	world.shift_percent = drift->percent;
	world.recognised = recognised;
	for (size_t i = 0; i < 100; i++)
		world_join(&world);
	world_mount(&world);
	for (unsigned int round = 1; round <= 300; round++) {
		struct listing listing;
		unsigned int pages = (unsigned int)(world.count + 19) / 20;
		char id[ID_BYTES];

		world.shift = round == 1 ? NULL : drift->shift;
		if (drift->shuffle)
			world_shuffle(&world);
		list(&world, &listing);
		assert_int_equal(listing.err, 0);
		check_once_each(&world, &listing);
		check_gone(&world, &listing, there_at, round);
		/* three passes and three looks, and what was read ahead beyond the end */
		assert_true(listing.wants <= 6 * (pages + drift->max_connections));
		list_done(&listing);
		snprintf(id, sizeof(id), "p%zu", random_below(&world, 200));
		world.now_ms += TTL_MS;
		assert_int_equal(find(&world, id, NULL), 0);
		world.now_ms += TTL_MS;
	}
	free(there_at);
	world_done(&world);
}

static void test_whoever_stays_is_listed_exactly_once(void **state)
{
	const struct drift drifts[] = {
		{"joins", shift_join, 2, false, false, FIRST_FIRST, 6},
		{"joins, late answers", shift_join, 2, false, true, LAST_FIRST, 6},
		{"queue", shift_queue, 30, false, false, FIRST_FIRST, 6},
		{"queue, any order", shift_queue, 30, false, true, ANY_FIRST, 3},
		{"stack", shift_stack, 30, false, false, FIRST_FIRST, 6},
		{"stack, any order", shift_stack, 30, false, true, ANY_FIRST, 3},
		{"join or leave", shift_join_or_leave, 30, false, false, FIRST_FIRST, 6},
		{"one for one", shift_one_for_one, 30, false, false, FIRST_FIRST, 6},
		{"one for one, one by one", shift_one_for_one, 30, false, false, FIRST_FIRST, 1},
		{"one for one, late answers", shift_one_for_one, 30, false, true, LAST_FIRST, 6},
		{"one for one, any order", shift_one_for_one, 30, false, true, ANY_FIRST, 6},
		{"one for one, seldom", shift_one_for_one, 5, false, true, ANY_FIRST, 6},
		{"shuffled", NULL, 0, true, false, FIRST_FIRST, 6},
		{"shuffled, any order", NULL, 0, true, true, ANY_FIRST, 6},
	};

	for (size_t i = 0; i < sizeof(drifts) / sizeof(drifts[0]); i++) {
		print_message("             %s\n", drifts[i].what);
		/* A page that only says that it is unchanged is as good as one that came. */
		for (uint64_t seed = 1; seed <= 4; seed++)
			drift(&drifts[i], seed % 2, seed > 2, seed);
	}
	(void)state;
}

/* One for one while total_count stays: a sweep that believed the count would overlook p20, which
 * moves from the second page to the first between their requests. */
static void shift_first_for_last(struct world *world)
{
	if (world->wants_of[1] == 2 && strcmp(world->machines[0].id, "first") == 0) {
		world_remove(world, 0);
		world_add(world, world->count, "last");
	}
}

static void test_a_count_that_agrees_is_not_believed(void **state)
{
	struct world world;
	struct listing listing;

	world_init(&world, 60);
	world.per_page = 20;
	snprintf(world.machines[0].id, ID_BYTES, "first");
	world.machines[0].permanent = false;
	world_mount(&world);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.shift = shift_first_for_last;
	world.shift_percent = 100;
	list(&world, &listing);
	check_once_each(&world, &listing);
	assert_string_equal(world.machines[0].id, "p1");
	assert_int_equal(times_listed(&listing, "p20"), 1);
	assert_int_equal(times_listed(&listing, "last"), 1);
	assert_int_equal(times_listed(&listing, "first"), 1);
	assert_int_equal(listing.wants, 3 + 3); /* and around where p20 was */
	list_done(&listing);
	world_done(&world);
	(void)state;
}

/* Who was met meanwhile, on a page that was read for somebody else, needs no second look. */
static void test_one_met_behind_the_reader_is_listed(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_init(&world, 60);
	world.per_page = 20;
	world.config.ttl_ms = 100;
	world_mount(&world);
	list_all(&world);
	world.now_ms += 100;
	world.wants = 0;
	assert_int_equal(list_some(&world, &cursor, 20, &listing), 1);
	assert_int_equal(world.wants, 1);
	world_remove(&world, 0);
	world_move(&world, 49, 0); /* p50, from the third page to the first */
	world.now_ms += 100;
	assert_int_equal(find(&world, "p3", NULL), 0);
	assert_int_equal(world.wants, 2);
	assert_int_equal(list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	assert_int_equal(world.wants, 4);
	assert_int_equal(listing.count, 60);
	assert_int_equal(times_listed(&listing, "p50"), 1);
	list_done(&listing);
	world_done(&world);
	(void)state;
}

/* Lies */

struct lie {
	const char *what;
	size_t agents;
	enum count count_told;
	int64_t fixed_count;
	bool one_page_for_all;
	unsigned int empty_page;
	unsigned int per_page; /* that comes, whatever was asked for */
	unsigned int malformed;
	size_t listed;
	bool verified;
	unsigned int most_wants; /* of a first listing */
	unsigned int wants_later;
};

static void test_an_api_that_lies_is_read_to_an_end(void **state)
{
	const struct lie lies[] = {
		{"count 0", 1042, COUNT_FIXED, 0, false, 0, 100, 0, 1042, false, 33, 11},
		{"count 1", 1042, COUNT_FIXED, 1, false, 0, 100, 0, 1042, false, 33, 11},
		{"no count", 1042, COUNT_ABSENT, 0, false, 0, 100, 0, 1042, false, 33, 11},
		{"no count, full pages", 1000, COUNT_ABSENT, 0, false, 0, 100, 0, 1000, false, 33,
	         11},
		{"count -1", 1042, COUNT_FIXED, -1, false, 0, 100, 0, 1042, false, 33, 11},
		{"count 2^62", 1042, COUNT_FIXED, INT64_C(1) << 62, false, 0, 100, 0, 1042, false,
	         54, 18},
		{"count 2^63-1", 1042, COUNT_FIXED, INT64_MAX, false, 0, 100, 0, 1042, false, 54,
	         18},
		{"count changes", 1042, COUNT_RANDOM, 0, false, 0, 100, 0, 1042, false, 54, 54},
		{"one page for ever", 1042, COUNT_RIGHT, 0, true, 0, 100, 0, 100, false, 27, 9},
		{"one page, no count", 1042, COUNT_ABSENT, 0, true, 0, 100, 0, 100, false, 9, 3},
		{"one page, count 2^62", 1042, COUNT_FIXED, INT64_C(1) << 62, true, 0, 100, 0, 100,
	         false, 27, 9},
		{"a page is empty", 1042, COUNT_RIGHT, 0, false, 5, 100, 0, 400, false, 33, 33},
		{"all on page 1", 1042, COUNT_RIGHT, 0, false, 0, 5000, 0, 1042, true, 1, 1},
		{"all on page 1, no count", 1042, COUNT_ABSENT, 0, false, 0, 5000, 0, 1042, false,
	         3, 1},
		{"20 on a page", 1042, COUNT_RIGHT, 0, false, 0, 20, 0, 1042, true, 53, 53},
		{"elements that are no agents", 1042, COUNT_RIGHT, 0, false, 0, 100, 3, 1042, false,
	         36, 12},
		{"empty", 0, COUNT_RIGHT, 0, false, 0, 100, 0, 0, true, 1, 1},
		{"empty, no count", 0, COUNT_ABSENT, 0, false, 0, 100, 0, 0, false, 3, 1},
		{"empty, says 7", 0, COUNT_FIXED, 7, false, 0, 100, 0, 0, false, 3, 1},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct lie *lie = &lies[i];
		struct world world;
		struct listing listing;

		print_message("             %s\n", lie->what);
		world_init(&world, lie->agents);
		world_mount(&world);
		world.per_page = lie->per_page;
		world.count_told = lie->count_told;
		world.fixed_count = lie->fixed_count;
		world.one_page_for_all = lie->one_page_for_all;
		world.empty_page = lie->empty_page;
		world.malformed = lie->malformed;
		for (int round = 0; round < 3; round++) {
			list(&world, &listing);
			assert_int_equal(listing.err, 0);
			/* what was read ahead of an empty page counts too */
			assert_in_range(listing.count, lie->listed,
			                lie->empty_page ? lie->agents : lie->listed);
			assert_int_equal(health_of(&world).verified, lie->verified);
			if (getenv("SHOW"))
				print_message("%u\n", listing.wants);
			assert_true(listing.wants <= (round ? lie->wants_later : lie->most_wants));
			list_done(&listing);
			assert_int_equal(find(&world, "nobody", NULL), -ENOENT);
			world.now_ms += TTL_MS;
		}
		world_done(&world);
	}
	(void)state;
}

/* Ids that stand twice */

static void test_the_first_of_two_with_one_id_wins(void **state)
{
	const size_t second_at[] = {15, 450}; /* on the same page, on another */

	for (size_t i = 0; i < 2; i++) {
		struct world world;
		struct record *record;

		world_init(&world, 1042);
		world_add(&world, second_at[i], "p10")->version = 7;
		world_mount(&world);
		for (int round = 0; round < 6; round++) {
			struct listing listing;

			list(&world, &listing);
			assert_int_equal(listing.err, 0);
			assert_int_equal(listing.count, 1042);
			for (size_t at = 0; at < 1042; at++) {
				char id[ID_BYTES];

				snprintf(id, sizeof(id), "p%zu", at);
				assert_string_equal(listing.records[at]->name, id);
			}
			assert_true(listing.wants <= (round ? 11 : 33));
			list_done(&listing);
			assert_int_equal(find(&world, "p10", &record), 0);
			assert_string_equal(record->agent->status, "v0");
			assert_int_equal(record_since(record, AGENT_STATUS, CHANGES_WHOLE),
			                 MOUNTED_NS);
			assert_true(health_of(&world).duplicates > (unsigned int)round);
			world.now_ms += TTL_MS;
		}
		assert_int_equal(world.duplicates_told, 1);
		assert_int_equal(health_of(&world).verified, i == 0);
		world_done(&world);
	}
	(void)state;
}

static void test_the_first_wins_in_whatever_order_pages_come(void **state)
{
	struct world world;
	struct record *record;

	world_init(&world, 1042);
	world_add(&world, 250, "p110")->version = 7; /* pages 2 and 3 are read at once */
	world_mount(&world);
	world.order = LAST_FIRST;
	for (int round = 0; round < 6; round++) {
		struct listing listing;

		list(&world, &listing);
		assert_int_equal(listing.count, 1042);
		list_done(&listing);
		assert_int_equal(find(&world, "p110", &record), 0);
		assert_string_equal(record->agent->status, "v0");
		world.now_ms += TTL_MS;
	}
	world_done(&world);
	(void)state;
}

/* Failures */

static void test_a_failure_is_retried_then_held(void **state)
{
	struct world world;
	unsigned int wants = 0;
	int64_t last_ms;

	world_of(&world, 250);
	world.failing = true;
	assert_int_equal(find(&world, "p1", NULL), -EREMOTEIO);
	assert_int_equal(world.wants, 3);
	assert_in_range(world.now_ms - 1000000, 0, 1500);
	assert_true(health_of(&world).failing);
	assert_int_equal(fleet_last_failure(world.fleet)->cause, FAILURE_SERVER);
	wants = world.wants;
	last_ms = world.now_ms;
	/* held for 1, 2, 4, 8, 16, 30, 30 … s: who asks meanwhile is told at once */
	for (int64_t hold_ms = 1000; hold_ms < 200000; hold_ms *= 2) {
		int64_t held_ms = hold_ms < 30000 ? hold_ms : 30000;

		assert_int_equal(health_of(&world).retry_ms, held_ms);
		assert_int_equal(find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(find(&world, "p241", NULL), -EREMOTEIO);
		world.now_ms = last_ms + held_ms - 1;
		assert_int_equal(find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(world.wants, wants);
		world.now_ms += 1;
		assert_int_equal(find(&world, "p1", NULL), -EREMOTEIO);
		assert_int_equal(world.wants, ++wants);
		last_ms = world.now_ms;
	}
	world.failing = false;
	world.now_ms += 30000;
	assert_int_equal(find(&world, "p1", NULL), 0);
	assert_false(health_of(&world).failing);
	world_done(&world);
	(void)state;
}

static void test_what_a_failure_is_called(void **state)
{
	const struct {
		enum failure_cause cause;
		int error;
		unsigned int wants;
	} rows[] = {
		{FAILURE_CREDENTIAL, -EACCES, 1},   {FAILURE_REQUEST, -EINVAL, 1},
		{FAILURE_BUSY, -EBUSY, 1},          {FAILURE_SERVER, -EREMOTEIO, 3},
		{FAILURE_REDIRECT, -EREMOTEIO, 1},  {FAILURE_MALFORMED, -EREMOTEIO, 6},
		{FAILURE_TRUNCATED, -EREMOTEIO, 6}, {FAILURE_OVERSIZED, -EREMOTEIO, 2},
		{FAILURE_OLD, -EREMOTEIO, 2},       {FAILURE_UNREACHABLE, -EHOSTUNREACH, 3},
		{FAILURE_TIMEOUT, -ETIMEDOUT, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;
		struct listing listing;

		world_of(&world, 250);
		world.failing = true;
		world.cause = rows[i].cause;
		assert_int_equal(find(&world, "p1", NULL), rows[i].error);
		assert_int_equal(world.wants, rows[i].wants);
		list(&world, &listing);
		assert_int_equal(listing.err, rows[i].error);
		assert_int_equal(listing.wants, 0);
		assert_int_equal(health_of(&world).failures[rows[i].cause], rows[i].wants);
		world_done(&world);
	}
	(void)state;
}

static void test_retry_after_is_a_minimum_up_to_five_minutes(void **state)
{
	const struct {
		int64_t told_ms;
		int64_t waits_ms;
	} rows[] = {{-1, 1000},       {0, 1000},        {500, 1000},        {7000, 7000},
	            {300000, 300000}, {300001, 300000}, {INT64_MAX, 300000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;

		world_of(&world, 50);
		world.failing = true;
		world.cause = FAILURE_BUSY;
		world.retry_after_ms = rows[i].told_ms;
		assert_int_equal(find(&world, "p1", NULL), -EBUSY);
		world.failing = false;
		world.now_ms += rows[i].waits_ms - 1;
		assert_int_equal(find(&world, "p1", NULL), -EBUSY);
		assert_int_equal(world.wants, 1);
		world.now_ms += 1;
		assert_int_equal(find(&world, "p1", NULL), 0);
		world_done(&world);
	}
	(void)state;
}

/* Fifty readers that ask every 100 ms for so long; how many requests that cost. */
static unsigned int storm(struct world *world, int64_t minutes)
{
	struct reader readers[50] = {0};
	static const char *const ids[] = {"p1", "p150", "p241", "nobody", NULL};
	unsigned int wants = world->wants;
	int64_t end_ms = world->now_ms + minutes * 60000;

	for (size_t i = 0; i < 50; i++)
		readers[i].id = ids[i % 5];
	for (; world->now_ms < end_ms; world->now_ms += 100) {
		while (world->in_flight > 0 && world->flights[0].due_ms <= world->now_ms)
			deliver(world, 0);
		for (size_t i = 0; i < 50; i++) {
			if (!readers[i].asking)
				readers[i].cursor = 0;
			ask(world, &readers[i]);
		}
	}
	while (world->in_flight > 0)
		deliver(world, 0);
	return world->wants - wants;
}

static void test_a_failing_api_is_not_stormed(void **state)
{
	const enum failure_cause causes[] = {FAILURE_SERVER,     FAILURE_UNREACHABLE,
	                                     FAILURE_BUSY,       FAILURE_TIMEOUT,
	                                     FAILURE_CREDENTIAL, FAILURE_MALFORMED};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		for (int warm = 0; warm <= 1; warm++) {
			struct world world;
			unsigned int wants;

			world_of(&world, 242);
			if (warm)
				list_all(&world);
			world.failing = true;
			world.cause = causes[i];
			world.latency_ms = 50;
			wants = storm(&world, 10);
			if (getenv("SHOW"))
				print_message("cause %d warm %d: %u\n", causes[i], warm, wants);
			assert_true(wants <= 600);
			assert_true(wants >= 10);
			/* nor is a listing put together anew for everyone who asks */
			assert_true(health_of(&world).passes <= 100);
			world.failing = false;
			world.now_ms += 30000;
			assert_int_equal(list_all(&world), 3);
			world_done(&world);
		}
	}
	(void)state;
}

static void test_an_api_that_failed_is_probed_by_one_request(void **state)
{
	static const char *const ids[] = {"p1", "p101", "p201", "p301", "p401", NULL};
	struct reader readers[6] = {0};
	struct world world;

	world_init(&world, 1042);
	world.config.stale_ms = 0;
	world_mount(&world);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	world.cause = FAILURE_TIMEOUT;
	assert_int_equal(find(&world, "p1", NULL), -ETIMEDOUT);
	assert_int_equal(find(&world, "p101", NULL), -ETIMEDOUT);
	world.now_ms += 1000;
	for (size_t i = 0; i < 6; i++) {
		readers[i].id = ids[i];
		assert_false(ask(&world, &readers[i]));
		assert_int_equal(world.in_flight, 1);
	}
	deliver(&world, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(ask(&world, &readers[i]));
		assert_int_equal(readers[i].err, -ETIMEDOUT);
	}
	assert_int_equal(health_of(&world).retry_ms, 2000);
	/* and when it is there again, all go on */
	world.failing = false;
	world.now_ms += 2000;
	ask_all(&world, readers, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(readers[i].err, 0);
	world_done(&world);
	(void)state;
}

static void test_pages_that_fail_together_are_one_failure(void **state)
{
	struct reader reader = {0};
	struct world world;

	world_init(&world, 1042);
	world.config.retries = 0;
	world_mount(&world);
	ask(&world, &reader);
	for (int i = 0; i < 3; i++) {
		deliver(&world, 0);
		ask(&world, &reader);
	}
	assert_int_equal(world.in_flight, 6);
	world.failing = true;
	while (world.in_flight > 0)
		deliver(&world, 0);
	assert_int_equal(health_of(&world).failures[FAILURE_SERVER], 6);
	assert_int_equal(health_of(&world).retry_ms, 1000);
	world_done(&world);
	(void)state;
}

static void test_stale_data_is_served_while_the_api_fails(void **state)
{
	struct world world;
	struct record *record;
	struct listing listing;
	int64_t began_ms;

	world_of(&world, 1042);
	list_all(&world);
	began_ms = world.now_ms;
	world.failing = true;
	world.cause = FAILURE_UNREACHABLE;
	for (int64_t age_ms = TTL_MS; age_ms < TTL_MS + STALE_MS; age_ms += 20000) {
		world.now_ms = began_ms + age_ms;
		assert_int_equal(find(&world, "p500", &record), 0);
		assert_string_equal(record->agent->status, "v0");
		assert_int_equal(fleet_record_ms(world.fleet, record), 0);
		list_all(&world);
		assert_true(health_of(&world).stale);
		assert_false(health_of(&world).verified && health_of(&world).list_age_ms < age_ms);
		/* a name that is not known may yet exist */
		assert_int_equal(find(&world, "nobody", NULL), -EHOSTUNREACH);
	}
	world.now_ms = began_ms + TTL_MS + STALE_MS;
	assert_int_equal(find(&world, "p500", &record), -EHOSTUNREACH);
	list(&world, &listing);
	assert_int_equal(listing.err, -EHOSTUNREACH);
	list_done(&listing);
	assert_false(health_of(&world).stale);
	world.failing = false;
	world.now_ms += 30000;
	assert_int_equal(list_all(&world), 11);
	assert_false(health_of(&world).stale);
	assert_int_equal(world.gone, 0);
	world_done(&world);
	(void)state;
}

static void test_a_list_read_in_part_is_stale_too(void **state)
{
	struct world world;
	struct record *record;
	uint64_t cursor = 0;
	struct listing listing = {0};

	world_of(&world, 1042);
	assert_int_equal(list_some(&world, &cursor, 10, &listing), 1);
	list_done(&listing);
	world.failing = true;
	world.cause = FAILURE_UNREACHABLE;
	world.now_ms += TTL_MS;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_true(health_of(&world).failing && health_of(&world).stale);
	world.now_ms += STALE_MS;
	assert_int_equal(find(&world, "p1", &record), -EHOSTUNREACH);
	assert_false(health_of(&world).stale);
	world_done(&world);
	(void)state;
}

static void test_stale_data_is_served_at_once_while_a_failure_is_fresh(void **state)
{
	struct world world;
	int64_t now_ms;
	unsigned int wants;

	world_of(&world, 1042);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	assert_int_equal(find(&world, "p1", NULL), 0);
	now_ms = world.now_ms;
	wants = world.wants;
	assert_int_equal(find(&world, "p1", NULL), 0);
	assert_int_equal(world.wants, wants);
	/* another page shows, with one request, that it is the API which fails */
	assert_int_equal(find(&world, "p1000", NULL), 0);
	assert_int_equal(world.wants, ++wants);
	assert_int_equal(find(&world, "p500", NULL), 0);
	assert_int_equal(list_all(&world), 0);
	assert_int_equal(world.now_ms, now_ms);
	assert_int_equal(world.wants, wants);
	world_done(&world);
	(void)state;
}

static void test_it_recovers_within_one_step_of_the_backoff(void **state)
{
	struct world world;
	struct record *record;
	int64_t now_ms;

	world_of(&world, 1042);
	list_all(&world);
	world.failing = true;
	world.now_ms += TTL_MS;
	storm(&world, 3);
	world.failing = false;
	world.machines[1].version = 5;
	now_ms = world.now_ms;
	do {
		world.now_ms += 100;
		assert_int_equal(find(&world, "p1", &record), 0);
	} while (strcmp(record->agent->status, "v5") != 0);
	assert_true(world.now_ms - now_ms <= 30000);
	assert_false(health_of(&world).failing);
	assert_in_range(list_all(&world), 9, 11);
	world_done(&world);
	(void)state;
}

static void test_a_malformed_page_does_not_hide_the_others(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 1042);
	world.failing = true;
	world.failing_page = 5;
	world.cause = FAILURE_MALFORMED;
	list(&world, &listing);
	assert_int_equal(listing.err, -EREMOTEIO);
	assert_int_equal(listing.count, 942);
	list_done(&listing);
	for (int i = 0; i < 1042; i += 100) {
		char id[ID_BYTES];

		snprintf(id, sizeof(id), "p%d", i);
		assert_int_equal(find(&world, id, NULL), i == 400 ? -EREMOTEIO : 0);
	}
	assert_int_equal(find(&world, "nobody", NULL), -EREMOTEIO);
	assert_true(health_of(&world).failing);
	world.failing = false;
	world.now_ms += 1000;
	list_all(&world);

	/* with data at hand, its agents are served stale and the others fresh */
	world.failing = true;
	world.now_ms += TTL_MS;
	for (size_t i = 0; i < world.count; i++)
		world.machines[i].version = 1;
	list_all(&world);
	for (size_t i = 0; i < world.count; i += 50) {
		struct record *record;

		assert_int_equal(find(&world, world.machines[i].id, &record), 0);
		assert_string_equal(record->agent->status, i / 100 == 4 ? "v0" : "v1");
	}
	world_done(&world);
	(void)state;
}

static void test_a_slow_api_is_waited_for_two_seconds_with_data_at_hand(void **state)
{
	struct world world;
	struct record *record;
	struct listing listing;
	struct look look;
	int64_t now_ms;

	world_of(&world, 1042);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.latency_ms = 5000;
	world.machines[1].version = 1;
	now_ms = world.now_ms;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p1", &look, &record), -EAGAIN);
	assert_int_equal(look.wake_ms, now_ms + 2000);
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(world.now_ms, now_ms + 2000);
	assert_string_equal(record->agent->status, "v0");
	assert_int_equal(fleet_record_ms(world.fleet, record), 0);
	assert_int_equal(world.wants, 12); /* the fetch goes on */
	list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 1042);
	assert_int_equal(world.now_ms, now_ms + 2000); /* and is not waited for twice */
	list_done(&listing);
	/* and what it brings is served in time */
	world.now_ms = now_ms + 5001;
	assert_int_equal(find(&world, "p1", &record), 0);
	assert_int_equal(world.now_ms, now_ms + 5001);
	assert_string_equal(record->agent->status, "v1");
	world_done(&world);
	(void)state;
}

static void test_without_data_a_slow_api_is_waited_for(void **state)
{
	struct world world;
	struct look look;
	struct record *record;

	world_of(&world, 1042);
	world.latency_ms = 60000;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p1", &look, &record), -EAGAIN);
	assert_int_equal(look.wake_ms, INT64_MAX);
	assert_int_equal(find(&world, "p1", &record), 0);
	world_done(&world);
	(void)state;
}

/* The API fails in the middle of a listing: it is completed with what is known. */
static void test_a_listing_completed_from_memory_has_everyone_once(void **state)
{
	for (unsigned int most = 1; most < 1042; most += 130) {
		struct world world;
		struct listing listing = {0};
		uint64_t cursor = 0;

		world_of(&world, 1042);
		list_all(&world);
		world.now_ms += TTL_MS;
		world_add(&world, 0, "early");
		world_add(&world, 955, "late");
		assert_int_equal(list_some(&world, &cursor, most, &listing), 1);
		/* "late" is met by a look-up of somebody on its page, not by the listing */
		assert_int_equal(find(&world, "p950", NULL), 0);
		world.failing = true;
		assert_int_equal(list_some(&world, &cursor, SIZE_MAX, &listing), 0);
		check_once_each(&world, &listing);
		assert_int_equal(times_listed(&listing, "early"), 1);
		assert_int_equal(times_listed(&listing, "late"), 1);
		assert_int_equal(listing.count, 1044);
		list_done(&listing);
		world_done(&world);
	}
	(void)state;
}

/* The kernel keeps a listing until the time of its folder moves: so it does when a remembered one
 * has had its day, and no sooner. */
static void test_a_listing_completed_from_memory_is_not_kept_for_ever(void **state)
{
	struct world world;
	struct listing listing;
	int64_t mtime_ns;

	world_of(&world, 200);
	list_all(&world);
	world.now_ms += TTL_MS;
	world.failing = true;
	world.failing_page = 1;
	world.cause = FAILURE_MALFORMED;
	mtime_ns = fleet_list_mtime_ns(world.fleet);
	list(&world, &listing);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 200);
	list_done(&listing);
	assert_int_equal(fleet_list_ms(world.fleet), 0);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns);
	world.now_ms += 60000;
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
	world_done(&world);
	(void)state;
}

/* Memory */

/* However many and however large the API says that its agents are, there is an end. */
static void test_what_would_take_too_much_memory_is_refused(void **state)
{
	struct world world;
	struct page *page = agents_page(3);
	struct look look;
	struct record *record;

	world_init(&world, 0);
	world_mount(&world);
	for (int i = 0; i < 3; i++) {
		char id[ID_BYTES];
		struct agent *agent;

		snprintf(id, sizeof(id), "p%d", i);
		agent = agents_new(id, "large");
		agent->bytes = FLEET_MAX_BYTES / 5 * 2;
		page->agents[page->agent_count++] = agent;
	}
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, "p0", &look, &record), -EAGAIN);
	assert_int_equal(arrive(&world, 1, page), -EFBIG);
	fleet_failed(world.fleet, 1, &(struct failure){.cause = FAILURE_OVERSIZED});
	world.in_flight = 0;
	world_done(&world);
	(void)state;
}

/* Others go on while a large page is taken in; it is still on its way, until it is all there. */
static void test_a_page_is_taken_in_in_parts(void **state)
{
	struct world world;
	struct look look, first, last;
	struct record *record;

	world_of(&world, 3);
	world.heavy = true;
	list_all(&world);
	for (int hangup = 0; hangup <= 1; hangup++) {
		world.parts = 0;
		world.now_ms += TTL_MS;
		world.wants = 0;
		look = fleet_look(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &look, &record),
		                 -EAGAIN);
		world.in_flight = 0;
		world.machines[0].version++;
		assert_int_equal(fleet_arrived(world.fleet, 1, page_of(&world, 1)), -EAGAIN);

		first = fleet_look(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[0].id, &first, &record), 0);
		assert_string_equal(record->agent->status, hangup ? "v2" : "v1");
		last = fleet_look(world.fleet);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &last, &record),
		                 -EAGAIN);
		assert_int_equal(world.wants, 1);

		if (hangup)
			fleet_expire(world.fleet);
		while (fleet_arrive_on(world.fleet) == -EAGAIN)
			world.parts++;
		assert_int_equal(world.parts, hangup ? 0 : 1);
		assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &look, &record),
		                 hangup ? -EAGAIN : 0);
		assert_int_equal(world.wants, 1 + hangup);
	}
	world.in_flight = 0;
	world_done(&world);
	(void)state;
}

static void test_what_is_being_taken_in_goes_with_the_fleet(void **state)
{
	struct world world;
	struct look look;
	struct record *record;

	world_of(&world, 3);
	world.heavy = true;
	look = fleet_look(world.fleet);
	assert_int_equal(fleet_find(world.fleet, world.machines[2].id, &look, &record), -EAGAIN);
	world.in_flight = 0;
	assert_int_equal(fleet_arrived(world.fleet, 1, page_of(&world, 1)), -EAGAIN);
	world_done(&world);
	(void)state;
}

static void test_a_week_of_churn_takes_no_more_memory(void **state)
{
	struct world world;
	struct listing listing;
	uint32_t highest = 0;
	unsigned int left = 0;

	world_of(&world, 500);
	for (size_t i = 0; i < 500; i++)
		world.machines[i].permanent = false;
	list_all(&world);
	while (left < 200000) {
		for (int i = 0; i < 250; i++, left++)
			assert_true(world_leave(&world));
		for (int i = 0; i < 250; i++)
			world_join(&world);
		world.now_ms += TTL_MS;
		list(&world, &listing);
		assert_int_equal(listing.count, 500);
		for (size_t i = 0; i < listing.count; i++)
			if (highest < listing.records[i]->index)
				highest = listing.records[i]->index;
		list_done(&listing);
		assert_int_equal(health_of(&world).agents, 500);
	}
	assert_int_equal(world.gone, 200000);
	assert_true(highest < 2048);
	world_done(&world);
	(void)state;
}

/* However long a reader pauses, while others list again and again, and agents come and go. */
static void test_a_listing_goes_on_after_a_pause_of_hours(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 1000);
	assert_int_equal(list_some(&world, &cursor, 300, &listing), 1);
	for (int i = 0; i < 150; i++) {
		world.now_ms += 60 * TTL_MS;
		world_join(&world);
		list_all(&world);
	}
	assert_int_equal(list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	check_once_each(&world, &listing);
	list_done(&listing);
	world_done(&world);
	(void)state;
}

static void read_whole_list(struct world *world)
{
	struct look look = fleet_look(world->fleet);
	uint64_t cursor;
	int err;

	while ((err = fleet_whole(world->fleet, &look, &cursor)) == -EAGAIN)
		wait_for(world, &look);
	assert_int_equal(err, 0);
}

static void test_listings_that_nobody_reads_are_forgotten_first(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of_conditions(&world, 40000);
	assert_int_equal(list_some(&world, &cursor, 300, &listing), 1);
	for (int i = 0; i < 60; i++) { /* each takes 320 KB */
		world.now_ms += TTL_MS;
		read_whole_list(&world);
	}
	assert_int_equal(list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	check_once_each(&world, &listing);
	list_done(&listing);
	world_done(&world);
	(void)state;
}

/* What listings take is bounded: those of readers that never go on are forgotten in the end. */
static void test_listings_that_take_too_much_memory_are_forgotten(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursors[60] = {0};
	size_t forgotten = 0;

	world_of_conditions(&world, 40000);
	for (size_t i = 0; i < 60; i++) {
		world.now_ms += TTL_MS;
		assert_int_equal(list_some(&world, &cursors[i], 300, &listing), 1);
		read_whole_list(&world);
		list_done(&listing);
	}
	for (size_t i = 0; i < 60; i++) {
		int err = list_some(&world, &cursors[i], 100, &listing);

		assert_true(err == 1 || err == -ESTALE);
		if (err < 0)
			assert_int_equal(forgotten++, i); /* the oldest */
		list_done(&listing);
	}
	/* 16 MiB are 52 times 40,000 places of 8 bytes. */
	assert_in_range(forgotten, 7, 12);
	world_done(&world);
	(void)state;
}

/* However large the fleet is and however short its ttl: who reads on finds the listing. */
static void test_a_listing_that_is_read_is_not_forgotten(void **state)
{
	struct world world;
	struct listing listing = {0};
	uint64_t cursor = 0;

	world_of(&world, 5000);
	assert_int_equal(list_some(&world, &cursor, 100, &listing), 1);
	for (int i = 0; i < 40; i++) {
		fleet_expire(world.fleet);
		list_all(&world);
		world.now_ms += 100;
		assert_int_equal(list_some(&world, &cursor, 100, &listing), 1);
	}
	assert_int_equal(list_some(&world, &cursor, SIZE_MAX, &listing), 0);
	assert_int_equal(listing.count, 5000);
	check_once_each(&world, &listing);
	list_done(&listing);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_entries_cost_one_request),
		cmocka_unit_test(test_a_listing_costs_each_page_once_per_ttl),
		cmocka_unit_test(test_whole_pages_cost_no_request_for_an_empty_one),
		cmocka_unit_test(test_nothing_is_fetched_while_nobody_asks),
		cmocka_unit_test(test_one_agent_costs_its_page),
		cmocka_unit_test(test_a_name_that_is_not_there_costs_one_sweep_per_ttl),
		cmocka_unit_test(test_200_readers_of_a_cold_tree_cost_one_sweep),
		cmocka_unit_test(test_reading_ahead_grows_with_the_reader),
		cmocka_unit_test(test_ttl_counts_from_the_arrival),
		cmocka_unit_test(test_the_age_that_a_page_comes_with_counts),
		cmocka_unit_test(test_what_comes_too_old_is_stale_data),
		cmocka_unit_test(test_what_comes_older_than_what_is_known_is_not_taken),
		cmocka_unit_test(test_what_is_on_its_way_at_an_expiry_may_be_old),
		cmocka_unit_test(test_what_a_cache_kept_is_no_second_look),
		cmocka_unit_test(test_old_pages_that_disagree_are_listed),
		cmocka_unit_test(test_a_new_value_is_seen_after_the_ttl_at_the_latest),
		cmocka_unit_test(test_a_page_slower_than_the_ttl_answers_who_waited),
		cmocka_unit_test(test_nothing_expired_is_served_after_a_look_up),
		cmocka_unit_test(test_what_came_for_a_reader_is_good_for_it),
		cmocka_unit_test(test_a_listing_slower_than_its_ttl_ends),
		cmocka_unit_test(test_nobody_starves_while_others_begin),
		cmocka_unit_test(test_the_wall_clock_may_jump),
		cmocka_unit_test(test_what_is_unchanged_is_renewed_without_its_body),
		cmocka_unit_test(test_an_unchanged_page_has_an_age_too),
		cmocka_unit_test(test_what_was_met_elsewhere_is_asked_for_as_a_whole),
		cmocka_unit_test(test_what_was_met_elsewhere_meanwhile_is_asked_for_again),
		cmocka_unit_test(test_nobody_who_left_is_renewed),
		cmocka_unit_test(test_a_page_that_lost_an_agent_to_another_comes_whole),
		cmocka_unit_test(test_after_an_expiry_conditions_hold),
		cmocka_unit_test(test_expire_makes_everything_old),
		cmocka_unit_test(test_expire_ends_the_wait_for_a_failed_api),
		cmocka_unit_test(test_what_is_on_its_way_at_an_expiry_is_asked_for_anew),
		cmocka_unit_test(test_the_list_is_changed_once_per_expiry),
		cmocka_unit_test(test_the_list_is_changed_when_its_names_are),
		cmocka_unit_test(test_one_that_moved_to_the_next_page_is_found),
		cmocka_unit_test(test_one_that_left_is_gone),
		cmocka_unit_test(test_a_listing_sees_who_left),
		cmocka_unit_test(test_each_change_is_told_once),
		cmocka_unit_test(test_a_page_with_a_change_that_cannot_be_told_comes_again),
		cmocka_unit_test(test_the_whole_fleet_may_leave),
		cmocka_unit_test(test_whoever_stays_is_listed_exactly_once),
		cmocka_unit_test(test_a_count_that_agrees_is_not_believed),
		cmocka_unit_test(test_one_met_behind_the_reader_is_listed),
		cmocka_unit_test(test_an_api_that_lies_is_read_to_an_end),
		cmocka_unit_test(test_the_first_of_two_with_one_id_wins),
		cmocka_unit_test(test_the_first_wins_in_whatever_order_pages_come),
		cmocka_unit_test(test_a_failure_is_retried_then_held),
		cmocka_unit_test(test_what_a_failure_is_called),
		cmocka_unit_test(test_retry_after_is_a_minimum_up_to_five_minutes),
		cmocka_unit_test(test_a_failing_api_is_not_stormed),
		cmocka_unit_test(test_an_api_that_failed_is_probed_by_one_request),
		cmocka_unit_test(test_pages_that_fail_together_are_one_failure),
		cmocka_unit_test(test_stale_data_is_served_while_the_api_fails),
		cmocka_unit_test(test_a_list_read_in_part_is_stale_too),
		cmocka_unit_test(test_stale_data_is_served_at_once_while_a_failure_is_fresh),
		cmocka_unit_test(test_it_recovers_within_one_step_of_the_backoff),
		cmocka_unit_test(test_a_malformed_page_does_not_hide_the_others),
		cmocka_unit_test(test_a_slow_api_is_waited_for_two_seconds_with_data_at_hand),
		cmocka_unit_test(test_without_data_a_slow_api_is_waited_for),
		cmocka_unit_test(test_a_listing_completed_from_memory_has_everyone_once),
		cmocka_unit_test(test_a_listing_completed_from_memory_is_not_kept_for_ever),
		cmocka_unit_test(test_what_would_take_too_much_memory_is_refused),
		cmocka_unit_test(test_a_page_is_taken_in_in_parts),
		cmocka_unit_test(test_what_is_being_taken_in_goes_with_the_fleet),
		cmocka_unit_test(test_a_week_of_churn_takes_no_more_memory),
		cmocka_unit_test(test_a_listing_goes_on_after_a_pause_of_hours),
		cmocka_unit_test(test_listings_that_nobody_reads_are_forgotten_first),
		cmocka_unit_test(test_listings_that_take_too_much_memory_are_forgotten),
		cmocka_unit_test(test_a_listing_that_is_read_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
