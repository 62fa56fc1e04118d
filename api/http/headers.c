/* SPDX-License-Identifier: MIT */
#include "api/http/headers.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define SECOND_MS INT64_C(1000)

void headers_begin(struct headers *headers)
{
	*headers = (struct headers){
		.age = {.least_ms = -1, .most_ms = -1},
		.date_s = -1,
		.modified_s = -1,
		.retry_after_ms = -1,
		.retry_at_s = -1,
	};
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads a number of seconds, which may have a fraction, up to a comma or the end. Returns ms,
 * rounded up; -1 if it is no number. */
static int64_t headers_read_seconds(const char *text, bool *ret_whole)
{
	int64_t ms = 0, digit_ms = SECOND_MS / 10;

	if (!is_digit(*text))
		return -1;
	for (; is_digit(*text); text++)
		if (ms < HEADERS_MAX_MS)
			ms = 10 * ms + SECOND_MS * (*text - '0');
	*ret_whole = *text != '.';
	if (*text == '.') {
		bool more = false;

		if (!is_digit(*++text))
			return -1;
		for (; is_digit(*text); text++) {
			ms += digit_ms * (*text - '0');
			more |= digit_ms == 0 && *text != '0';
			digit_ms /= 10;
		}
		ms += more;
	}
	text += strspn(text, " \t");
	if (*text && *text != ',')
		return -1;
	return ms < HEADERS_MAX_MS ? ms : HEADERS_MAX_MS;
}

/* The value is a number, but a proxy may have joined several headers into a list. */
static void headers_read_age(struct headers *headers, const char *value)
{
	struct headers_age *age = &headers->age;

	headers->has_age = true;
	do {
		bool whole = false;
		int64_t ms = headers_read_seconds(value + strspn(value, " \t"), &whole);

		if (ms > age->least_ms)
			age->least_ms = ms;
		if (ms >= 0 && ms + whole * SECOND_MS > age->most_ms)
			age->most_ms = ms + whole * SECOND_MS;
		value = strchrnul(value, ',');
	} while (*value++);
}

static void headers_read_content_encoding(struct headers *headers, const char *value)
{
	headers->encoded |= strcasecmp(value, "identity") != 0;
}

static void headers_read_date(struct headers *headers, const char *value)
{
	time_t date = curl_getdate(value, NULL);

	if (date > 0 && (headers->date_s < 0 || date < headers->date_s))
		headers->date_s = date;
}

/* Whether it is W/"..." or "..." of visible characters. It is sent in a header, so it must not
 * contain a line end. */
static bool is_etag(const char *value)
{
	const char *at = strncmp(value, "W/", 2) == 0 ? value + 2 : value;

	if (*at++ != '"')
		return false;
	while (*at > ' ' && *at < 0x7f && *at != '"')
		at++;
	return at[0] == '"' && at[1] == '\0';
}

static void headers_read_etag(struct headers *headers, const char *value)
{
	char *etag = headers->validator.etag;

	etag[0] = '\0';
	if (++headers->etag_count == 1 && is_etag(value) &&
	    strlen(value) < sizeof(headers->validator.etag))
		memcpy(etag, value, strlen(value) + 1);
}

static void headers_read_last_modified(struct headers *headers, const char *value)
{
	char *text = headers->validator.last_modified;
	time_t time = curl_getdate(value, NULL);

	text[0] = '\0';
	for (const char *at = value; *at; at++)
		if (*at < ' ' || *at >= 0x7f)
			time = -1;
	headers->modified_s = time;
	if (++headers->modified_count == 1 && time > 0 &&
	    strlen(value) < sizeof(headers->validator.last_modified))
		memcpy(text, value, strlen(value) + 1);
}

static void headers_read_retry_after(struct headers *headers, const char *value)
{
	bool whole;
	int64_t ms = headers_read_seconds(value, &whole);
	int64_t date_s = ms < 0 ? curl_getdate(value, NULL) : -1;

	if (ms > headers->retry_after_ms)
		headers->retry_after_ms = ms;
	if (date_s > headers->retry_at_s)
		headers->retry_at_s = date_s;
}

static const struct {
	const char *name;
	void (*read)(struct headers *headers, const char *value);
} readers[] = {
	{"Age", headers_read_age},
	{"Content-Encoding", headers_read_content_encoding},
	{"Date", headers_read_date},
	{"ETag", headers_read_etag},
	{"Last-Modified", headers_read_last_modified},
	{"Retry-After", headers_read_retry_after},
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Whether a status line has status 1xx. Parses it in the same way as curl. */
static bool is_interim(const char *line, size_t bytes)
{
	const char *end = line + bytes, *at = memchr(line, ' ', bytes);

	if (bytes < 5 || strncasecmp(line, "HTTP/", 5) != 0 || !at)
		return false;
	while (at < end && is_space(*at))
		at++;
	return at < end && *at == '1';
}

bool headers_are_complete(const struct headers *headers)
{
	return headers->ended && !headers->interim;
}

void headers_line(struct headers *headers, const char *line, size_t bytes)
{
	const char *colon = memchr(line, ':', bytes);
	const char *value, *end = line + bytes;
	char text[512]; /* a longer value counts as empty */

	if (headers->ended && headers->interim)
		headers_begin(headers);
	if (!headers->begun)
		headers->interim = is_interim(line, bytes);
	headers->begun = true;
	headers->ended |= bytes == 0 || *line == '\r' || *line == '\n';
	if (headers->ended || !colon)
		return;
	while (is_space(end[-1]))
		end--;
	value = colon + 1;
	while (value < end && is_space(*value))
		value++;
	if ((size_t)(end - value) >= sizeof(text) || memchr(value, '\0', (size_t)(end - value)))
		value = end;
	memcpy(text, value, (size_t)(end - value));
	text[end - value] = '\0';
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++)
		if (strlen(readers[i].name) == (size_t)(colon - line) &&
		    strncasecmp(readers[i].name, line, (size_t)(colon - line)) == 0)
			readers[i].read(headers, text);
}

/* Limits a time to 0 ... HEADERS_MAX_MS. */
static int64_t headers_clamp(int64_t ms)
{
	if (ms < 0)
		return 0;
	return ms < HEADERS_MAX_MS ? ms : HEADERS_MAX_MS;
}

struct headers_age headers_age(const struct headers *headers, int64_t wall_ms, int64_t took_ms)
{
	struct headers_age age = {0};

	if (!headers->has_age)
		return age;
	if (headers->age.least_ms >= 0) {
		age = headers->age;
	} else if (headers->date_s >= 0 && wall_ms / SECOND_MS > headers->date_s) {
		/* Date is rounded down to a second, so the difference is an upper bound. */
		age.most_ms = headers_clamp((wall_ms / SECOND_MS - headers->date_s) * SECOND_MS +
		                            wall_ms % SECOND_MS);
		age.least_ms = headers_clamp(age.most_ms - SECOND_MS);
	}
	age.most_ms = headers_clamp(age.most_ms + headers_clamp(took_ms));
	return age;
}

int64_t headers_retry_after_ms(const struct headers *headers, int64_t wall_ms)
{
	int64_t ms = headers->retry_after_ms;

	if (headers->retry_at_s >= 0) {
		int64_t until_ms = headers_clamp(headers->retry_at_s * SECOND_MS - wall_ms);

		ms = until_ms > ms ? until_ms : ms;
	}
	return ms;
}

void headers_validator(const struct headers *headers, struct validator *ret_validator)
{
	*ret_validator = headers->validator;
	if (headers->date_s <= headers->modified_s)
		ret_validator->last_modified[0] = '\0';
}
