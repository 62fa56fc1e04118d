/* SPDX-License-Identifier: MIT */
#include "api/json/decode.h"

#include <string.h>

#include "api/json/decode_document.h"
#include "api/json/json_parse.h"

/* Copies text with one space for every run of white space and NULs, truncated between characters.
 */
static void fold_space(const char *text, size_t bytes, char *ret_text, size_t text_bytes)
{
	static const char space[] = " \t\r\n\v\f"; /* and the NUL at its end */
	size_t length = 0;
	bool space_before = false; /* white space precedes text[i] */

	for (size_t i = 0; i < bytes; i++) {
		if (memchr(space, text[i], sizeof(space))) {
			space_before = length > 0;
			continue;
		}
		if (length + space_before + 1 >= text_bytes) {
			bool within = ((unsigned char)text[i] & 0xc0) == 0x80;

			while (within && length > 0)
				within = ((unsigned char)ret_text[--length] & 0xc0) == 0x80;
			if (length > 0 && ret_text[length - 1] == ' ')
				length--;
			break;
		}
		if (space_before)
			ret_text[length++] = ' ';
		space_before = false;
		ret_text[length++] = text[i];
	}
	ret_text[length] = '\0';
}

void decode_message(const char *body, size_t bytes, char *ret_text, size_t text_bytes)
{
	static const char *const keys[] = {"message", "error", "detail"};
	struct json_pool pool = {0};
	const cJSON *tree = decode_document(&pool, body, bytes);
	const cJSON *message = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && !json_is(message, cJSON_String); i++)
		message = json_member(tree, keys[i]);
	if (!json_is(message, cJSON_String))
		message = json_member(json_member(tree, "error"), "message");
	if (json_is(message, cJSON_String))
		fold_space(message->valuestring, strlen(message->valuestring), ret_text,
		           text_bytes);
	else
		fold_space(body, bytes, ret_text, text_bytes);
	json_pool_done(&pool);
}
