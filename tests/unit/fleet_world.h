/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_FLEET_WORLD_H
#define FLEETFS_TESTS_UNIT_FLEET_WORLD_H

/*
 * A simulated world for tests of the cache: an API with pages, a network and a clock.
 *
 * The API holds a list of machines and cuts it into pages. A test changes the list, the responses
 * and the network through the fields of struct world, and reads its counters. Time is virtual: it
 * moves only when a test adds to now_ms, or when a reader waits for a response. Random numbers come
 * from a fixed seed, so each run is the same.
 *
 *	struct world world;
 *
 *	world_of(&world, 250);                       // three pages: p0 … p249
 *	assert_int_equal(world_list_all(&world), 3); // lists all agents in three requests
 *	world.now_ms += TTL_MS;                      // everything expires
 *	world.failing = true;                        // the API responds with errors from now on
 *	assert_int_equal(world_find(&world, "p1", NULL), 0); // stale data is served
 *	world_done(&world);
 *
 * To change the configuration of the cache call world_init(), change world.config, then call
 * world_mount(). All functions fail the running test if the cache breaks its contract, for example
 * if it requests a page that is already in flight, or waits without a time to wake up. The
 * exception are the functions that return an error: they return what the cache returned.
 *
 * Two ways to read:
 * - world_find(), world_renew(), world_list() and friends are one reader that waits: they deliver
 *   responses and advance the time until the cache answers.
 * - reader_ask() is one of many readers: it asks once and does not wait. The test delivers the
 *   responses by world_deliver(), or all of them by readers_ask_all().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"

#define ID_BYTES     24
#define MOST_FLIGHTS 512
#define MOST_PAGES   200                          /* whose requests are counted one by one */
#define MOUNTED_NS   INT64_C(1700000000000000000) /* wall clock at the mount */
#define TTL_MS       10000                        /* default of the configuration */
#define STALE_MS     300000                       /* default of the configuration */

/* An agent as the API knows it. */
struct machine {
	char id[ID_BYTES];
	unsigned int version; /* the status is "v" and this number, so a new number is a new JSON */
	bool permanent;       /* world_leave() never removes it */
};

/* A request whose response has not been delivered. */
struct flight {
	unsigned int page;
	int64_t due_ms;             /* when the response arrives */
	struct page *content;       /* NULL: made from the list when the response is delivered */
	struct validator condition; /* of the request; empty: none */
};

/* Which of the responses in flight is delivered first. */
enum order { FIRST_FIRST, LAST_FIRST, ANY_FIRST };

/* What the API says in total_count. */
enum count { COUNT_RIGHT, COUNT_ABSENT, COUNT_RANDOM, COUNT_FIXED };

struct world {
	struct fleet *fleet;        /* the cache under test; NULL before world_mount() */
	struct fleet_config config; /* read by world_mount() */
	int64_t now_ms;             /* the monotonic clock */
	int64_t wall_offset_ns;     /* wall clock minus monotonic clock */
	uint64_t random;            /* state of the random numbers; set it to seed them */

	/* The list of the API. */
	struct machine *machines;
	size_t count;
	size_t capacity;
	unsigned int numbered; /* the next machine of world_join() is called t and this number */

	/* The network. */
	struct flight flights[MOST_FLIGHTS];
	unsigned int in_flight;
	enum order order;
	int64_t latency_ms;
	void (*drift)(struct world *world); /* changes the list before a request; may be NULL */
	unsigned int drift_percent;         /* of the requests that it happens before */
	bool at_request; /* a response shows the list at its request, not at its delivery */

	/* Responses. */
	unsigned int per_page; /* machines on a page, whatever the request asks for */
	enum count count_reported;
	int64_t fixed_count;   /* for COUNT_FIXED */
	bool one_page_for_all; /* every page number gets page 1 */
	unsigned int
		empty_page; /* this page and, up to last_empty_page, the next are empty; 0: none */
	unsigned int last_empty_page;
	unsigned int malformed;     /* elements of each page that are no agents */
	bool large_agents;          /* each fills an ingest step of its own */
	bool etags;                 /* responses have an ETag, and requests may be conditional */
	int64_t age_ms;             /* Age of the responses */
	bool outdated;              /* the client found them too old (struct page) */
	bool failing;               /* requests fail */
	unsigned int failing_page;  /* only requests for this page; 0: for any page */
	bool bad_pages[MOST_PAGES]; /* fail in any case, by page number */
	enum failure_cause cause;
	bool page_only;         /* the API answered requests for parts of these pages */
	bool status_absent;     /* they fail without a response, for example without a token */
	int64_t retry_after_ms; /* -1: not given */
	bool changes_fail;      /* the port that reports changes is out of memory */

