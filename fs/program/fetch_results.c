/* SPDX-License-Identifier: MIT */
#include "fs/program/fetch_results.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/http/client.h"
#include "fs/program/log.h"
#include "fs/program/options.h"
#include "fs/program/source.h"
#include "fs/tree/names.h"

/* Logs the note of a result, and that the API (or file) works again. While the API fails, logs each
 * cause once as a warning; any other failure is logged with -d only. Before the mount only keeps
 * the note. */
static void fetch_results_log(struct fetch_results *results, const struct fetch *fetch)
{
	bool failing_before = results->health_before.failing;
	bool file = source_is_file(results->options->source);
	unsigned int cause = 1u << fetch->failure.cause;
	struct fleet_health health;

	if (!results->mounted) {
		if (fetch->note[0])
			memcpy(results->kept_note, fetch->note, sizeof(results->kept_note));
		return;
	}
	if (fetch->note[0])
		log_info("%s", fetch->note);
	fleet_health(results->fleet, &health);
	if (!health.failing && failing_before)
		log_info(file ? "the file can be used again" : "the API responds again");
	if (!health.failing)
		results->logged_causes = 0;
	if (!fetch->failure.message[0])
		return;
	if (health.failing && !(results->logged_causes & cause))
		log_warning("%s: %s: %s", file ? "the file cannot be used" : "the API fails",
		            fetch->failure.message, failure_remedy(&fetch->failure));
	else
		log_debug("page %u failed: %s", fetch->number, fetch->failure.message);
	if (health.failing)
		results->logged_causes |= cause;
}

/* Warns before and when the token expires, since the mount then fails. */
static void fetch_results_warn_of_expiry(struct fetch_results *results)
{
	const struct status *status = results->status;
	int64_t now_s = fleet_wall_ns(results->fleet) / 1000000000;
	int64_t expiry_s = status->token_expiry;
	char distance[64];

	if (!results->mounted || !expiry_due(&results->expiry, expiry_s, now_s))
		return;
	expiry_distance(expiry_s, now_s, distance, sizeof(distance));
	log_warning("the token from %s %s %s: replace it%s", status->token_source,
	            expiry_s > now_s ? "expires" : "expired", distance,
	            *status->token_source == '$' ? " and mount again" : "");
}

/* Logs the dropped elements of a page, or keeps those of the first page that has any. */
static void fetch_results_note_malformed(struct fetch_results *results, unsigned int number,
                                         const struct page *page)
{
	unsigned int shown = source_is_file(results->options->source) ? 0 : number;

	if (page->fault_count == 0)
		return;
	if (results->mounted) {
		malformed_log(&results->malformed, page->faults, page->fault_count, shown);
	} else if (results->kept_fault_count == 0) {
		memcpy(results->kept_faults, page->faults, sizeof(results->kept_faults));
		results->kept_fault_count = page->fault_count;
		results->kept_fault_page = shown;
	}
}

/* Takes over a result and begins to ingest its page. Returns as fleet_ingest() does; 0 if there is
 * no page. */
static int fetch_results_start(struct fetch_results *results, struct fetch *fetch)
{
	struct page *page = fetch->page;

	results->fetch = fetch;
	results->has_page = page;
	results->is_outdated = page && page->old;
	results->total_count = page ? page->total_count : AGENT_ABSENT;
	fleet_health(results->fleet, &results->health_before);
	results->status->http_requests += fetch->requests;
	results->status->http_bytes += fetch->bytes;
	results->status->token_expiry = fetch->token_expiry;
	fetch->page = NULL;
	if (page)
		fetch_results_note_malformed(results, fetch->number, page);
	return page ? fleet_ingest(results->fleet, fetch->number, page) : 0;
}

/* Fills in the failure of a valid page that the cache rejected; url, status and time are set
 * already. */
