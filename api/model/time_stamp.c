/* SPDX-License-Identifier: MIT */
#include "api/model/time_stamp.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Reads count digits and advances *at past them. Returns their value, or -1. */
static int time_stamp_digits(const char **at, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++, ++*at) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

/* Advances *at past one of these characters. Returns whether there is one. */
static bool time_stamp_skip(const char **at, const char *one_of)
{
	if (**at == '\0' || !strchr(one_of, **at))
		return false;
	++*at;
	return true;
}

/* Reads an optional fraction of a second, in ns; -1 if no digit follows the point. */
static int64_t time_stamp_fraction_ns(const char **at)
{
	int64_t ns = 0, unit = 100000000;

	if (**at != '.')
		return 0;
	++*at;
	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
		ns += (**at - '0') * unit;
	return ns;
}

/* Reads the offset from UTC: seconds, positive to the east; INT32_MAX if it is missing or invalid.
 */
static int time_stamp_offset_s(const char **at)
{
	int sign = **at == '-' ? -1 : 1;
	int hours, minutes;

	if (time_stamp_skip(at, "Zz"))
		return 0;
	if (!time_stamp_skip(at, "+-"))
		return INT32_MAX;
	hours = time_stamp_digits(at, 2);
	if (hours < 0 || hours > 23 || !time_stamp_skip(at, ":"))
		return INT32_MAX;
	minutes = time_stamp_digits(at, 2);
	if (minutes < 0 || minutes > 59)
		return INT32_MAX;
	return sign * (hours * 3600 + minutes * 60);
}

/* month: 0 to 11 */
static int time_stamp_days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month] + (leap && month == 1);
}

int64_t time_stamp_parse(const char *text)
{
	const char *at = text;
	struct tm tm = {0};
	int64_t fraction_ns, seconds;
	int offset_s;

	tm.tm_year = time_stamp_digits(&at, 4) - 1900;
	if (!time_stamp_skip(&at, "-"))
		return -1;
	tm.tm_mon = time_stamp_digits(&at, 2) - 1;
	if (!time_stamp_skip(&at, "-"))
		return -1;
	tm.tm_mday = time_stamp_digits(&at, 2);
	if (!time_stamp_skip(&at, "Tt "))
		return -1;
	tm.tm_hour = time_stamp_digits(&at, 2);
	if (!time_stamp_skip(&at, ":"))
		return -1;
	tm.tm_min = time_stamp_digits(&at, 2);
	if (!time_stamp_skip(&at, ":"))
		return -1;
	tm.tm_sec = time_stamp_digits(&at, 2);
	fraction_ns = time_stamp_fraction_ns(&at);
	offset_s = time_stamp_offset_s(&at);
	if (offset_s == INT32_MAX || *at != '\0' || fraction_ns < 0)
		return -1;
	/* A field with a character that is not a digit is below its range. 60 s: a leap second. */
	if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > time_stamp_days_of_month(tm.tm_year + 1900, tm.tm_mon) || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -1;
	seconds = timegm(&tm) - offset_s;
	/* Nanoseconds since 1970 fit until 2262. */
	if (seconds < 0 || seconds > INT64_MAX / 1000000000 - 1)
		return -1;
	return seconds * 1000000000 + fraction_ns;
}
