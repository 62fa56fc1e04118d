/* SPDX-License-Identifier: MIT */
#include "fs/program/fetch_results.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/http/client.h"
#include "fs/program/log.h"
#include "fs/program/options.h"
#include "fs/program/source.h"

static void log_change(struct fetch_results *fetch_results, const struct fetch *fetch)
{
	const struct fleet_health *before = &fetch_results->health;
	bool file = source_is_file(fetch_results->options->source);
	struct fleet_health after;

	if (!fetch_results->mounted) {
		if (fetch->note[0])
			memcpy(fetch_results->note, fetch->note, sizeof(fetch_results->note));
		return;
	}
	if (fetch->note[0])
		log_info("%s", fetch->note);
	fleet_health(fetch_results->fleet, &after);
	if (after.failing && !before->failing)
		log_warning("%s: %s: %s", file ? "the file cannot be used" : "the API fails",
		            fetch->failure.message, failure_remedy(&fetch->failure));
	else if (!after.failing && before->failing)
		log_info(file ? "the file can be used again" : "the API answers again");
	else if (fetch->failure.message[0])
		log_debug("page %u: %s", fetch->number, fetch->failure.message);
}

/* A token that ends takes the mount with it, and nobody who reads values looks at its expiry. */
static void warn_of_expiry(struct fetch_results *fetch_results)
{
	const struct status *status = fetch_results->status;
	int64_t now = fleet_wall_ns(fetch_results->fleet) / 1000000000;
	int64_t end = status->token_expiry;
	char distance[64];

	if (!fetch_results->mounted || !expiry_due(&fetch_results->expiry, end, now))
		return;
	expiry_distance(end, now, distance, sizeof(distance));
	log_warning("the token of %s %s %s: put a new one in its place%s", status->token_source,
	            end > now ? "expires" : "expired", distance,
	            *status->token_source == '$' ? " and mount again" : "");
}

/* Before the mount there is no log. The dropped elements of the first page that has any are kept,
 * for intake_mounted() to log and for --check to print. */
static void fetch_results_note_malformed(struct fetch_results *fetch_results, unsigned int number,
                                         const struct page *page)
{
	unsigned int shown = source_is_file(fetch_results->options->source) ? 0 : number;

	if (page->fault_count == 0)
		return;
	if (fetch_results->mounted) {
		malformed_log(&fetch_results->malformed, page->faults, page->fault_count, shown);
	} else if (fetch_results->early_count == 0) {
		memcpy(fetch_results->early, page->faults, sizeof(fetch_results->early));
		fetch_results->early_count = page->fault_count;
		fetch_results->early_page = shown;
	}
}

/* 0, -EAGAIN: it is being taken in, or -errno. */
static int begin(struct fetch_results *fetch_results, struct fetch *fetch)
{
	struct page *page = fetch->page;

	fetch_results->fetch = fetch;
	fetch_results->good = page;
	fetch_results->old = page && page->old;
	fetch_results->total = page ? page->total_count : AGENT_ABSENT;
	fleet_health(fetch_results->fleet, &fetch_results->health);
	fetch_results->status->http_requests += fetch->requests;
	fetch_results->status->http_bytes += fetch->bytes;
	fetch_results->status->token_expiry = fetch->token_expiry;
	fetch->page = NULL;
	if (page)
		fetch_results_note_malformed(fetch_results, fetch->number, page);
	return page ? fleet_arrived(fetch_results->fleet, fetch->number, page) : 0;
}

/* Why an answer that came whole is of no use all the same. What was asked stands there already. */
static void refuse(struct fetch_results *fetch_results, struct failure *failure, int err)
{
	fetch_results->good = false;
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
	failure->remedy = source_is_file(fetch_results->options->source)
	                          ? "give a list of fewer agents"
	                          : "use a token that sees fewer agents";
}

static void end(struct fetch_results *fetch_results, int err)
{
	struct fetch *fetch = fetch_results->fetch;
	struct failure *failure = &fetch->failure;

	fetch_results->fetch = NULL;
	if (err < 0)
		refuse(fetch_results, failure, err);
	if (!fetch_results->good || fetch_results->old)
		fleet_failed(fetch_results->fleet, fetch->number, failure);
	log_change(fetch_results, fetch);
	if (fetch_results->check)
		check_arrived(fetch_results->check, &fetch->trace,
		              fetch_results->good ? NULL : failure, fetch_results->total);
	fetch_free(fetch);
	warn_of_expiry(fetch_results);
}

bool fetch_results_take(struct fetch_results *fetch_results)
{
	struct fetch *fetch;
	int err;

	if (fetch_results->fetch) {
		err = fleet_arrive_on(fetch_results->fleet);
	} else {
		fetch = client_take(fetch_results->client);
		if (!fetch)
			return false;
		err = begin(fetch_results, fetch);
	}
	if (err != -EAGAIN)
		end(fetch_results, err);
	return fetch_results->fetch;
}

void fetch_results_mounted(struct fetch_results *fetch_results)
{
	fetch_results->mounted = true;
	if (*fetch_results->note)
		log_info("%s", fetch_results->note);
	malformed_log(&fetch_results->malformed, fetch_results->early, fetch_results->early_count,
	              fetch_results->early_page);
	warn_of_expiry(fetch_results);
}

void fetch_results_print_notes(const struct fetch_results *fetch_results)
{
	char text[512];

	if (*fetch_results->note)
		printf("%s\n", fetch_results->note);
	if (fetch_results->early_count == 0)
		return;
	malformed_describe(&fetch_results->early[0], fetch_results->early_page, text, sizeof(text));
	printf("%s\n", text);
}

void fetch_results_done(struct fetch_results *fetch_results)
{
	fetch_free(fetch_results->fetch);
}
