/* SPDX-License-Identifier: MIT */
#include "api/http/request_result.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "api/http/diagnose.h"
#include "api/http/request_trace.h"
#include "api/http/split.h"
#include "api/json/decode.h"
#include "api/model/clock.h"

static void result_begin_failure(const struct request_settings *settings, struct fetch_job *job)
{
	const struct split_part part = split_part(job, settings->per_page);
	struct failure *failure = &job->fetch->failure;

	*failure = (struct failure){
		.retry_after_ms = -1,
		.at_ns = clock_ns(CLOCK_REALTIME),
	};
	snprintf(failure->url, sizeof(failure->url), REQUEST_URL_FORMAT, settings->base,
	         part.number, part.size);
}

void request_result_no_memory(const struct request_settings *settings, struct fetch_job *job)
{
	result_begin_failure(settings, job);
	failure_set(&job->fetch->failure, FAILURE_MEMORY, "out of memory");
}

/* Returns the age of the response at the time of the call. With an Age, the upper bound includes
 * all time since the request was sent, and so the time that decoding took. */
static struct headers_age result_age(const struct request *request, const struct failure *failure)
{
	curl_off_t sent_us = 0; /* from the beginning until the request was sent */

	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	return headers_age(&request->response.headers, failure->at_ns / 1000000,
	                   (connection_elapsed_us(&request->connection) - sent_us) / 1000 + 1);
}

/* Corrects the failure of a compressed body that breaks off, which curl does not report. */
static void result_correct_truncated(const struct response *response, struct failure *failure)
{
	if (failure->cause != FAILURE_MALFORMED || !response->headers.encoded ||
	    !decode_breaks_off(response->body, response->body_bytes))
		return;
	failure->remedy = "try again; if it stays, ask the operator of the API: its compression is "
			  "faulty";
	failure_set(failure, FAILURE_TRUNCATED,
	            "the compressed response breaks off after %zu decompressed bytes",
	            response->body_bytes);
}

/* Makes the page of a response with status 200 or 304. Returns 0, or -errno and a failure. */
static int result_decode(const struct response *response, long status, struct page **ret_page,
                         struct failure *failure)
{
	int result;

	if (status != 304) {
		result = decode_page(response->body, response->body_bytes, ret_page, failure);
		if (result < 0)
			result_correct_truncated(response, failure);
		return result;
	}
	*ret_page = calloc(1, sizeof(struct page));
	if (!*ret_page)
		return failure_set(failure, FAILURE_MEMORY, "out of memory");
	(*ret_page)->unchanged = true;
	(*ret_page)->total_count = AGENT_ABSENT;
	(*ret_page)->per_page = AGENT_ABSENT;
	return 0;
}

/* Sets the page; or the failure if the response is too old or no page; or both if the response is
 * older than the ttl but not too old to use. */
static void result_read_page(const struct request *request, const struct request_settings *settings,
                             long status, struct fetch *fetch)
{
	struct failure *failure = &fetch->failure;
	int64_t least_ms = result_age(request, failure).least_ms;
	bool old = diagnose_age(settings, least_ms, failure);

	if ((old && least_ms >= settings->ttl_ms + settings->stale_ms) ||
	    result_decode(&request->response, status, &fetch->page, failure) < 0)
		return;
	headers_validator(&request->response.headers, &fetch->page->validator);
	fetch->page->age_ms = result_age(request, failure).most_ms;
	fetch->page->old = old;
}

/* Notes whether requests for smaller parts of the page may succeed. They cannot if the body that
 * was too large is no page or has more agents than requested. A 413, which a cache or gateway sends
 * in place of the page, does not show that, so the parts are tried. */
static void result_note_size(const struct response *response, long status, struct split_part part,
                             struct fetch_job *job)
{
	job->divisible = status == 413;
	job->cut_hash = 0;
	if (status != 200 || response->stop != RESPONSE_BODY_TOO_LARGE)
		return;
	job->divisible = decode_is_truncated_page(response->body, response->body_bytes, part.size);
	job->cut_hash = XXH3_64bits(response->body, response->body_bytes);
}

/* Whether a wrong URL, token or team may be the reason for a rejection. */
static bool result_may_be_settings(const struct failure *failure)
{
	switch (failure->http_status) {
	case 400:
	case 403:
	case 404:
	case 405:
	case 410:
	case 422:
		return true;
	default:
		return failure->cause == FAILURE_REDIRECT;
	}
}

/* A later page is only requested after page 1 was read with the same settings; a part, only after
 * the response to the request of the whole page was too large. So a rejection probably has another
 * reason than a wrong setting, such as a firewall that rejects a label. */
static void result_correct_remedy(struct fetch_job *job)
{
	if ((job->fetch->number > 1 || job->split) && result_may_be_settings(&job->fetch->failure))
		job->fetch->failure.remedy =
			"if other pages can be read, ask the operator of the API, or of a firewall "
			"in front of it; otherwise check URL, token and team with --check";
}

void request_result_read(const struct request *request, const struct request_settings *settings,
                         CURLcode code, struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;
	struct failure *failure = &fetch->failure;
	curl_off_t body_bytes = 0;
	long header_bytes = 0;
	long status = 0;

	result_begin_failure(settings, job);
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
	curl_easy_getinfo(request->easy, CURLINFO_HEADER_SIZE, &header_bytes);
	fetch->bytes += (uint64_t)body_bytes + (uint64_t)header_bytes;
	failure->http_status = (uint16_t)status;
	request_trace_read(request, settings, &fetch->trace);

	if (!diagnose_failure(request, settings, code, status, &fetch->trace, failure))
		result_read_page(request, settings, status, fetch);
	result_note_size(&request->response, status, split_part(job, settings->per_page), job);
	result_correct_remedy(job);
}
