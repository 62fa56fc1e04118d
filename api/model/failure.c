/* SPDX-License-Identifier: MIT */
#include "api/model/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	int error;
	bool general;
	const char *word;
	const char *remedy;
} causes[FAILURE_CAUSES] = {
	[FAILURE_CREDENTIAL] = {EACCES, true, "credential",
                                "check the token: fleetfs --check names its source"},
	[FAILURE_REQUEST] = {EINVAL, true, "request",
                             "check the URL (the API's base, without /agents) and the team"},
	[FAILURE_BUSY] = {EBUSY, true, "busy",
                          "try again later, or raise ttl to send fewer requests"},
	[FAILURE_SERVER] = {EREMOTEIO, true, "server",
                            "try again later, or ask the operator of the API"},
	[FAILURE_REDIRECT] = {EREMOTEIO, true, "redirect",
                              "give the URL that it points to, without /agents"},
	[FAILURE_MALFORMED] = {EREMOTEIO, false, "malformed", FAILURE_WRONG_BASE},
	[FAILURE_TRUNCATED] = {EREMOTEIO, false, "truncated", "try again"},
	[FAILURE_OVERSIZED] = {EREMOTEIO, false, "oversized", "check the URL, or reduce per_page"},
	[FAILURE_OLD] =
		{EREMOTEIO, false, "old",
                 "see why the cache in front of the API keeps responses for longer than ttl: "
                 "the API may be down behind it"},
	[FAILURE_UNREACHABLE] = {EHOSTUNREACH, true, "unreachable",
                                 "check the URL and the network"},
	[FAILURE_TIMEOUT] = {ETIMEDOUT, true, "timeout",
                             "try again, raise timeout, or ask the operator of the API"},
	[FAILURE_MEMORY] = {ENOMEM, true, "memory", "free some memory"},
};

int failure_set(struct failure *failure, enum failure_cause cause, const char *format, ...)
{
	va_list args;

	failure->cause = (uint8_t)cause;
	va_start(args, format);
	vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
	return -failure_errno(cause);
}

int failure_errno(enum failure_cause cause)
{
	return causes[cause].error;
}

const char *failure_word(enum failure_cause cause)
{
	return causes[cause].word;
}

const char *failure_remedy(const struct failure *failure)
{
	return failure->remedy ? failure->remedy : causes[failure->cause].remedy;
}

bool failure_is_general(enum failure_cause cause)
{
	return causes[cause].general;
}
