/* SPDX-License-Identifier: MIT */
#include "api/failure.h"

#include <errno.h>

static const struct {
	int error;
	bool general;
	const char *word;
} causes[FAILURE_CAUSES] = {
	[FAILURE_CREDENTIAL] = {EACCES, true, "credential"},
	[FAILURE_REQUEST] = {EINVAL, true, "request"},
	[FAILURE_BUSY] = {EBUSY, true, "busy"},
	[FAILURE_SERVER] = {EREMOTEIO, true, "server"},
	[FAILURE_REDIRECT] = {EREMOTEIO, true, "redirect"},
	[FAILURE_MALFORMED] = {EREMOTEIO, false, "malformed"},
	[FAILURE_TRUNCATED] = {EREMOTEIO, false, "truncated"},
	[FAILURE_OVERSIZED] = {EREMOTEIO, false, "oversized"},
	[FAILURE_UNREACHABLE] = {EHOSTUNREACH, true, "unreachable"},
	[FAILURE_TIMEOUT] = {ETIMEDOUT, true, "timeout"},
	[FAILURE_MEMORY] = {ENOMEM, true, "memory"},
};

int failure_errno(enum failure_cause cause)
{
	return causes[cause].error;
}

const char *failure_word(enum failure_cause cause)
{
	return causes[cause].word;
}

bool failure_is_general(enum failure_cause cause)
{
	return causes[cause].general;
}
