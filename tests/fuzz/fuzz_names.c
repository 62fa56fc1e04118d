/* SPDX-License-Identifier: MIT */
#include "fs/tree/names.h"
#include "tests/fuzz/fuzz.h"

static int hex(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* The stored form (api/model/utf8.h) of any bytes. The caller frees it. */
static char *stored(const uint8_t *data, size_t size)
{
	char *text = malloc(2 * size + 1), *at = text;

	expect(text);
	for (size_t i = 0; i < size; i++) {
		if (data[i] == 0 || data[i] == 0xc0)
			at = stpcpy(at, data[i] ? UTF8_STORED_BYTE_C0 : UTF8_STORED_NUL);
		else
			*at++ = (char)data[i];
	}
	*at = '\0';
	return text;
}

/* Writes the string of a name in the stored form. Returns false if the name has a hash: then it
 * contains only a part of its string. */
static bool decode(const char *name, char *ret_text)
{
	uint8_t byte;
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
		byte = (uint8_t)(high << 4 | low);
		if (byte == 0 || byte == 0xc0)
			ret_text = stpcpy(ret_text, byte ? UTF8_STORED_BYTE_C0 : UTF8_STORED_NUL);
		else
			*ret_text++ = (char)byte;
		name += 3;
	}
	*ret_text = '\0';
	return true;
}

static void encode(const char *text, char ret_name[static NAME_BYTES])
{
	char again[NAME_BYTES], decoded[NAME_BYTES];
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
		expect(strcmp(text, decoded) == 0);
	else
		expect(strlen(text) > 80);
}

/* A name is canonical only if it is the name of the string that it decodes to. A hash cannot be
 * decoded. */
static void expect_canonical_is_exact(const char *name)
{
	char decoded[NAME_BYTES], again[NAME_BYTES];

	if (!name_is_canonical(name) || !decode(name, decoded))
		return;
	name_encode(decoded, again);
	expect(strcmp(name, again) == 0);
}

/* The input is two strings, one after the other. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *one = stored(data, size / 2);
	char *other = stored(data + size / 2, size - size / 2);
	char *name = fuzz_string(data, size);
	char one_name[NAME_BYTES], other_name[NAME_BYTES];

	expect_canonical_is_exact(name);
	encode(one, one_name);
	encode(other, other_name);
	expect((strcmp(one, other) == 0) == (strcmp(one_name, other_name) == 0));
	/* A name with escapes, taken as a string, has another name. */
	encode(one_name, other_name);
	if (strchr(one_name, '%'))
		expect(strcmp(one_name, other_name) != 0);
	free(one);
	free(other);
	free(name);
	return 0;
}
