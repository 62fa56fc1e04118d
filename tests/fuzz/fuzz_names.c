/* SPDX-License-Identifier: MIT */
#include "api/utf8.h"
#include "fs/names.h"
#include "tests/fuzz/fuzz.h"

static int hex(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* A name without a hash says all of its string; true if this is one. */
static bool decode(const char *name, char *ret_text)
{
	int high, low;

	if (strcmp(name, "%") == 0) {
		*ret_text = '\0';
		return true;
	}
	while (*name) {
		if (*name != '%') {
			*ret_text++ = *name++;
			continue;
		}
		if (name[1] == '~') {
			expect(strlen(name) == 34 && strspn(name + 2, "0123456789abcdef") == 32);
			return false;
		}
		high = hex(name[1]);
		low = hex(name[2]);
		expect(high >= 0 && low >= 0);
		*ret_text++ = (char)(high << 4 | low);
		name += 3;
	}
	*ret_text = '\0';
	return true;
}

/* The original of a stored string (api/utf8.h), as far as it is needed to compare names; NUL as
 * NUL. */
static size_t original(const char *text, char ret_text[static NAME_BYTES + 4])
{
	size_t length = 0;

	while (*text && length < NAME_BYTES) {
		struct utf8_char c = utf8_next_stored(text, strlen(text));
		unsigned char bytes[4];
		size_t count = utf8_original(&c, text, bytes);

		memcpy(ret_text + length, bytes, count);
		length += count;
		text += c.bytes;
	}
	ret_text[length] = '\0';
	return length;
}

static void encode(const char *text, char ret_name[static NAME_BYTES])
{
	char again[NAME_BYTES], decoded[NAME_BYTES], stored[NAME_BYTES + 4];
	size_t length;

	memset(ret_name, 0x55, NAME_BYTES);
	name_encode(text, ret_name);
	expect(memchr(ret_name, '\0', NAME_BYTES));
	length = strlen(ret_name);
	expect(length >= 1 && !strchr(ret_name, '/'));
	expect(*ret_name != '.' && *ret_name != '-' && *ret_name != ' ');
	expect(ret_name[length - 1] != ' ');
	fuzz_expect_plain(ret_name, length);
	name_encode(text, again);
	expect(strcmp(ret_name, again) == 0);
	expect(name_is_canonical(ret_name));
	if (decode(ret_name, decoded))
		expect(memcmp(stored, decoded, original(text, stored) + 1) == 0);
	else
		expect(strlen(text) > 80);
}

/* The input as a name: it is canonical only if encoding what it stands for gives it back. %00
 * stands for no string of C, and a hash has no way back. */
static void expect_canonical_is_exact(const char *name)
{
	char decoded[NAME_BYTES] = "", again[NAME_BYTES];

	if (strlen(name) >= NAME_BYTES || !name_is_canonical(name) || strstr(name, "%00") ||
	    !decode(name, decoded))
		return;
	/* The byte C0 has another stored form. */
	if (strchr(decoded, '\xc0'))
		return;
	name_encode(decoded, again);
	expect(strcmp(name, again) == 0);
}

/* A copy of raw bytes in the stored form, as the decoder makes it. */
static char *to_stored(const char *raw)
{
	char *stored = malloc(2 * strlen(raw) + 1);
	char *out = stored;

	expect(stored);
	for (; *raw; raw++) {
		*out++ = *raw;
		if (*raw == UTF8_STORED_C0[0])
			*out++ = UTF8_STORED_C0[1];
	}
	*out = '\0';
	return stored;
}

/* Two strings, side by side. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *first = fuzz_string(data, size / 2);
	char *second = fuzz_string(data + size / 2, size - size / 2);
	char *one = to_stored(first), *other = to_stored(second);
	char one_name[NAME_BYTES], other_name[NAME_BYTES];

	expect_canonical_is_exact(first);
	encode(one, one_name);
	encode(other, other_name);
	expect((strcmp(one, other) == 0) == (strcmp(one_name, other_name) == 0));
	/* A name is a string, too: the one that it would get is another. */
	encode(one_name, other_name);
	if (strchr(one_name, '%'))
		expect(strcmp(one_name, other_name) != 0);
	free(first);
	free(second);
	free(one);
	free(other);
	return 0;
}
