/* SPDX-License-Identifier: MIT */
#include "fs/program/cache_ports.h"

#include <sys/random.h>

#include "api/http/client.h"
#include "api/model/clock.h"
#include "fs/fuse/ops.h"
#include "fs/program/program.h"
#include "fs/tree/names.h"

int64_t cache_ports_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint32_t cache_ports_random(void)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)clock_ns(CLOCK_MONOTONIC);
	return random;
}

static int64_t port_now_ms(void *user)
{
	(void)user;
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

static int64_t port_wall_ns(void *user)
{
	(void)user;
	return cache_ports_wall_ns();
}

static uint32_t port_random(void *user)
{
	(void)user;
	return cache_ports_random();
}

static int port_request_page(void *user, unsigned int page, const struct validator *condition,
                             bool no_cache)
{
	const struct program *program = user;

	return client_request_page(program->client, page, condition, no_cache);
}

static void port_duplicate(void *user, const struct record *record)
{
	struct program *program = user;

	fetch_results_note_duplicate(&program->fetch_results, record->name);
}

static int port_changed(void *user, const struct record *record, const struct agent *before,
                        const struct agent *after, int64_t at_ns)
{
	struct program *program = user;

	/* Before the mount the kernel knows no names, and events.log has not begun. */
	if (!program->fetch_results.mounted)
		return 0;
	return ops_changed(program->ops, record, before, after, at_ns);
}

struct fleet_ports cache_ports(struct program *program)
{
	return (struct fleet_ports){
		.user = program,
		.request_page = port_request_page,
		.now_ms = port_now_ms,
		.wall_ns = port_wall_ns,
		.random = port_random,
		.name = name_encode,
		.changed = port_changed,
		.duplicate = port_duplicate,
	};
}
