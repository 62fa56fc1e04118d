/* SPDX-License-Identifier: MIT */
/* An API that rejects requests: the credential, the load, or one page. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

/* Lists ten pages of which the third is rejected, while pages after it are in flight. They arrive
 * after the rejection. */
static void list_past_rejected_page(struct world *world, struct listing *listing)
{
	world->failing = true;
	world->failing_page = 3;
	world->latency_ms = 50;
	world_list(world, listing);
	while (world->in_flight > 0)
		world_deliver_next(world);
}

static void test_pages_requested_before_do_not_end_a_pause(void **state)
{
	for (int by_header = 0; by_header <= 1; by_header++) {
		struct world world;
		struct listing listing;

		world_init(&world, 1000);
		world.config.retries = 0;
		world_mount(&world);
		world.cause = by_header ? FAILURE_SERVER : FAILURE_BUSY;
		world.retry_after_ms = by_header ? 1000 : -1;
		list_past_rejected_page(&world, &listing);
		assert_int_equal(listing.err, -failure_errno(world.cause));
		assert_true(world_health(&world).failing && world_health(&world).stale);
		assert_true(world_health(&world).retry_ms > 0);
		listing_done(&listing);
		/* nor when the pause is over, until a request succeeds */
		world.now_ms += 5000;
		assert_true(world_health(&world).failing);
		world.failing = false;
		world_list_all(&world);
		assert_false(world_health(&world).failing);
		world_done(&world);
	}
	(void)state;
}

/* Without a token nothing is sent, so no page is to blame. */
static void test_pages_requested_before_do_not_hide_a_token_that_cannot_be_read(void **state)
{
	struct world world;
	struct listing listing;

	world_of(&world, 1000);
	world.cause = FAILURE_CREDENTIAL;
	world.status_absent = true;
	list_past_rejected_page(&world, &listing);
	assert_int_equal(listing.err, -EACCES);
	assert_int_equal(listing.count, 200);
	assert_true(world_health(&world).failing && world_health(&world).stale);
	listing_done(&listing);
	world_done(&world);
	(void)state;
}

/* A firewall rejects a page because of what one agent wrote into a label. */
static void test_page_that_is_rejected_costs_its_own_agents_only(void **state)
{
	const enum failure_cause causes[] = {FAILURE_CREDENTIAL, FAILURE_REDIRECT};

	for (size_t i = 0; i < 2; i++) {
		int err = -failure_errno(causes[i]);
		struct world world;
		struct listing listing;

		world_of(&world, 1000);
		world.cause = causes[i];
		list_past_rejected_page(&world, &listing);
		assert_int_equal(listing.err, err);
		assert_int_equal(listing.count, 900);
		assert_int_equal(listing.requests, 10);
		listing_done(&listing);
		assert_true(world_health(&world).failing && world_health(&world).stale);
		assert_int_equal(world_health(&world).pages, 10);
		assert_int_equal(world_find(&world, "p900", NULL), 0);
		assert_int_equal(world_find(&world, "p250", NULL), err);
		assert_int_equal(world_find(&world, "no-such-agent", NULL), err);
		world.failing = false;
		world.now_ms += 30000;
		world_list_all(&world);
		assert_false(world_health(&world).failing);
		world_done(&world);
	}
	(void)state;
}

/* The first page that is rejected may be to blame. The next ones show that it is the token. */
static void test_revoked_token_is_tried_a_few_times(void **state)
{
	const enum failure_cause causes[] = {FAILURE_CREDENTIAL, FAILURE_REDIRECT};

	for (size_t i = 0; i < 2 * 2; i++) {
		int err = -failure_errno(causes[i / 2]);
		struct world world;
		struct listing listing;
		unsigned int requests;

		world_init(&world, 1000);
		world.config.stale_ms = 0;
		world_mount(&world);
		world_list_all(&world);
		world.now_ms += TTL_MS;
		world.failing = true;
		world.cause = causes[i / 2];
		requests = world.requests;
		if (i % 2 == 0) {
			world_list(&world, &listing);
			assert_int_equal(listing.err, err);
			assert_int_equal(listing.count, 0);
			listing_done(&listing);
		}
		for (size_t at = 0; at < world.count; at += 10)
			assert_int_equal(world_find(&world, world.machines[at].id, NULL), err);
		assert_in_range(world.requests - requests, 2, 3);
		assert_int_equal(world_health(&world).retry_ms, 1000);
		/* then once per backoff: after 1, 2, 4, 8, 16, 30 s and each further 30 s */
		assert_in_range(readers_storm(&world, 2), 5, 9);
		assert_int_equal(world.departed, 0);
		world_done(&world);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_requested_before_do_not_end_a_pause),
		cmocka_unit_test(
			test_pages_requested_before_do_not_hide_a_token_that_cannot_be_read),
		cmocka_unit_test(test_page_that_is_rejected_costs_its_own_agents_only),
		cmocka_unit_test(test_revoked_token_is_tried_a_few_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
