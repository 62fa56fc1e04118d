/* SPDX-License-Identifier: MIT */
#include "fs/program/expiry.h"

#include <inttypes.h>
#include <stdio.h>

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

bool expiry_due(struct expiry *expiry, int64_t of, int64_t now)
{
	int64_t left = of - now;
	int due = (left <= DAY) + (left <= HOUR) + (left <= 0);

	if (of == 0)
		due = 0;
	if (of != expiry->of)
		*expiry = (struct expiry){.of = of};
	if (due <= expiry->told)
		return false;
	expiry->told = due;
	return true;
}

void expiry_distance(int64_t of, int64_t now, char *ret_text, size_t bytes)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {{DAY, "day"}, {HOUR, "hour"}, {MINUTE, "minute"}, {1, "second"}};
	int64_t distance = of < now ? now - of : of - now;
	size_t i = 0;

	/* Two of a unit at least, so that what is cut off is no more than half of it. */
	while (i + 1 < sizeof(units) / sizeof(units[0]) && distance < 2 * units[i].seconds)
		i++;
	distance /= units[i].seconds;
	snprintf(ret_text, bytes, "%s%" PRId64 " %s%s%s", of < now ? "" : "in ", distance,
	         units[i].name, distance == 1 ? "" : "s", of < now ? " ago" : "");
}
