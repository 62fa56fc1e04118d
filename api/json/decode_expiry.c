/* SPDX-License-Identifier: MIT */
#include "api/json/decode.h"
#include "api/json/decode_document.h"
#include "api/json/json_parse.h"

int64_t decode_jwt_expiry(const char *json, size_t bytes)
{
	struct json_pool pool = {0};
	const cJSON *tree = decode_document(&pool, json, bytes);
	int64_t expiry = json_integer_between(json_member(tree, "exp"), 1, DECODE_MAX_EXPIRY);

	json_pool_done(&pool);
	return expiry == AGENT_ABSENT ? 0 : expiry;
}
