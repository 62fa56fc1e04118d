/* SPDX-License-Identifier: MIT */
#include "tests/unit/report_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/tree/names.h"
#include "tests/unit/agents.h"

#define AGENT_BYTES 1000 /* many more than its rows have */

struct report_world world;

static int port_request_page(void *user, unsigned int page, const struct validator *condition,
                             bool no_cache)
{
	(void)user;
	(void)condition;
	(void)no_cache;
	assert_int_equal(page, 1);
	world.wanted++;
	return 0;
}

static int64_t port_now_ms(void *user)
{
	(void)user;
	return world.now_ms;
}

static int64_t port_wall_ns(void *user)
{
	(void)user;
	return WORLD_WALL_NS + world.now_ms * 1000000;
}

static uint32_t port_random(void *user)
{
	(void)user;
	return 4;
}

void world_begin(size_t count)
{
	const struct fleet_config config = {.ttl_ms = WORLD_TTL_MS,
	                                    .stale_ms = 60000,
	                                    .per_page = WORLD_MAX_AGENTS,
	                                    .max_connections = 1};
	const struct fleet_ports ports = {.request_page = port_request_page,
	                                  .now_ms = port_now_ms,
	                                  .wall_ns = port_wall_ns,
	                                  .random = port_random,
	                                  .name = name_encode};

	world = (struct report_world){.now_ms = 1000, .count = count, .first_status = "idle"};
	world.fleet = fleet_new(&config, &ports);
	assert_non_null(world.fleet);
	world.status = (struct status){.fleet = world.fleet, .title = "world"};
}

void world_end(void)
{
	fleet_free(world.fleet);
}

static struct agent *world_agent(size_t number)
{
	char id[24], status[10000];
	struct agent *agent;

	snprintf(id, sizeof(id), "m%zu", number);
	snprintf(status, sizeof(status), "%*s", world.status_bytes, id);
	agent = agents_new(id, world.own_statuses ? status
	                       : number == 0      ? world.first_status
	                                          : "idle");
	/* A row that is longer than the agent is borrowed. */
	agent->block_bytes = world.rows_are_mixed && number % 3 != 0 ? 0 : AGENT_BYTES;
	if (world.json_is_too_long)
		agent->json_bytes = (UINT32_C(1) << 30) + 1;
	return agent;
}

void world_bring(void)
{
	struct page *page = agents_page(world.count);
	int err;

	while (page->agent_count < world.count) {
		page->agents[page->agent_count] = world_agent(page->agent_count);
		page->agent_count++;
	}
	page->total_count = (int64_t)world.count;
	page->per_page = WORLD_MAX_AGENTS;
	world.wanted = 0;
	world.arrivals++;
	err = fleet_ingest(world.fleet, 1, page);
	while (err == -EAGAIN)
		err = fleet_ingest_more(world.fleet);
	assert_int_equal(err, 0);
}

uint64_t world_list(void)
{
	struct query query = fleet_query(world.fleet);
	uint64_t list;
	int err;

	while ((err = fleet_whole_list(world.fleet, &query, &list)) == -EAGAIN)
		world_bring();
	assert_int_equal(err, 0);
	return list;
}
