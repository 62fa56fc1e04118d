/* SPDX-License-Identifier: MIT */
#include "fs/program/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool value_parse_count(const char *text, int64_t *ret_count)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 12 || text[digits])
		return false;
	*ret_count = strtoll(text, NULL, 10);
	return true;
}

bool value_parse_duration(const char *text, int64_t *ret_ms)
{
	int64_t us = 0, unit_us = 1000000;
	bool has_digit = false, has_point = false, is_zero = true;

	for (; *text; text++) {
		int digit = *text - '0';

		if (*text == '.' && !has_point && text[1]) {
			has_point = true;
			continue;
		}
		if (digit < 0 || digit > 9 || us > INT64_MAX / 100)
			return false;
		if (has_point)
			unit_us /= 10;
		us = (has_point ? us : 10 * us) + digit * unit_us;
		has_digit = true;
		is_zero = is_zero && digit == 0;
	}
	if (!has_digit)
		return false;
	*ret_ms = !is_zero && us < 1000 ? 1 : (us + 500) / 1000;
	return true;
}

bool value_parse_flag(const char *text, bool *ret_flag)
{
	static const char *const words[] = {"no", "off", "false", "0", "yes", "on", "true", "1"};
	const size_t count = sizeof(words) / sizeof(words[0]);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_flag = i >= count / 2;
			return true;
		}
	}
	return false;
}

bool value_is_id(const char *text)
{
	size_t length = 0;

	while (isalnum((unsigned char)text[length]) || text[length] == '_' || text[length] == '-')
		length++;
	return length > 0 && !text[length];
}
