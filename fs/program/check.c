/* SPDX-License-Identifier: MIT */
#include "fs/program/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "api/http/client.h"
#include "cache/fleet.h"
#include "fs/program/ca.h"
#include "fs/program/expiry.h"
#include "fs/program/probe.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

#define BAR_COLUMNS 30
#define SECOND_NS   INT64_C(1000000000)

void check_init(struct check *check, const struct options *options, const struct status *status)
{
	*check = (struct check){
		.options = options, .status = status, .terminal = isatty(STDOUT_FILENO)};
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
	int64_t now = fleet_wall_ns(check->status->fleet) / SECOND_NS;
	int64_t end = check->status->token_expiry;
	struct text text;

	if (!check->status->token_kind)
		return; /* a file needs none */
	text_init(&text, 1 << 16);
	text_printf(&text, "token: %s from ", check->status->token_kind);
	text_escaped(&text, check->status->token_source);
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
	struct ca_system system;

	if (!source_is_https(check->options->source))
		return;
	text_init(&text, 1 << 16);
	client_system_ca(&system.bundle, &system.directory);
	ca_text(check->options, &system, &text);
	print(&text);
}

/* A step that succeeded, and what was met there. */
static void add_step(const struct check *check, enum trace_step step, struct text *text)
{
	const struct trace *trace = &check->trace;

	if (step == TRACE_CONNECT && *trace->address) {
		text_printf(text, ", ");
		text_escaped(text, trace->address);
	}
	if (step == TRACE_TLS && *trace->tls_version) {
		text_printf(text, ", ");
		text_escaped(text, trace->tls_version);
	}
	if (step == TRACE_TLS && trace->certificate_end != 0) {
		text_printf(text, ", certificate until ");
		add_end(text, trace->certificate_end,
		        fleet_wall_ns(check->status->fleet) / SECOND_NS);
	}
	if (step == TRACE_ANSWER && trace->http)
		text_printf(text, ", %s", trace->http);
}

static bool is_refusal(const struct failure *failure)
{
	return failure && (failure->cause == FAILURE_CREDENTIAL || failure->http_status == 400);
}

/* That of the answer shows whether the token was accepted, if it says anything about that. */
static void tell_trace(struct check *check, const struct failure *failure)
{
	static const char *const names[TRACE_STEPS] = {
		[TRACE_RESOLVE] = "resolve",
		[TRACE_CONNECT] = "connect",
		[TRACE_TLS] = "tls",
		[TRACE_ANSWER] = "authenticate",
	};
	const struct trace *trace = &check->trace;
	struct text text;

	if (check->told || !trace->made)
		return;
	check->told = true;
	text_init(&text, 1 << 16);
	if (*trace->proxy) {
		text_printf(&text, "proxy: ");
		text_escaped(&text, trace->proxy);
		text_printf(&text, "%s\n", trace->tls ? "" : ", which can read the token");
	}
	for (enum trace_step step = 0; step < TRACE_STEPS && step <= trace->reached; step++) {
		bool failed =
			step == trace->reached || (step == TRACE_ANSWER && is_refusal(failure));

		if (step == TRACE_TLS && !trace->tls)
			continue;
		if (step == TRACE_ANSWER && failure && !failed)
			continue;
		text_printf(&text, "%s: %s%.3f s", names[step], failed ? "failed after " : "",
		            (double)trace->step_us[step] / 1e6);
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

	fleet_health(check->status->fleet, &health);
	if (!check->terminal || total < (int64_t)health.agents)
		return;
	filled = total > 0 ? (int)((int64_t)health.agents * BAR_COLUMNS / total) : BAR_COLUMNS;
	printf("\rlist: [%.*s%*s] %zu of %" PRId64 " agents", filled,
	       "##############################", BAR_COLUMNS - filled, "", health.agents, total);
	fflush(stdout);
	check->drawn = true;
}

void check_arrived(struct check *check, const struct trace *trace, const struct failure *failure,
                   int64_t total)
{
	if (trace->made && !check->told)
		check->trace = *trace;
	if (failure)
		return; /* it may be tried again */
	wipe_bar(check);
	tell_trace(check, NULL);
	draw_bar(check, total);
}

static void tell_list(const struct check *check, double seconds)
{
	struct fleet_health health;

	fleet_health(check->status->fleet, &health);
	printf("list: %.3f s, %zu agent%s on %u page%s, %sas many as the %s counts\n", seconds,
	       health.agents, health.agents == 1 ? "" : "s", health.pages,
	       health.pages == 1 ? "" : "s", health.verified ? "" : "not ",
	       source_is_file(check->options->source) ? "file" : "API");
}

/* The way to the API, up to where it ended; or, if it did not, the list. */
static void tell_failed_step(struct check *check, double seconds)
{
	const struct failure *failure = fleet_last_failure(check->status->fleet);
	bool listed = check->told;

	tell_trace(check, failure);
	if (listed || (check->trace.reached == TRACE_STEPS && !is_refusal(failure)))
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
