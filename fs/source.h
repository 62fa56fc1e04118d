/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_SOURCE_H
#define FLEETFS_FS_SOURCE_H

#include <stdbool.h>

/*
 * The API's base URL, as the operator gave it. Strict, since the token is sent wherever it points.
 *
 * What is wrong with it, as the end of a sentence ("has no valid host"), static; or NULL when it is
 * an http or https URL without userinfo, query and fragment. *ret_plain (then): it is plain http,
 * to a host that is not this machine, so whoever is on the way would see the token.
 */
const char *source_fault(const char *url, bool *ret_plain);

#endif
