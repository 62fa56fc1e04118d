/* SPDX-License-Identifier: MIT */
#include "fs/program/expiry.h"

#include <inttypes.h>
#include <stdio.h>

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

bool expiry_due(struct expiry *state, int64_t expiry, int64_t now)
{
	int64_t left = expiry - now;
	int due = (left <= DAY) + (left <= HOUR) + (left <= 0);

	if (expiry == 0)
		due = 0;
	if (expiry != state->expiry)
		*state = (struct expiry){.expiry = expiry};
	if (due <= state->passed)
		return false;
	state->passed = due;
	return true;
}

void expiry_distance(int64_t time, int64_t now, char *ret_text, size_t text_bytes)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {{DAY, "day"}, {HOUR, "hour"}, {MINUTE, "minute"}, {1, "second"}};
	int64_t distance = time < now ? now - time : time - now;
	bool is_past = time <= now;
	size_t i = 0;

	/* The largest unit of which there are at least two, so the number that is shown is at most
	 * a third too small. */
	while (i + 1 < sizeof(units) / sizeof(units[0]) && distance < 2 * units[i].seconds)
		i++;
	distance /= units[i].seconds;
	snprintf(ret_text, text_bytes, "%s%" PRId64 " %s%s%s", is_past ? "" : "in ", distance,
	         units[i].name, distance == 1 ? "" : "s", is_past ? " ago" : "");
}