	/* Counters of requests and responses. */
	unsigned int requests;
	unsigned int requests_of[MOST_PAGES]; /* by page number */
	unsigned int conditional;             /* requests with a validator */
	unsigned int no_cache;                /* requests that no HTTP cache may answer */
	unsigned int full_pages;              /* responses with a body */
	unsigned int parts;                   /* ingest steps after which more remained */
	unsigned int peak;                    /* most requests in flight at once */
	unsigned int failed;                  /* requests that failed */

	/* Counters of what the cache reported. */
	unsigned int joined;
	unsigned int changed;
	unsigned int departed;
	char departed_id[ID_BYTES];    /* the last one */
	unsigned int departed_wrongly; /* agents reported as departed that the list still has */
	unsigned int duplicates;
};

/* Prepares a world of so many permanent machines, named p0, p1 and so on, and a configuration. */
void world_init(struct world *world, size_t count);

/* Creates the cache from world->config. Nothing is requested. */
void world_mount(struct world *world);

/* world_init() and world_mount(). */
void world_of(struct world *world, size_t count);

/* world_of() an API whose responses have ETags. */
void world_of_etags(struct world *world, size_t count);

/* Frees the cache and what the world holds. */
void world_done(struct world *world);

/* A random number below the limit; 0 if the limit is 0. */
size_t world_random_below(struct world *world, size_t limit);

/* Writes the ID of a random machine of the API. Returns whether it is permanent. */
bool world_random_machine(struct world *world, char ret_id[static ID_BYTES]);

/* The wall clock, ns since 1970. */
int64_t world_wall_ns(const struct world *world);

/* Changes of the list. */

/* Inserts a machine that is not permanent. The pointer is valid until the next change. */
struct machine *world_add(struct world *world, size_t position, const char *id);

void world_remove(struct world *world, size_t position);

/* Removes a machine at one position, and inserts it at another of the list without it. */
void world_move(struct world *world, size_t from, size_t to);

/* Inserts a new machine at a random position. */
void world_join(struct world *world);

/* Removes a random machine that is not permanent. Returns false if it met none. */
bool world_leave(struct world *world);

/* Which pages fail in any case: "-x--" is the second of four. "" is none. */
void world_set_bad_pages(struct world *world, const char *layout);

/* Delivery */

/* The page as the API serves it now; the caller frees it. */
struct page *world_page(struct world *world, unsigned int number);

/* Gives the cache a page and lets it ingest all parts. Takes the page over. 0 or -errno. */
int world_arrive(struct world *world, unsigned int number, struct page *page);

/* Delivers the response of world->flights[which], and advances the clock to its arrival. */
void world_deliver(struct world *world, unsigned int which);

/* Delivers the response whose turn it is by world->order. At least one is in flight. */
void world_deliver_next(struct world *world);

/* Does what a reader does after -EAGAIN: waits for a response, or until query->wake_ms. */
void world_wait(struct world *world, const struct query *query);

/* One reader that waits */

/* fleet_find() until it answers: 0 or -errno. ret_record may be NULL. */
int world_find(struct world *world, const char *id, struct record **ret_record);

/* fleet_renew() until it answers: 0 or -errno. */
int world_renew(struct world *world, struct record *record);

struct listing {
	struct record **records; /* references, in the order of the listing */
	size_t count;
	unsigned int requests; /* while it was read */
	int err;               /* 0 or -errno of the cache */
};

/* Lists all agents. Release it by listing_done(). */
void world_list(struct world *world, struct listing *listing);

/* Continues a listing from *cursor (0: the beginning) like a reader with many getdents() calls, and
 * appends at most that many records. 1: there may be more; 0: that was the end; or -errno. */
int world_list_some(struct world *world, uint64_t *cursor, size_t most, struct listing *listing);

/* Lists all agents and fails the test unless they are the machines of the API in their order.
 * Returns how many requests that took. */
unsigned int world_list_all(struct world *world);

/* Releases the records and empties the listing. */
void listing_done(struct listing *listing);

/* How many records of the listing have this name. */
unsigned int listing_times(const struct listing *listing, const char *id);

/* Fails the test unless all permanent machines are listed, and no name is listed twice. */
void world_check_listing(const struct world *world, const struct listing *listing);

struct fleet_health world_health(const struct world *world);

/* Many readers */

struct reader {
	const char *id; /* of the agent that it finds; NULL: it lists all */
	struct query query;
	uint64_t cursor; /* of its listing; 0 to begin */
	size_t listed;   /* entries that it got so far; for a lookup: agents found */
	bool asking;     /* its last question got -EAGAIN */
	int err;         /* the last answer, -EAGAIN included */
};

/* Looks up, or lists as far as the cache answers at once. Returns true when it was answered. */
bool reader_ask(struct world *world, struct reader *reader);

/* Lets all readers ask, and delivers responses, until each of them was answered. */
void readers_ask_all(struct world *world, struct reader *readers, size_t count);

/* Lets fifty readers ask every 100 ms for so many minutes. Returns the number of requests. */
unsigned int readers_storm(struct world *world, int64_t minutes);

#endif
