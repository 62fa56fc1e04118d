/* SPDX-License-Identifier: MIT */
#include "fs/intake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/client.h"
#include "fs/log.h"
#include "fs/options.h"
#include "fs/source.h"

static void log_change(struct intake *intake, const struct arrival *arrival)
{
	const struct fleet_health *before = &intake->health;
	bool file = source_is_file(intake->self->options->source);
	struct fleet_health after;

	if (!intake->mounted) {
		if (arrival->note[0])
			memcpy(intake->note, arrival->note, sizeof(intake->note));
		return;
	}
	if (arrival->note[0])
		log_info("%s", arrival->note);
	fleet_health(intake->fleet, &after);
	if (after.failing && !before->failing)
		log_warning("%s: %s: %s", file ? "the file cannot be used" : "the API fails",
		            arrival->failure.message, failure_remedy(&arrival->failure));
	else if (!after.failing && before->failing)
		log_info(file ? "the file can be used again" : "the API answers again");
	else if (arrival->failure.message[0])
		log_debug("page %u: %s", arrival->number, arrival->failure.message);
}

/* A token that ends takes the mount with it, and nobody who reads values looks at its expiry. */
static void warn_of_expiry(struct intake *intake)
{
	const struct self *self = intake->self;
	int64_t now = fleet_wall_ns(intake->fleet) / 1000000000;
	int64_t end = self->token_expiry;
	char distance[64];

	if (!intake->mounted || !expiry_due(&intake->expiry, end, now))
		return;
	expiry_distance(end, now, distance, sizeof(distance));
	log_warning("the token of %s %s %s: put a new one in its place%s", self->token_source,
	            end > now ? "expires" : "expired", distance,
	            *self->token_source == '$' ? " and mount again" : "");
}

/* Before the mount there is no log. The dropped elements of the first page that has any are kept,
 * for intake_mounted() to log and for --check to print. */
static void intake_note_malformed(struct intake *intake, unsigned int number,
                                  const struct page *page)
{
	unsigned int shown = source_is_file(intake->self->options->source) ? 0 : number;

	if (page->fault_count == 0)
		return;
	if (intake->mounted) {
		malformed_log(&intake->malformed, page->faults, page->fault_count, shown);
	} else if (intake->early_count == 0) {
		memcpy(intake->early, page->faults, sizeof(intake->early));
		intake->early_count = page->fault_count;
		intake->early_page = shown;
	}
}

/* 0, -EAGAIN: it is being taken in, or -errno. */
static int begin(struct intake *intake, struct arrival *arrival)
{
	struct page *page = arrival->page;

	intake->arrival = arrival;
	intake->good = page;
	intake->old = page && page->old;
	intake->total = page ? page->total_count : AGENT_ABSENT;
	fleet_health(intake->fleet, &intake->health);
	intake->self->http_requests += arrival->requests;
	intake->self->http_bytes += arrival->bytes;
	intake->self->token_expiry = arrival->token_expiry;
	arrival->page = NULL;
	if (page)
		intake_note_malformed(intake, arrival->number, page);
	return page ? fleet_arrived(intake->fleet, arrival->number, page) : 0;
}

/* Why an answer that came whole is of no use all the same. What was asked stands there already. */
static void refuse(struct intake *intake, struct failure *failure, int err)
{
	intake->good = false;
	failure->remedy = NULL;
	if (err == -ENOMEM) {
		failure->cause = FAILURE_MEMORY;
		snprintf(failure->message, sizeof(failure->message), "out of memory");
		return;
	}
	failure->cause = FAILURE_OVERSIZED;
	snprintf(failure->message, sizeof(failure->message),
	         "more agents than fleetfs keeps (%d, or %d MiB of what they say)",
	         FLEET_MAX_AGENTS, (int)(FLEET_MAX_BYTES >> 20));
	failure->remedy = source_is_file(intake->self->options->source)
	                          ? "give a list of fewer agents"
	                          : "use a token that sees fewer agents";
}

static void end(struct intake *intake, int err)
{
	struct arrival *arrival = intake->arrival;
	struct failure *failure = &arrival->failure;

	intake->arrival = NULL;
	if (err < 0)
		refuse(intake, failure, err);
	if (!intake->good || intake->old)
		fleet_failed(intake->fleet, arrival->number, failure);
	log_change(intake, arrival);
	if (intake->check)
		check_arrived(intake->check, &arrival->route, intake->good ? NULL : failure,
		              intake->total);
	arrival_free(arrival);
	warn_of_expiry(intake);
}

bool intake_one(struct intake *intake)
{
	struct arrival *arrival;
	int err;

	if (intake->arrival) {
		err = fleet_arrive_on(intake->fleet);
	} else {
		arrival = client_take(intake->client);
		if (!arrival)
			return false;
		err = begin(intake, arrival);
	}
	if (err != -EAGAIN)
		end(intake, err);
	return intake->arrival;
}

void intake_mounted(struct intake *intake)
{
	intake->mounted = true;
	if (*intake->note)
		log_info("%s", intake->note);
	malformed_log(&intake->malformed, intake->early, intake->early_count, intake->early_page);
	warn_of_expiry(intake);
}

void intake_print_notes(const struct intake *intake)
{
	char text[512];

	if (*intake->note)
		printf("%s\n", intake->note);
	if (intake->early_count == 0)
		return;
	malformed_describe(&intake->early[0], intake->early_page, text, sizeof(text));
	printf("%s\n", text);
}

void intake_done(struct intake *intake)
{
	arrival_free(intake->arrival);
}
