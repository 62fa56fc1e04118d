/* SPDX-License-Identifier: MIT */
#include "fs/program/nearest.h"

#include <stddef.h>
#include <string.h>

#include "fs/program/settings.h"

#define MAX_DISTANCE 2

static size_t nearest_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Returns the edit distance of two names: how many characters to insert, delete, replace or swap
 * with the next one. Both are shorter than SETTING_NAME_BYTES. */
static size_t nearest_distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	/* [i][j]: of the first i characters of a and the first j of b */
	size_t distance[SETTING_NAME_BYTES][SETTING_NAME_BYTES];

	for (size_t i = 0; i <= rows; i++) {
		for (size_t j = 0; j <= columns; j++) {
			size_t best = i + j;

			if (i > 0 && j > 0) {
				best = distance[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				best = nearest_min(best, distance[i - 1][j] + 1);
				best = nearest_min(best, distance[i][j - 1] + 1);
				if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
					best = nearest_min(best, distance[i - 2][j - 2] + 1);
			}
			distance[i][j] = best;
		}
	}
	return distance[rows][columns];
}

const char *nearest_name(const char *word, bool dash_o)
{
	size_t length = strcspn(word, "="), smallest = MAX_DISTANCE + 1;
	char name[SETTING_NAME_BYTES];
	const char *nearest = NULL;

	if (length >= sizeof(name))
		return NULL;
	for (size_t i = 0; i < length; i++)
		name[i] = (char)(word[i] == '-' ? '_' : word[i]);
	name[length] = '\0';
	for (const struct setting *row = setting_rows; row->name; row++) {
		size_t distance;

		if (row->kind == SETTING_REJECTED || !settings_is_accepted(row, dash_o))
			continue;
		distance = nearest_distance(name, row->name);
		if (distance < smallest && 3 * distance <= length + 1) {
			smallest = distance;
			nearest = row->name;
		}
	}
	return nearest;
}
