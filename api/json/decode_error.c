/* SPDX-License-Identifier: MIT */
/* Decoding of other things than agents: an error's message, a token's expiry. */
#include "api/json/decode.h"

#include <string.h>

#include "api/json/json.h"
#include "api/json/json_pool.h"

/* The tree of any text, in a pool of its own; NULL if it is not JSON, or beyond the limits. */
static const cJSON *parse_any(struct parse_pool *pool, const char *text, size_t bytes)
{
	static const struct json_query query = {
		.max_depth = DECODE_MAX_DEPTH,
		.max_tokens = DECODE_MAX_TOKENS,
	};
	struct json_outline outline;
	struct json_fault fault;

	if (bytes > DECODE_MAX_AGENT_BYTES || json_scan(text, bytes, &query, &outline, &fault) < 0)
		return NULL;
	if (outline.member.flags & (JSON_DEEP | JSON_MANY))
		return NULL;
	return parse_pool_init(pool, outline.member.bytes)
	               ? parse_value(pool, text + outline.member.offset, outline.member.bytes, true)
	               : NULL;
}

/* Copies text with every run of white space and NULs as one space, cut between characters. */
static void fold(const char *text, size_t bytes, char *ret_text, size_t text_bytes)
{
	static const char space[] = " \t\r\n\v\f";
	size_t length = 0;
	bool gap = false;

	for (size_t i = 0; i < bytes; i++) {
		if (memchr(space, text[i], sizeof(space))) {
			gap = length > 0;
			continue;
		}
		if (length + gap + 1 >= text_bytes) {
			bool within = ((unsigned char)text[i] & 0xc0) == 0x80;

			while (within && length > 0)
				within = ((unsigned char)ret_text[--length] & 0xc0) == 0x80;
			if (length > 0 && ret_text[length - 1] == ' ')
				length--;
			break;
		}
		if (gap)
			ret_text[length++] = ' ';
		gap = false;
		ret_text[length++] = text[i];
	}
	ret_text[length] = '\0';
}

void decode_message(const char *body, size_t bytes, char *ret_text, size_t text_bytes)
{
	static const char *const keys[] = {"message", "error", "detail"};
	struct parse_pool pool = {0};
	const cJSON *tree = parse_any(&pool, body, bytes);
	const cJSON *words = NULL;

	for (size_t i = 0; i < 3 && !parse_is(words, cJSON_String); i++)
		words = parse_member(tree, keys[i]);
	if (!parse_is(words, cJSON_String))
		words = parse_member(parse_member(tree, "error"), "message");
	if (parse_is(words, cJSON_String))
		fold(words->valuestring, strlen(words->valuestring), ret_text, text_bytes);
	else
		fold(body, bytes, ret_text, text_bytes);
	parse_pool_done(&pool);
}

int64_t decode_expiry(const char *json, size_t bytes)
{
	struct parse_pool pool = {0};
	const cJSON *tree = parse_any(&pool, json, bytes);
	int64_t expiry = parse_number_between(parse_member(tree, "exp"), 1, DECODE_MAX_EXPIRY);

	parse_pool_done(&pool);
	return expiry == AGENT_ABSENT ? 0 : expiry;
}
