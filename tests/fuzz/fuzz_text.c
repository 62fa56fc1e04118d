/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "api/model/time_stamp.h"
#include "fs/tree/text.h"
#include "fs/tree/tree.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_escaped(const char *string, size_t ceiling)
{
	size_t length = strlen(string);
	struct text whole, part;

	text_init(&whole, 4 * length);
	text_escaped(&whole, string);
	expect(text_error(&whole) == 0 && whole.length >= length);
	fuzz_expect_plain(whole.bytes, whole.length);

	text_init(&part, ceiling);
	text_escaped(&part, string);
	expect(part.length <= ceiling);
	expect(text_error(&part) == (whole.length > ceiling ? -EFBIG : 0));
	if (part.length > 0)
		expect(memcmp(part.bytes, whole.bytes, part.length) == 0);
	if (text_error(&part) == 0)
		expect(part.length == whole.length);

	/* Escaping again changes nothing. */
	if (whole.length > 0) {
		char *again = fuzz_string((const uint8_t *)whole.bytes, whole.length);

		text_clear(&part);
		part.ceiling = whole.length;
		text_escaped(&part, again);
		expect(text_error(&part) == 0 && part.length == whole.length);
		expect(memcmp(part.bytes, again, part.length) == 0);
		free(again);
	}
	text_done(&part);
	text_done(&whole);
}

static void fuzz_time(const char *string)
{
	int64_t ns = time_stamp_parse(string);
	struct text text;

	if (ns == -1)
		return;
	expect(ns >= 0 && strlen(string) >= 20);
	text_init(&text, 64);
	text_time(&text, ns);
	text_bytes(&text, "", 1);
	expect(text_error(&text) == 0 && text.length == 25);
	expect(time_stamp_parse(text.bytes) == ns - ns % 1000000);
	text_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *string = fuzz_string(data, size);
	int64_t ns = 0;
	struct text text;

	fuzz_escaped(string, size ? data[0] : 0);
	fuzz_time(string);
	/* Every time can be written. */
	memcpy(&ns, string, size < sizeof(ns) ? size : sizeof(ns));
	text_init(&text, 64);
	text_time(&text, ns);
	expect(text_error(&text) == 0);
	text_done(&text);
	free(string);
	return 0;
}
