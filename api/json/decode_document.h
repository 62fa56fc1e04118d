/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_DOCUMENT_H
#define FLEETFS_API_JSON_DECODE_DOCUMENT_H

/* Parses a small JSON document as a whole. For decode_message.c and decode_expiry.c. */

#include <stddef.h>

#include "api/json/json_parse.h"

/*
 * Checks and parses a text within the limits of one element (decode.h). Returns a tree, which is
 * valid until json_pool_done(); or NULL if the text is not JSON or exceeds a limit, or if out of
 * memory. The caller passes a pool of all zeroes, and calls json_pool_done() in any case.
 */
const cJSON *decode_document(struct json_pool *pool, const char *text, size_t bytes);

#endif