static void fetch_results_fill_rejection(const struct fetch_results *results, int err,
                                         struct failure *failure)
{
	failure->remedy = NULL;
	if (err == -ENOMEM) {
		failure->cause = FAILURE_MEMORY;
		snprintf(failure->message, sizeof(failure->message), "out of memory");
		return;
	}
	failure->cause = FAILURE_OVERSIZED;
	snprintf(failure->message, sizeof(failure->message),
	         "more agents than fleetfs keeps (%d, or %" PRIu64 " MiB of data)",
	         FLEET_MAX_AGENTS, FLEET_MAX_BYTES >> 20);
	failure->remedy = source_is_file(results->options->source)
	                          ? "give a list of fewer agents"
	                          : "use a token that sees fewer agents";
}

/* Reports a result once the cache has taken or rejected (err < 0) all of it. */
static void fetch_results_finish(struct fetch_results *results, int err)
{
	struct fetch *fetch = results->fetch;
	bool has_page = results->has_page && err == 0;

	results->fetch = NULL;
	if (err < 0)
		fetch_results_fill_rejection(results, err, &fetch->failure);
	if (!has_page || results->is_outdated)
		fleet_failed(results->fleet, fetch->number, &fetch->failure);
	fetch_results_log(results, fetch);
	if (results->check)
		check_take_result(results->check, &fetch->trace, has_page ? NULL : &fetch->failure,
		                  results->total_count);
	fetch_free(fetch);
	fetch_results_warn_of_expiry(results);
}

bool fetch_results_take(struct fetch_results *results)
{
	struct fetch *fetch;
	int err;

	if (results->fetch) {
		err = fleet_ingest_more(results->fleet);
	} else {
		fetch = client_take(results->client);
		if (!fetch)
			return false;
		err = fetch_results_start(results, fetch);
	}
	if (err != -EAGAIN)
		fetch_results_finish(results, err);
	return results->fetch;
}

/* Copies the name of an agent without secrets: an agent may be named after the token. */
static void fetch_results_redact(const struct fetch_results *results, const char *name,
                                 char ret_name[static NAME_BYTES])
{
	snprintf(ret_name, NAME_BYTES, "%s", name);
	client_redact(results->client, ret_name, NAME_BYTES);
}

void fetch_results_note_duplicate(struct fetch_results *results, const char *name)
{
	struct text *kept = &results->kept_duplicates;
	char redacted[NAME_BYTES];

	if (!results->mounted) {
		if (kept->length == 0)
			text_init(kept, (size_t)MALFORMED_MAX_LOGGED * NAME_BYTES);
		text_bytes(kept, name, strlen(name) + 1);
		return;
	}
	/* Every refresh reports the same duplicates. Only names that are logged are redacted, since
	 * the FUSE thread waits for that. */
	if (!malformed_note_duplicate(&results->malformed, name))
		return;
	fetch_results_redact(results, name, redacted);
	malformed_log_duplicate(&results->malformed, redacted);
}

void fetch_results_set_mounted(struct fetch_results *results)
{
	const struct text *kept = &results->kept_duplicates;

	results->mounted = true;
	if (*results->kept_note)
		log_info("%s", results->kept_note);
	malformed_log(&results->malformed, results->kept_faults, results->kept_fault_count,
	              results->kept_fault_page);
	for (size_t at = 0; at < kept->length; at += strlen(kept->bytes + at) + 1)
		fetch_results_note_duplicate(results, kept->bytes + at);
	text_done(&results->kept_duplicates);
	fetch_results_warn_of_expiry(results);
}

void fetch_results_print_notes(const struct fetch_results *results)
{
	char text[512], name[NAME_BYTES];

	if (*results->kept_note)
		printf("%s\n", results->kept_note);
	if (results->kept_fault_count > 0) {
		malformed_describe(&results->kept_faults[0], results->kept_fault_page, text,
		                   sizeof(text));
		printf("%s\n", text);
	}
	if (results->kept_duplicates.length > 0) {
		fetch_results_redact(results, results->kept_duplicates.bytes, name);
		printf("agent %s is listed twice: the second is dropped\n", name);
	}
}

void fetch_results_done(struct fetch_results *results)
{
	fetch_free(results->fetch);
	text_done(&results->kept_duplicates);
}
