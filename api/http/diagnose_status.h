/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_DIAGNOSE_STATUS_H
#define FLEETFS_API_HTTP_DIAGNOSE_STATUS_H

/* Part of diagnose.h: turns an HTTP status into a failure. No state. */

#include "api/http/request.h"
#include "api/http/request_settings.h"
#include "api/model/failure.h"

/* Sets cause, message, remedy and Retry-After for a response with a status that is not usable. The
 * message quotes what the response says, or where a redirect points to. */
void diagnose_status(const struct request *request, const struct request_settings *settings,
                     long status, struct failure *failure);

#endif
