/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/http/headers.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define NOW_S  INT64_C(1700000000)
#define NOW_MS (1000 * NOW_S + 250)
#define NOW    "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define MOST   HEADERS_MAX_MS

/* Reads headers as curl passes them: line by line, with their line ends. */
static struct headers read_headers(const char *text)
{
	struct headers headers;

	headers_begin(&headers);
	while (*text) {
		const char *end = strchr(text, '\n');
		size_t bytes = end ? (size_t)(end + 1 - text) : strlen(text);

		headers_line(&headers, text, bytes);
		text += bytes;
	}
	return headers;
}

static void test_age(void **state)
{
	static const struct {
		const char *text;
		int64_t least_ms, most_ms; /* most_ms: without the time that the request took */
	} rows[] = {
		/* A whole number lacks up to a second; a fraction is exact. */
		{"Age: 0\r\n", 0, 1000},
		{"Age: 9\r\n", 9000, 10000},
		{"age:9", 9000, 10000},
		{"AGE: \t 007 \r\n", 7000, 8000},
		{"Age: 9.25\r\n", 9250, 9250},
		{"Age: 0.0\r\n", 0, 0},
		{"Age: 0.9991\r\n", 1000, 1000},
		{"Age: 0.99900000000000000000000000\r\n", 999, 999},
		/* The largest of several counts, even if others are not valid. */
		{"Age: 3\r\nAge: 8\r\nAge: 5\r\n", 8000, 9000},
		{"Age: 8\r\nAge: x\r\n", 8000, 9000},
		{"Age: x\r\nAge: 8\r\n", 8000, 9000},
		{"Age: 3\r\nAge: 3.0\r\n", 3000, 4000},
		{"Age: 3.0\r\nAge: 3\r\n", 3000, 4000},
		{"Age: 3\r\nAge: 3.5\r\n", 3500, 4000},
		{"Age: 3.5\r\nAge: 3\r\n", 3500, 4000},
		/* The same for several on one line. */
		{"Age: 3, 8 ,5\r\n", 8000, 9000},
		{"Age: 3.0,3\r\n", 3000, 4000},
		{"Age: 8,x\r\n", 8000, 9000},
		{"Age: x\t,\t8\r\n", 8000, 9000},
		{"Age: ,8,,\r\n", 8000, 9000},
		{"Age: 1 2, 1.\r\n", 0, 0},
		{"Age: , ,\r\n" NOW, 0, 0},
		/* Beyond the maximum. */
		{"Age: 99999999999999999999\r\n", MOST, MOST},
		{"Age: 2147483648\r\n", MOST, MOST},
		{"Age: 18446744073709551617.5\r\n", MOST, MOST},
		/* Date counts only if there is an Age that is not valid. */
		{"Age: 2\r\nDate: Tue, 14 Nov 2023 22:00:00 GMT\r\n", 2000, 3000},
		{"Age: -5\r\nDate: Tue, 14 Nov 2023 22:12:20 GMT\r\n", 59250, 60250},
		{"Age: \r\n" NOW, 0, 0},
		{"Age: +1\r\n", 0, 0},
		{"Age: 1.\r\n", 0, 0},
		{"Age: .5\r\n", 0, 0},
		{"Age: 1 2\r\n", 0, 0},
		{"Age: 0x10\r\n", 0, 0},
		{"Age: x\r\nDate: Tue, 14 Nov 2023 22:13:21 GMT\r\n", 0, 0},
		{"Age: x\r\nDate: Thu, 31 Dec 9999 23:59:59 GMT\r\n", 0, 0},
		{"Age: x\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\n", 1000 * (NOW_S - 2) + 250,
	         1000 * (NOW_S - 1) + 250},
		{"Age: x\r\nDate: yesterday\r\n", 0, 0},
		{"Age: x\r\nDate: \r\n", 0, 0},
		/* The earliest of several counts. */
		{"Age: x\r\nDate: Tue, 14 Nov 2023 22:12:20 GMT\r\n" NOW, 59250, 60250},
		{"Age: x\r\n" NOW "Date: Tue, 14 Nov 2023 22:12:20 GMT\r\n", 59250, 60250},
		{"Age: x\r\nDate: Tue, 14 Nov 2023 22:12:20 GMT\r\nDate: x\r\n", 59250, 60250},
		/* Of the last response, after interim ones; not of trailers. */
		{"HTTP/1.1 103 Early\r\nAge: 50\r\n\r\nHTTP/1.1 200 OK\r\nAge: 4\r\n\r\n", 4000,
	         5000},
		{"HTTP/2 200\r\nAge: 4\r\n\r\nAge: 50\r\n", 4000, 5000},
		{"HTTP/1.1 103 A\r\nAge: 50\r\n\r\nHTTP/1.1 100 B\r\nAge: 60\r\n\r\nHTTP/1.1 200 "
	         "C\r\n"
	         "Age: 4\r\n\r\n",
	         4000, 5000},
		{"http/1.1  103\r\nAge: 50\r\n\r\nhttp/1.1  200\r\nAge: 4\r\n\r\n", 4000, 5000},
		/* Only the first line is a status line. */
		{"HTTP/2 200\r\nAge: 4\r\n\r\nHTTP/1.1: 200\r\nAge: 50\r\n", 4000, 5000},
		{"HTTP/1.1 200 OK\r\nAge: 4\r\nHTTP/1.1: 200 OK\r\n\r\n", 4000, 5000},
		/* A line that begins with a space continues the one before; it ends no headers. */
		{"Age: 3\r\n \r\n\t\r\nAge: 4\r\n Age: 50\r\n 0\r\n", 4000, 5000},
		{"Ages: 50\r\nAg: 50\r\n: 50\r\nAge\r\nX-Age: 50\r\nAge : 50\r\nAge: 4\r\n", 4000,
	         5000},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct headers headers = read_headers(rows[i].text);
		struct headers_age age = headers_age(&headers, NOW_MS, 0);

		if (age.least_ms != rows[i].least_ms || age.most_ms != rows[i].most_ms)
			fail_msg("%s: %lld to %lld ms", rows[i].text, (long long)age.least_ms,
			         (long long)age.most_ms);
		age = headers_age(&headers, NOW_MS, 40);
		assert_int_equal(age.least_ms, rows[i].least_ms);
		assert_int_equal(age.most_ms, rows[i].most_ms < MOST ? rows[i].most_ms + 40 : MOST);
		age = headers_age(&headers, NOW_MS, -40);
		assert_int_equal(age.most_ms, rows[i].most_ms);
	}
}

