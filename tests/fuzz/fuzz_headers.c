/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>

#include "api/http/headers.h"
#include "tests/fuzz/fuzz.h"

#define MOST_LINES 64
#define NOW_MS     INT64_C(1700000000250)

/* A header line as curl passes it, in a heap block of its own. */
struct line {
	char *text;
	size_t bytes;
};

static bool is_end(char c)
{
	return c == '\r' || c == '\n';
}

static size_t split(const uint8_t *data, size_t size, struct line *lines)
{
	size_t count = 0;

	while (size > 0 && count < MOST_LINES) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t bytes = end ? (size_t)(end + 1 - data) : size;

		lines[count++] = (struct line){fuzz_copy(data, bytes), bytes};
		data += bytes;
		size -= bytes;
	}
	return count;
}

static void read_line(struct headers *headers, const char *text)
{
	headers_line(headers, text, strlen(text));
}

static void check_age(const struct headers *headers)
{
	static const int64_t walls_ms[] = {INT64_MIN, -1, 0, 1, NOW_MS, INT64_MAX};
	static const int64_t tooks_ms[] = {INT64_MIN, 0, 40, HEADERS_MAX_MS, INT64_MAX};

	for (size_t i = 0; i < sizeof(walls_ms) / sizeof(*walls_ms); i++) {
		int64_t most_ms = 0;

		for (size_t j = 0; j < sizeof(tooks_ms) / sizeof(*tooks_ms); j++) {
			struct headers_age age = headers_age(headers, walls_ms[i], tooks_ms[j]);

			expect(age.least_ms >= 0 && age.least_ms <= age.most_ms);
			expect(age.most_ms <= HEADERS_MAX_MS && age.most_ms >= most_ms);
			expect(headers->has_age || age.most_ms == 0);
			most_ms = age.most_ms;
		}
	}
}

/* A validator has no line end, and is part of the response. */
static void check_validator(const struct headers *headers, const uint8_t *data, size_t size)
{
	struct validator validator;
	const char *etag = validator.etag, *modified = validator.last_modified;

	headers_validator(headers, &validator);
	expect(memchr(etag, '\0', sizeof(validator.etag)));
	expect(memchr(modified, '\0', sizeof(validator.last_modified)));
	expect(validator.token_number == 0);
	for (const char *at = etag; *at; at++)
		expect(*at > ' ' && *at < 0x7f);
	for (const char *at = modified; *at; at++)
		expect(*at >= ' ' && *at < 0x7f);
	if (*etag) {
		const char *quote = strchr(etag, '"');

		expect(headers->etag_count == 1 && memmem(data, size, etag, strlen(etag)));
		expect(quote && (quote == etag || (quote == etag + 2 && !memcmp(etag, "W/", 2))));
		expect(strchr(quote + 1, '"') == etag + strlen(etag) - 1);
	}
	if (*modified) {
		time_t time = curl_getdate(modified, NULL);

		expect(headers->modified_count == 1);
		expect(memmem(data, size, modified, strlen(modified)));
		expect(time > 0 && time < headers->date_s);
	}
}

static void expect_same(const struct headers *a, const struct headers *b)
{
	struct headers_age a_age = headers_age(a, NOW_MS, 40), b_age = headers_age(b, NOW_MS, 40);
	struct validator a_validator, b_validator;

	headers_validator(a, &a_validator);
	headers_validator(b, &b_validator);
	expect(a_age.least_ms == b_age.least_ms && a_age.most_ms == b_age.most_ms);
	expect(strcmp(a_validator.etag, b_validator.etag) == 0);
	expect(strcmp(a_validator.last_modified, b_validator.last_modified) == 0);
}

/* The lines as responses, with their line ends and without. */
static void fuzz_responses(const struct line *lines, size_t count, const uint8_t *data, size_t size)
{
	struct headers headers, bare;

	headers_begin(&headers);
	headers_begin(&bare);
	for (size_t i = 0; i < count; i++) {
		size_t bytes = lines[i].bytes;

		headers_line(&headers, lines[i].text, bytes);
		while (bytes > 0 && is_end(lines[i].text[bytes - 1]))
			bytes--;
		headers_line(&bare, lines[i].text, bytes);
		expect_same(&headers, &bare);
		check_age(&headers);
		check_validator(&headers, data, size);
	}
}

/* The lines as headers of one response in any order, as trailers, and of an interim response. */
static void fuzz_fields(const struct line *lines, size_t count)
{
	struct headers empty, forth, back, interim;

	headers_begin(&empty);
	headers_begin(&forth);
	headers_begin(&back);
	headers_begin(&interim);
	read_line(&forth, "HTTP/1.1 200 OK\r\n");
	read_line(&back, "HTTP/1.1 200 OK\r\n");
	read_line(&interim, "HTTP/1.1 103 Early Hints\r\n");
	for (size_t i = 0; i < count; i++) {
		const struct line *last = &lines[count - 1 - i];

		if (!is_end(*lines[i].text)) {
			headers_line(&forth, lines[i].text, lines[i].bytes);
			headers_line(&interim, lines[i].text, lines[i].bytes);
		}
		if (!is_end(*last->text))
			headers_line(&back, last->text, last->bytes);
	}
	expect_same(&forth, &back);

	read_line(&forth, "\r\n");
	read_line(&interim, "\r\n");
	read_line(&interim, "HTTP/1.1 200 OK\r\n");
	expect_same(&interim, &empty);
	for (size_t i = 0; i < count; i++)
		headers_line(&forth, lines[i].text, lines[i].bytes);
	expect_same(&forth, &back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line lines[MOST_LINES];
	size_t count = split(data, size, lines);

	fuzz_responses(lines, count, data, size);
	fuzz_fields(lines, count);
	for (size_t i = 0; i < count; i++)
		free(lines[i].text);
	return 0;
}
