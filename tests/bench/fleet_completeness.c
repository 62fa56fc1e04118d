/* SPDX-License-Identifier: MIT */
/*
 * Measures how complete listings are while the agent list of the API drifts.
 *
 *	build/tests/fleet-completeness [SEEDS [LISTINGS]]
 *
 * The world is simulated (tests/unit/fleet_world.h), so the result depends on the cache and the
 * arguments only. Each row is a kind of drift. For each seed a new cache makes so many listings,
 * one after each ttl, of 300 agents that stay and about 150 that come and go, on pages of 20.
 * Odd seeds deliver responses in the order of the requests, as the list is at delivery; even seeds
 * in random order, as the list was at the request. Half of the seeds use ETags.
 *
 *	cold       agents that stay, missed by the first listing of a cache
 *	missed     agents that stay, missed by a later listing
 *	doubled    agents listed twice
 *	departed   agents reported as departed that the API still has
 *	late       agents that joined before a listing began and stayed, but are not listed
 *	gone       listed agents that had left before the listing began
 *	requests   per listing; the pages of the list would be the minimum
 *	most       requests of one listing
 *
 * The result of the present cache, which a change of the cache should not worsen:
 *
 *	8 seeds, 100 listings each of 450 agents on 23 pages
 *	drift                       cold missed doubled departed   late   gone requests  most
 *	none                           0      0       0        0      0      0     23.0    23
 *	joins, 2 % of requests         0      0       0        0      0      0     29.0   119
 *	leaves, 2 %                    0      0       0        0      0      0     29.7    84
 *	joins, 30 %                    0      0       0        0      0      0    115.7   149
 *	leaves, 30 %                  14      0       0        0     10      0     90.6    96
 *	joins and leaves, 30 %         0      0       0        0      2      0     89.3   114
 *	one for one, 5 %               1      0       0        0      0      0     50.2    89
 *	one for one, 30 %              3      0       0        0      3      0     91.1    94
 *	one for one, 100 %             0      0       0        0      0      0     91.8    94
 *	first out, last in, 30 %      36      0       0        0     19      0     69.4    90
 *	last out, first in, 30 %       0      0       0        0      0      0     72.9    81
 *	move to front, 30 %            0      0       0        0      0      0     53.1    64
 *	move to front, 100 %           0      0       0        0      0      0     57.0    91
 *	shuffle in pages, 100 %        0      0       0        0      0      0     23.0    23
 *	new order each listing         0      0       0        0      0      0     23.0    23
 *	new order, one for one         3      0       0        0      3      0     91.0    94
 *	new order, 5 %                 1      0       0        0      1      0     53.4   136
 */

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
#include "tests/unit/fleet_drift.h"
#include "tests/unit/fleet_world.h"

#define SEEDS    8
#define LISTINGS 100
#define STAYING  300
#define PASSING  150
#define PER_PAGE 20

struct kind {
	const char *name;
	void (*step)(struct world *world);    /* may be NULL */
	unsigned int percent;                 /* of the requests that a step happens before */
	void (*between)(struct world *world); /* a step between two listings; may be NULL */
};

static const struct kind kinds[] = {
	{"none", NULL, 0, NULL},
	{"joins, 2 % of requests", drift_join, 2, NULL},
	{"leaves, 2 %", drift_leave, 2, NULL},
	{"joins, 30 %", drift_join, 30, NULL},
	{"leaves, 30 %", drift_leave, 30, NULL},
	{"joins and leaves, 30 %", drift_join_or_leave, 30, NULL},
	{"one for one, 5 %", drift_one_for_one, 5, NULL},
	{"one for one, 30 %", drift_one_for_one, 30, NULL},
	{"one for one, 100 %", drift_one_for_one, 100, NULL},
	{"first out, last in, 30 %", drift_queue, 30, NULL},
	{"last out, first in, 30 %", drift_stack, 30, NULL},
	{"move to front, 30 %", drift_to_front, 30, NULL},
	{"move to front, 100 %", drift_to_front, 100, NULL},
	{"shuffle in pages, 100 %", drift_within_page, 100, NULL},
	{"new order each listing", NULL, 0, drift_shuffle},
	{"new order, one for one", drift_one_for_one, 30, drift_shuffle},
	{"new order, 5 %", drift_shuffle, 5, NULL},
};

struct result {
	unsigned int listings;
	unsigned int cold;
	unsigned int missed;
	unsigned int doubled;
	unsigned int departed;
	unsigned int late;
	unsigned int gone;
	unsigned int requests;
	unsigned int most;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names. They belong to the world or to the listing. */
struct names {
	const char **names;
	size_t count;
};

static struct names names_new(size_t count)
{
	struct names names = {.names = calloc(count + 1, sizeof(*names.names)), .count = count};

	assert_non_null(names.names);
	return names;
}

static void names_sort(struct names *names)
{
	qsort(names->names, names->count, sizeof(*names->names), compare_names);
}

static bool names_has(const struct names *names, const char *name)
{
	return bsearch(&name, names->names, names->count, sizeof(name), compare_names);
}

static struct names names_of_listing(const struct listing *listing)
{
	struct names names = names_new(listing->count);