/* The age is 0, regardless of the request's time and the clocks. */
static void test_a_response_without_age_has_age_0(void **state)
{
	static const char *const texts[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
		"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
		"Via: 1.1 gateway\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
		"HTTP/1.1 200 OK\r\nAge\r\n",
		"\r\nAge: 4\r\n",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct headers headers = read_headers(texts[i]);
		struct headers_age age = headers_age(&headers, NOW_MS, 5000);

		assert_int_equal(age.least_ms, 0);
		assert_int_equal(age.most_ms, 0);
	}
}

#define LM_LINE "Last-Modified: Tue, 14 Nov 2023 22:13:10 GMT\r\n"

static void test_well_formed_validators_are_kept(void **state)
{
	static const char modified[] = "Tue, 14 Nov 2023 22:13:10 GMT";
	static const struct {
		const char *text, *etag, *last_modified;
	} rows[] = {
		{"", "", ""},
		{"ETag: \"a\"\r\n", "\"a\"", ""},
		{"etag:W/\"a!#~\"", "W/\"a!#~\"", ""},
		{"ETag: \"\"\r\n", "\"\"", ""},
		{"ETag: \"a\"\r\n" NOW LM_LINE, "\"a\"", modified},
		{NOW LM_LINE, "", modified},
		/* Not valid. */
		{"ETag: a\r\n", "", ""},
		{"ETag: \"a\r\n", "", ""},
		{"ETag: a\"\r\n", "", ""},
		{"ETag: \"\r\n", "", ""},
		{"ETag: \"a\"b\"\r\n", "", ""},
		{"ETag: \"a\", \"b\"\r\n", "", ""},
		{"ETag: \"a b\"\r\n", "", ""},
		{"ETag: \"a\tb\"\r\n", "", ""},
		{"ETag: \"a\x7f\"\r\n", "", ""},
		{"ETag: \"\xc3\xa9\"\r\n", "", ""},
		{"ETag: \"a\rX-Team-ID: b\"\r\n", "", ""},
		{"ETag: w/\"a\"\r\n", "", ""},
		{"ETag: *\r\n", "", ""},
		{"ETag: \r\n", "", ""},
		/* None of several counts. */
		{"ETag: \"a\"\r\nETag: \"b\"\r\n", "", ""},
		{"ETag: \"a\"\r\nETag: \"a\"\r\nETag: \"a\"\r\n", "", ""},
		{"ETag: x\r\nETag: \"a\"\r\n", "", ""},
		{NOW LM_LINE LM_LINE, "", ""},
		/* The earliest of several dates counts. */
		{NOW "Date: Tue, 14 Nov 2023 22:13:10 GMT\r\n" LM_LINE, "", ""},
		{"Date: Tue, 14 Nov 2023 22:13:10 GMT\r\n" LM_LINE NOW, "", ""},
		{NOW NOW "Date: x\r\n" LM_LINE, "", modified},
		/* Not at least a second before Date, so the page may have changed since; or no
	           date. */
		{LM_LINE, "", ""},
		{NOW "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n", "", ""},
		{NOW "Last-Modified: Tue, 14 Nov 2023 22:13:19 GMT\r\n", "",
	         "Tue, 14 Nov 2023 22:13:19 GMT"},
		{"Last-Modified: Thu, 31 Dec 9999 23:59:59 GMT\r\n" NOW, "", ""},
		{"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n" NOW, "", ""},
		{"Last-Modified: Tuesday, 14-Nov-23 22:13:10 GMT\r\n" NOW, "",
	         "Tuesday, 14-Nov-23 22:13:10 GMT"},
		{"Last-Modified: yesterday\r\n" NOW, "", ""},
		{"Last-Modified: \r\n" NOW, "", ""},
		{"Last-Modified: Tue, 14 Nov 2023 22:13:10 GMT (as far as anybody knows)\r\n" NOW,
	         "", ""},
		{"Last-Modified: Tue,\t14 Nov 2023 22:13:10 GMT\r\n" NOW, "", ""},
		/* Only the last response counts. */
		{"HTTP/1.1 103 Early\r\nETag: \"a\"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", ""},
		{"HTTP/1.1 200 OK\r\n\r\nETag: \"a\"\r\n", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct headers headers = read_headers(rows[i].text);
		struct validator validator;

		headers_validator(&headers, &validator);
		if (strcmp(validator.etag, rows[i].etag) != 0 ||
		    strcmp(validator.last_modified, rows[i].last_modified) != 0)
			fail_msg("%s: %s and %s", rows[i].text, validator.etag,
			         validator.last_modified);
		assert_int_equal(validator_is_present(&validator),
		                 *rows[i].etag || *rows[i].last_modified);
	}
}

static void test_a_long_etag_is_ignored(void **state)
{
	(void)state;
	for (size_t bytes = 200; bytes < 600; bytes++) {
		char line[1024];
		struct headers headers;
		struct validator validator;

		headers_begin(&headers);
		memset(line, 'x', sizeof(line));
		memcpy(line, "ETag: \"", 7);
		line[6 + bytes - 1] = '"';
		headers_line(&headers, line, 6 + bytes);
		headers_validator(&headers, &validator);
		assert_int_equal(strlen(validator.etag),
		                 bytes < sizeof(validator.etag) ? bytes : 0);
	}
}

/* Nothing is read beyond the line. */
static void test_a_line_is_not_read_beyond_its_end(void **state)
{
	char line[4096];
	struct headers headers;

	(void)state;
	headers_begin(&headers);
	headers_line(&headers, "", 0);
	assert_true(headers.ended);
	headers_begin(&headers);
	headers_line(&headers, "Age: 12345", 7);
	assert_int_equal(headers.age.least_ms, 12000);
	headers_begin(&headers);
	headers_line(&headers, "Age: 1\0002", 8);
	assert_true(headers.has_age);
	assert_int_equal(headers.age.least_ms, -1);
	memset(line, '7', sizeof(line));
	memcpy(line, "Age: ", 5);
	headers_line(&headers, line, sizeof(line));
	assert_int_equal(headers.age.least_ms, -1);
	headers_line(&headers, line, 100);
	assert_int_equal(headers.age.least_ms, MOST);
}

static void test_the_longest_retry_after_counts(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"", -1},
		{"Retry-After: 7\r\n", 7000},
		{"Retry-After: 0\r\n", 0},
		{"retry-after:  0120 \r\n", 120000},
		{"Retry-After: 123456789012345678901234567890\r\n", MOST},
		{"Retry-After: soon\r\n", -1},
		{"Retry-After: -7\r\n", -1},
		{"Retry-After: Tue, 14 Nov 2023 22:13:30 GMT\r\n", 9750},
		{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0},
		{"Retry-After: 7\r\nRetry-After: 9\r\nRetry-After: 8\r\n", 9000},
		{"Retry-After: 7\r\nRetry-After: Tue, 14 Nov 2023 22:13:30 GMT\r\n", 9750},
		{"HTTP/1.1 103 Early\r\nRetry-After: 7\r\n\r\nHTTP/1.1 503 Busy\r\n", -1},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct headers headers = read_headers(rows[i].text);
		int64_t ms = headers_retry_after_ms(&headers, NOW_MS);

		if (ms != rows[i].ms)
			fail_msg("%s: %jd", rows[i].text, (intmax_t)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_a_response_without_age_has_age_0),
		cmocka_unit_test(test_well_formed_validators_are_kept),
		cmocka_unit_test(test_a_long_etag_is_ignored),
		cmocka_unit_test(test_a_line_is_not_read_beyond_its_end),
		cmocka_unit_test(test_the_longest_retry_after_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
