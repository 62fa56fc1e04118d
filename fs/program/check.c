/* SPDX-License-Identifier: MIT */
#include "fs/program/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api/http/client.h"
#include "api/model/clock.h"
#include "cache/fleet.h"
#include "cache/record.h"
#include "fs/program/ca.h"
#include "fs/program/expiry.h"
#include "fs/program/options.h"
#include "fs/program/probe.h"
#include "fs/program/source.h"
#include "fs/tree/text.h"

#define BAR_COLUMNS    30
#define MAX_LINE_BYTES (1 << 16)
#define SECOND_NS      INT64_C(1000000000)

void check_init(struct check *check, const struct options *options, const struct status *status)
{
	*check = (struct check){
		.options = options, .status = status, .is_terminal = isatty(STDOUT_FILENO)};
}

/* Prints a text, and frees it. */
static void check_print(struct text *text)
{
	if (text_error(text) == 0)
		fwrite(text->bytes, 1, text->length, stdout);
	fflush(stdout);
	text_done(text);
}

/* Appends when something expires: "2027-01-31T12:00:00.000Z, in 67 days". Times are in s. */
static void check_add_expiry(struct text *text, int64_t expiry, int64_t now)
{
	char distance[64];

	expiry_distance(expiry, now, distance, sizeof(distance));
	text_time(text, expiry * SECOND_NS);
	text_printf(text, ", %s", distance);
}

static void check_print_token(const struct check *check)
{
	int64_t now = fleet_wall_ns(check->status->fleet) / SECOND_NS;
	int64_t expiry = check->status->token_expiry;
	struct text text;

	if (!check->status->token_kind)
		return; /* a file needs no token */
	text_init(&text, MAX_LINE_BYTES);
	text_printf(&text, "token: %s from ", check->status->token_kind);
	text_escaped(&text, check->status->token_source);
	if (expiry != 0) {
		text_printf(&text, ", expire%s ", expiry > now ? "s" : "d");
		check_add_expiry(&text, expiry, now);
	}
	text_printf(&text, "\n");
	check_print(&text);
}

static void check_print_ca(const struct check *check)
{
	struct text text;
	struct ca_system system;

	if (!source_is_https(check->options->source))
		return;
	text_init(&text, MAX_LINE_BYTES);
	client_system_ca(&system.bundle, &system.directory);
	ca_text(check->options, &system, &text);
	check_print(&text);
}

/* Appends the details of a step that succeeded. */
static void check_add_step(const struct check *check, enum trace_step step, struct text *text)
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
		check_add_expiry(text, trace->certificate_end,
		                 fleet_wall_ns(check->status->fleet) / SECOND_NS);
	}
	if (step == TRACE_RESPONSE && trace->http)
		text_printf(text, ", %s", trace->http);
}

/* Whether a failure is a response that rejects the request or its credential. failure may be NULL.
 */
static bool check_is_rejection(const struct failure *failure)
{
	return failure && (failure->cause == FAILURE_CREDENTIAL || failure->http_status == 400);
}

/*
 * Prints the steps of the first connection, up to the step that failed. The step `authenticate` is
 * printed if no response arrived, or if the response is a page or a rejection, which shows whether
 * the token was accepted. It is not printed for another response, such as 500.
 */
static void check_print_connection(struct check *check, const struct failure *failure)
{
	static const char *const names[TRACE_STEPS] = {
		[TRACE_RESOLVE] = "resolve",
		[TRACE_CONNECT] = "connect",
		[TRACE_TLS] = "tls",
		[TRACE_RESPONSE] = "authenticate",
	};
	const struct trace *trace = &check->trace;
	struct text text;

	if (check->connection_printed || !trace->is_new_connection)
		return;
	check->connection_printed = true;
	text_init(&text, MAX_LINE_BYTES);
	if (*trace->proxy) {
		text_printf(&text, "proxy: ");
		text_escaped(&text, trace->proxy);
		text_printf(&text, "%s\n", trace->tls ? "" : ", which can read the token");
	}
	for (enum trace_step step = 0; step < TRACE_STEPS && step <= trace->reached; step++) {
		bool failed = step == trace->reached ||
		              (step == TRACE_RESPONSE && check_is_rejection(failure));

		if (step == TRACE_TLS && !trace->tls)
			continue;
		if (step == TRACE_RESPONSE && failure && !failed)
			continue;
		text_printf(&text, "%s: %s%.3f s", names[step], failed ? "failed after " : "",
		            (double)trace->step_us[step] / 1e6);
		if (!failed)
			check_add_step(check, step, &text);
		text_printf(&text, "\n");
	}
	check_print(&text);
}

static void check_erase_bar(struct check *check)
{
	if (check->bar_drawn)
		fputs("\r\033[K", stdout);
	check->bar_drawn = false;
}

static void check_draw_bar(struct check *check, int64_t total_count)
{
	struct fleet_health health;
	int filled;

	fleet_health(check->status->fleet, &health);
	if (!check->is_terminal || total_count < (int64_t)health.agents)
		return;
	filled = total_count > 0 ? (int)((int64_t)health.agents * BAR_COLUMNS / total_count)
	                         : BAR_COLUMNS;
	printf("\rlist: [%.*s%*s] %zu of %" PRId64 " agents", filled,
	       "##############################", BAR_COLUMNS - filled, "", health.agents,
	       total_count);
	fflush(stdout);
	check->bar_drawn = true;
}

void check_take_result(struct check *check, const struct trace *trace,
                       const struct failure *failure, int64_t total_count)
{
	if (trace->is_new_connection && !check->connection_printed)
		check->trace = *trace;
	if (failure)
		return; /* a retry may succeed; else check_run() prints the failed step */
	check_erase_bar(check);
	check_print_connection(check, NULL);
	check_draw_bar(check, total_count);
}

static void check_print_list(const struct check *check, double seconds)
{
	struct fleet_health health;

	fleet_health(check->status->fleet, &health);
	printf("list: %.3f s, %zu agent%s on %u page%s, %sas many as the %s counts\n", seconds,
	       health.agents, health.agents == 1 ? "" : "s", health.pages,
	       health.pages == 1 ? "" : "s", health.verified ? "" : "not ",
	       source_is_file(check->options->source) ? "file" : "API");
}

/* Prints the steps up to the one that failed. The step `list` failed if an earlier response showed
 * that connection and token work, or if this failure came after the connection and does not reject
 * the token. */
static void check_print_failed_step(struct check *check, double seconds)
{
	const struct failure *failure = fleet_last_failure(check->status->fleet);
	bool connected = check->connection_printed;

	check_print_connection(check, failure);
	if (connected || (check->trace.reached == TRACE_STEPS && !check_is_rejection(failure)))
		printf("list: failed after %.3f s\n", seconds);
}

int check_run(struct check *check, const struct probe *probe)
{
	int64_t began_ns;
	struct record *record;
	uint64_t cursor = 0;
	double seconds;
	int err;

	check_print_token(check);
	check_print_ca(check);
	began_ns = clock_ns(CLOCK_BOOTTIME);
	do {
		err = probe_next_agent(probe, &cursor, &record);
	} while (err == 0 && record);
	seconds = (double)(clock_ns(CLOCK_BOOTTIME) - began_ns) / 1e9;
	check_erase_bar(check);
	if (err == 0)
		check_print_list(check, seconds);
	else if (err != -EINTR)
		check_print_failed_step(check, seconds);
	return err;
}
