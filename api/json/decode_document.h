/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_DOCUMENT_H
#define FLEETFS_API_JSON_DECODE_DOCUMENT_H

/* Parses a small JSON document as a whole. For decode_message.c and decode_expiry.c. */

#include <stddef.h>

#include "api/json/json_parse.h"

/*
 * Checks and parses a text within the limits of one element (decode.h). Initialises the pool if it
 * is needed; the caller passes one of all zeroes, and frees it with json_pool_done() in any case.
 * Returns a tree; or NULL if the text is not JSON or exceeds a limit, or if out of memory.
 */
const cJSON *decode_document(struct json_pool *pool, const char *text, size_t bytes);

#endif
