/* SPDX-License-Identifier: MIT */
/* fleet_expire(): everything known expires at once, for example at SIGHUP. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/fleet.h"
#include "tests/unit/fleet_world.h"

static void test_expire_ends_the_ttl_of_every_page(void **state)
{
	struct world world;
	struct record *record;
	int64_t mtime_ns;

	world_of(&world, 250);
	world_list_all(&world);
	mtime_ns = fleet_list_mtime_ns(world.fleet);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	fleet_expire(world.fleet);
	assert_int_equal(fleet_record_left_ms(world.fleet, record), 0);
	assert_int_equal(fleet_list_left_ms(world.fleet), 0);
	assert_int_equal(fleet_list_mtime_ns(world.fleet), mtime_ns + 1);
	assert_int_equal(world.requests, 3);
	assert_int_equal(world_find(&world, "p1", &record), 0);
	assert_int_equal(world.requests, 4);
	assert_int_equal(world_find(&world, "no-such-agent", NULL), -ENOENT);
	assert_int_equal(world.requests, 6); /* page 1 is fresh, the others are not */
	assert_int_equal(world_list_all(&world), 0);
	world_done(&world);
	(void)state;
}

static void test_expire_ends_the_backoff(void **state)
{
	struct world world;

	world_of(&world, 50);
	world.failing = true;
	world.cause = FAILURE_CREDENTIAL;
	assert_int_equal(world_find(&world, "p1", NULL), -EACCES);
	assert_int_equal(world_find(&world, "p1", NULL), -EACCES);
	assert_int_equal(world.requests, 1);
	world.failing = false;
	fleet_expire(world.fleet);
	assert_int_equal(world_find(&world, "p1", NULL), 0);
	world_done(&world);
	(void)state;
}

static void test_failure_before_an_expire_takes_no_retry_from_the_api(void **state)
{
	struct world world;
	struct reader first = {.id = "p1"}, second = {.id = "p150"};

	world_of(&world, 250);
	world_list_all(&world);
	world.now_ms += TTL_MS;
	world_set_bad_pages(&world, "xx-");
	assert_false(reader_ask(&world, &first));
	world_deliver(&world, 0);
	fleet_expire(world.fleet);
	assert_false(reader_ask(&world, &second));
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &second)); /* it waits for a retry */
	world_done(&world);
	(void)state;
}

/* A reader waits for the request that is sent after an expire, whatever the response to the one
 * before it brings. */
static void check_response_is_ignored(bool failing, bool outdated)
{
	struct reader reader = {.id = "p1"};
	struct world world;

	world_of(&world, 50);
	assert_false(reader_ask(&world, &reader));
	fleet_expire(world.fleet);
	world.failing = failing;
	world.cause = FAILURE_CREDENTIAL;
	world.outdated = outdated;
	world.age_ms = outdated ? TTL_MS + 1 : 0;
	world_deliver(&world, 0);
	world.failing = false;
	world.outdated = false;
	world.age_ms = 0;
	assert_false(reader_ask(&world, &reader));
	assert_int_equal(world.requests, 2);
	world_deliver(&world, 0);
	assert_true(reader_ask(&world, &reader));
	assert_int_equal(reader.err, 0);
	assert_false(world_health(&world).failing);
	world_done(&world);
}

/* The request may have been sent with the previous token, so neither its page nor its failure
 * counts. */
static void test_response_to_a_request_before_an_expire_is_ignored(void **state)
{
	check_response_is_ignored(false, false);
	check_response_is_ignored(true, false);
	(void)state;
}

static void test_outdated_response_to_a_request_before_an_expire_causes_no_backoff(void **state)
{
	check_response_is_ignored(false, true);
	(void)state;
}

/* After an expire a page is requested with its validator, past all HTTP caches. */
static void test_expire_keeps_validators_and_bypasses_caches(void **state)
{
	struct world world;
	struct reader reader = {.id = "p1"};

	world_of_etags(&world, 50);
	world_list_all(&world);
	assert_int_equal(world.no_cache, 0);
	fleet_expire(world.fleet);
	world_list_all(&world);
	assert_int_equal(world.requests, 2);
	assert_int_equal(world.no_cache, 1);
	assert_int_equal(world.full_pages, 1);
	/* A response to a request before the expire is ignored, even if it says unchanged. */
	world.now_ms += TTL_MS;
	assert_false(reader_ask(&world, &reader));
	fleet_expire(world.fleet);
	world_deliver(&world, 0);
	assert_false(reader_ask(&world, &reader));
	assert_int_equal(world.requests, 4);
	assert_int_equal(world.no_cache, 2);
	world_deliver(&world, 0);
	assert_true(reader_ask(&world, &reader));
	world.now_ms += TTL_MS;
	world_list_all(&world);
	assert_int_equal(world.no_cache, 2);
	assert_int_equal(world.full_pages, 1);
	assert_int_equal(world_health(&world).unchanged, 3);
	world_done(&world);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expire_ends_the_ttl_of_every_page),
		cmocka_unit_test(test_expire_ends_the_backoff),
		cmocka_unit_test(test_failure_before_an_expire_takes_no_retry_from_the_api),
		cmocka_unit_test(test_response_to_a_request_before_an_expire_is_ignored),
		cmocka_unit_test(
			test_outdated_response_to_a_request_before_an_expire_causes_no_backoff),
		cmocka_unit_test(test_expire_keeps_validators_and_bypasses_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
