/* SPDX-License-Identifier: MIT */
#include "fs/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cache/fleet.h"
#include "fs/ca.h"
#include "fs/expiry.h"
#include "fs/probe.h"
#include "fs/source.h"
#include "fs/text.h"

#define BAR_COLUMNS 30
#define SECOND_NS   INT64_C(1000000000)

void check_init(struct check *check, const struct self *self)
{
	*check = (struct check){.self = self, .terminal = isatty(STDOUT_FILENO)};
}

static void print(struct text *text)
{
	if (text_error(text) == 0)
		fwrite(text->bytes, 1, text->length, stdout);
	fflush(stdout);
	text_done(text);
}

/* "2027-01-31T12:00:00.000Z, in 67 days" */
static void add_end(struct text *text, int64_t end, int64_t now)
{
	char distance[64];

	expiry_distance(end, now, distance, sizeof(distance));
	text_time(text, end * SECOND_NS);
	text_printf(text, ", %s", distance);
}

static void tell_token(const struct check *check)
{
	int64_t now = fleet_wall_ns(check->self->fleet) / SECOND_NS;
	int64_t end = check->self->token_expiry;
	struct text text;

	if (!check->self->token_kind)
		return; /* a file needs none */
	text_init(&text, 1 << 16);
	text_printf(&text, "token: %s from ", check->self->token_kind);
	text_escaped(&text, check->self->token_source);
	if (end != 0) {
		text_printf(&text, ", expire%s ", end > now ? "s" : "d");
		add_end(&text, end, now);
	}
	text_printf(&text, "\n");
	print(&text);
}

static void tell_ca(const struct check *check)
{
	struct text text;

	if (!source_is_https(check->self->options->source))
		return;
	text_init(&text, 1 << 16);
	ca_text(check->self->options, &check->self->ca, &text);
	print(&text);
}

/* A step that succeeded, and what was met there. */
static void add_step(const struct check *check, enum route_step step, struct text *text)
{
	const struct route *route = &check->route;

	if (step == ROUTE_CONNECT && *route->address) {
		text_printf(text, ", ");
		text_escaped(text, route->address);
	}
	if (step == ROUTE_TLS && *route->tls_version) {
		text_printf(text, ", ");
		text_escaped(text, route->tls_version);
	}
	if (step == ROUTE_TLS && route->certificate_end != 0) {
		text_printf(text, ", certificate until ");
		add_end(text, route->certificate_end,
		        fleet_wall_ns(check->self->fleet) / SECOND_NS);
	}
	if (step == ROUTE_ANSWER && route->http)
		text_printf(text, ", %s", route->http);
}

static bool is_refusal(const struct failure *failure)
{
	return failure && (failure->cause == FAILURE_CREDENTIAL || failure->http_status == 400);
}

/* That of the answer shows whether the token was accepted, if it says anything about that. */
static void tell_route(struct check *check, const struct failure *failure)
{
	static const char *const names[ROUTE_STEPS] = {
		[ROUTE_RESOLVE] = "resolve",
		[ROUTE_CONNECT] = "connect",
		[ROUTE_TLS] = "tls",
		[ROUTE_ANSWER] = "authenticate",
	};
	const struct route *route = &check->route;
	struct text text;

	if (check->told || !route->made)
		return;
	check->told = true;
	text_init(&text, 1 << 16);
	if (*route->proxy) {
		text_printf(&text, "proxy: ");
		text_escaped(&text, route->proxy);
		text_printf(&text, "%s\n", route->tls ? "" : ", which can read the token");
	}
	for (enum route_step step = 0; step < ROUTE_STEPS && step <= route->reached; step++) {
		bool failed =
			step == route->reached || (step == ROUTE_ANSWER && is_refusal(failure));

		if (step == ROUTE_TLS && !route->tls)
			continue;
		if (step == ROUTE_ANSWER && failure && !failed)
			continue;
		text_printf(&text, "%s: %s%.3f s", names[step], failed ? "failed after " : "",
		            (double)route->step_us[step] / 1e6);
		if (!failed)
			add_step(check, step, &text);
		text_printf(&text, "\n");
	}
	print(&text);
}

static void wipe_bar(struct check *check)
{
	if (check->drawn)
		fputs("\r\033[K", stdout);
	check->drawn = false;
}

static void draw_bar(struct check *check, int64_t total)
{
	struct fleet_health health;
	int filled;

	fleet_health(check->self->fleet, &health);
	if (!check->terminal || total < (int64_t)health.agents)
		return;
	filled = total > 0 ? (int)((int64_t)health.agents * BAR_COLUMNS / total) : BAR_COLUMNS;
	printf("\rlist: [%.*s%*s] %zu of %" PRId64 " agents", filled,
	       "##############################", BAR_COLUMNS - filled, "", health.agents, total);
	fflush(stdout);
	check->drawn = true;
}

void check_arrived(struct check *check, const struct route *route, const struct failure *failure,
                   int64_t total)
{
	if (route->made && !check->told)
		check->route = *route;
	if (failure)
		return; /* it may be tried again */
	wipe_bar(check);
	tell_route(check, NULL);
	draw_bar(check, total);
}

static void tell_list(const struct check *check, double seconds)
{
	struct fleet_health health;

	fleet_health(check->self->fleet, &health);
	printf("list: %.3f s, %zu agent%s on %u page%s, %sas many as the %s counts\n", seconds,
	       health.agents, health.agents == 1 ? "" : "s", health.pages,
	       health.pages == 1 ? "" : "s", health.verified ? "" : "not ",
	       source_is_file(check->self->options->source) ? "file" : "API");
}

/* The way to the API, up to where it ended; or, if it did not, the list. */
static void tell_failed_step(struct check *check, double seconds)
{
	const struct failure *failure = fleet_last_failure(check->self->fleet);
	bool listed = check->told;

	tell_route(check, failure);
	if (listed || (check->route.reached == ROUTE_STEPS && !is_refusal(failure)))
		printf("list: failed after %.3f s\n", seconds);
}

int check_run(struct check *check, const struct probe *probe)
{
	struct timespec began, ended;
	struct record *record;
	uint64_t cursor = 0;
	double seconds;
	int err;

	tell_token(check);
	tell_ca(check);
	clock_gettime(CLOCK_BOOTTIME, &began);
	do {
		err = probe_next_agent(probe, &cursor, &record);
	} while (err == 0 && record);
	clock_gettime(CLOCK_BOOTTIME, &ended);
	seconds = (double)(ended.tv_sec - began.tv_sec) +
	          (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
	wipe_bar(check);
	if (err == 0)
		tell_list(check, seconds);
	else if (err != -EINTR)
		tell_failed_step(check, seconds);
	return err;
}