	for (size_t i = 0; i < listing->count; i++)
		names.names[i] = listing->records[i]->name;
	names_sort(&names);
	return names;
}

static struct names names_of_machines(const struct machine *machines, size_t count)
{
	struct names names = names_new(count);

	for (size_t i = 0; i < count; i++)
		names.names[i] = machines[i].id;
	names_sort(&names);
	return names;
}

/* The list as it was at some moment. */
struct snapshot {
	struct machine *machines;
	size_t count;
};

static struct snapshot snapshot_of(const struct world *world)
{
	struct snapshot snapshot = {.count = world->count};

	snapshot.machines = calloc(world->count + 1, sizeof(*snapshot.machines));
	assert_non_null(snapshot.machines);
	if (world->count > 0)
		memcpy(snapshot.machines, world->machines, world->count * sizeof(*world->machines));
	return snapshot;
}

/* Adds what is wrong with a listing that began when the list was `before`. */
static void result_add(struct result *result, const struct world *world,
                       const struct snapshot *before, const struct listing *listing,
                       unsigned int first_new, bool cold)
{
	struct names listed = names_of_listing(listing);
	struct names now = names_of_machines(world->machines, world->count);
	struct names then = names_of_machines(before->machines, before->count);

	for (size_t i = 0; i < before->count; i++) {
		const struct machine *machine = &before->machines[i];

		if (names_has(&listed, machine->id) || !names_has(&now, machine->id))
			continue;
		if (!machine->permanent)
			result->late++;
		else if (cold)
			result->cold++;
		else
			result->missed++;
	}
	for (size_t i = 0; i < listed.count; i++) {
		const char *name = listed.names[i];

		if (i > 0 && strcmp(name, listed.names[i - 1]) == 0)
			result->doubled++;
		/* Machines are numbered as they join, so a higher number joined during the listing.
		 */
		if (name[0] == 't' && strtoul(name + 1, NULL, 10) < first_new)
			result->gone += !names_has(&then, name);
	}
	free(listed.names);
	free(now.names);
	free(then.names);
	result->listings++;
	result->requests += listing->requests;
	if (result->most < listing->requests)
		result->most = listing->requests;
}

/* Restores the number of agents, which some kinds of drift change. */
static void restore_count(struct world *world)
{
	while (world->count > STAYING + PASSING)
		world_leave(world);
	while (world->count < STAYING + PASSING)
		world_join(world);
}

static void measure_seed(const struct kind *kind, unsigned int seed, unsigned int listings,
                         struct result *result)
{
	struct world world;

	world_init(&world, STAYING);
	world.random = seed * UINT64_C(0x9e3779b97f4a7c15);
	world.per_page = PER_PAGE;
	world.order = seed % 2 ? FIRST_FIRST : ANY_FIRST;
	world.at_request = seed % 2 == 0;
	world.etags = seed % 4 < 2;
	world.drift = kind->step;
	world.drift_percent = kind->percent;
	restore_count(&world);
	world_mount(&world);
	for (unsigned int i = 0; i < listings; i++) {
		struct snapshot before = snapshot_of(&world);
		unsigned int first_new = world.numbered;
		struct listing listing;

		world_list(&world, &listing);
		assert_int_equal(listing.err, 0);
		result_add(result, &world, &before, &listing, first_new, i == 0);
		listing_done(&listing);
		free(before.machines);
		if (kind->between)
			kind->between(&world);
		restore_count(&world);
		world.now_ms += TTL_MS;
	}
	result->departed += world.departed_wrongly;
	world_done(&world);
}

static unsigned int argument(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < 1 || value > 100000) {
		fprintf(stderr, "usage: fleet-completeness [SEEDS [LISTINGS]]\n");
		exit(2);
	}
	return (unsigned int)value;
}

int main(int argc, char **argv)
{
	unsigned int seeds = argc > 1 ? argument(argv[1]) : SEEDS;
	unsigned int listings = argc > 2 ? argument(argv[2]) : LISTINGS;

	printf("%u seeds, %u listings each of %d agents on %d pages\n", seeds, listings,
	       STAYING + PASSING, (STAYING + PASSING + PER_PAGE - 1) / PER_PAGE);
	printf("%-25s %6s %6s %7s %8s %6s %6s %8s %5s\n", "drift", "cold", "missed", "doubled",
	       "departed", "late", "gone", "requests", "most");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct result result = {0};

		for (unsigned int seed = 1; seed <= seeds; seed++)
			measure_seed(&kinds[i], seed, listings, &result);
		printf("%-25s %6u %6u %7u %8u %6u %6u %8.1f %5u\n", kinds[i].name, result.cold,
		       result.missed, result.doubled, result.departed, result.late, result.gone,
		       (double)result.requests / result.listings, result.most);
	}
	return 0;
}
