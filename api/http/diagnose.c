/* SPDX-License-Identifier: MIT */
#include "api/http/diagnose.h"

#include "api/http/diagnose_status.h"
#include "api/http/diagnose_transport.h"
#include "api/json/decode.h"

/* Whether a response with this status is rejected. 200 is usable, and so is 304 if a condition was
 * sent. 0 (no response) and interim statuses are left to later checks, except 101, which no other
 * response follows. */
static bool is_unusable_status(const struct request *request, long status)
{
	if (status == 304)
		return !request->conditional;
	return status == 101 || status > 200;
}

bool diagnose_failure(const struct request *request, const struct request_settings *settings,
                      CURLcode code, long status, const struct trace *trace,
                      struct failure *failure)
{
	enum response_stop stop = request->response.stop;

	if (stop == RESPONSE_NO_MEMORY)
		failure_set(failure, FAILURE_MEMORY, "out of memory");
	else if (stop == RESPONSE_HEADERS_TOO_LARGE)
		failure_set(failure, FAILURE_OVERSIZED,
		            "the response's headers are larger than %u bytes",
		            RESPONSE_MAX_HEADER_BYTES);
	else if (is_unusable_status(request, status))
		diagnose_status(request, settings, status, failure);
	else if (stop == RESPONSE_BODY_TOO_LARGE)
		failure_set(failure, FAILURE_OVERSIZED, "the response is larger than %u bytes",
		            DECODE_MAX_BYTES);
	else if (code != CURLE_OK)
		diagnose_transport(request, settings, code, trace, failure);
	else if (!headers_are_complete(&request->response.headers))
		failure_set(failure, FAILURE_TRUNCATED,
		            "the connection ended within the response's headers");
	else
		return false;
	return true;
}

bool diagnose_age(const struct request_settings *settings, int64_t age_ms, struct failure *failure)
{
	/* A response of age 0 is fresh even if the ttl is 0. */
	if (age_ms == 0 || age_ms < settings->ttl_ms)
		return false;
	failure_set(failure, FAILURE_OLD,
	            "the response is %.10g s old: a cache in front of the API keeps it for longer "
	            "than %.10g s",
	            (double)age_ms / 1e3, (double)settings->ttl_ms / 1e3);
	return true;
}
