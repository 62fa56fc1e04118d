/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_AGENT_H
#define FLEETFS_API_JSON_DECODE_AGENT_H

/* Decodes one element of agent_list at a time. For decode_outline.c. */

#include <stdint.h>

#include "api/json/json_parse.h"
#include "api/json/json_scan.h"
#include "api/model/agent.h"

/*
 * The order of the fields in the object of one agent_place that was decoded last: after[field] is
 * the field that followed `field`; after[AGENT_FIELDS] is the first one. An API writes the members
 * of its objects in one order, so nearly every key is found at the first comparison.
 */
struct decode_order {
	uint8_t after[AGENT_FIELDS + 1];
};

/* The state that is shared by all values of one text while they are decoded one by one. */
struct decoder {
	const char *text;                                /* borrowed */
	struct json_pool pool;                           /* for one value at a time */
	struct decode_order orders[AGENT_PLACE_GPU + 1]; /* by enum agent_place */
};

/* Returns why a value must be dropped, if it exceeds a limit of decode.h; else NULL: it may be
 * parsed. The text is static: "it is larger than 1 MiB". */
const char *decode_limit_exceeded(const struct json_span *span);

/* Parses a value of the text that is within the limits. Resets the pool, so it ends the lifetime of
 * the previous tree. Returns NULL if out of memory. */
const cJSON *decode_parse(struct decoder *decoder, const struct json_span *span);

/* Decodes an element. Returns 0 with an agent, whose reference the caller owns; or 0 with NULL and
 * the static reason why the element is not an agent; or -ENOMEM. Sets the results in all cases. */
int decode_agent(struct decoder *decoder, const struct json_span *span,
                 const struct agent **ret_agent, const char **ret_reason);

#endif
