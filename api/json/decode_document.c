/* SPDX-License-Identifier: MIT */
#include "api/json/decode_document.h"

#include "api/json/decode.h"
#include "api/json/json_scan.h"

const cJSON *decode_document(struct json_pool *pool, const char *text, size_t bytes)
{
	static const struct json_query query = {
		.max_depth = DECODE_MAX_DEPTH,
		.max_tokens = DECODE_MAX_TOKENS,
	};
	struct json_outline outline;
	struct json_fault fault;

	if (bytes > DECODE_MAX_AGENT_BYTES || json_scan(text, bytes, &query, &outline, &fault) < 0)
		return NULL;
	if (outline.member.flags & (JSON_TOO_DEEP | JSON_TOO_MANY_TOKENS))
		return NULL;
	if (!json_pool_init(pool, outline.member.bytes))
		return NULL;
	return json_parse(pool, text + outline.member.offset, outline.member.bytes, true);
}
