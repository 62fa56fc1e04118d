/* SPDX-License-Identifier: MIT */
#include "fs/program/malformed.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "fs/program/log.h"
#include "fs/tree/names.h"

void malformed_describe(const struct page_fault *fault, unsigned int page, char *ret_text,
                        size_t text_bytes)
{
	char name[NAME_BYTES], place[64], of_page[32] = "";

	if (page > 0)
		snprintf(of_page, sizeof(of_page), " of page %u", page);
	snprintf(place, sizeof(place), "element %u%s", fault->position, of_page);
	if (*fault->id) {
		name_encode(fault->id, name);
		snprintf(ret_text, text_bytes, "agent %s (%s) is dropped: %s", name, place,
		         fault->reason);
	} else {
		snprintf(ret_text, text_bytes, "%s is dropped: %s", place, fault->reason);
	}
}

/* The hash leaves out the position, since elements move from refresh to refresh. */
static uint64_t malformed_hash(const char *id, const char *reason)
{
	uint64_t seed = XXH3_64bits(reason, strlen(reason));

	return XXH3_64bits_withSeed(id, strlen(id), seed);
}

/* Remembers a pair of agent and reason. Returns whether it is new and there was room for it. */
static bool malformed_remember(struct malformed *malformed, const char *id, const char *reason)
{
	uint64_t hash = malformed_hash(id, reason);

	for (size_t i = 0; i < malformed->count; i++)
		if (malformed->logged[i] == hash)
			return false;
	if (malformed->count == MALFORMED_MAX_LOGGED)
		return false;
	malformed->logged[malformed->count++] = hash;
	return true;
}

static void malformed_warn(const struct malformed *malformed, const char *text)
{
	log_warning("%s", text);
	if (malformed->count == MALFORMED_MAX_LOGGED)
		log_warning("further malformed and duplicate elements are only counted, in "
		            ".fleetfs/stats");
}

void malformed_log(struct malformed *malformed, const struct page_fault *faults, size_t count,
                   unsigned int page)
{
	char text[512];

	for (size_t i = 0; i < count; i++) {
		if (!malformed_remember(malformed, faults[i].id, faults[i].reason))
			continue;
		malformed_describe(&faults[i], page, text, sizeof(text));
		malformed_warn(malformed, text);
	}
}

bool malformed_note_duplicate(struct malformed *malformed, const char *name)
{
	return malformed_remember(malformed, name, "duplicate");
}

void malformed_log_duplicate(const struct malformed *malformed, const char *name)
{
	char text[512];

	snprintf(text, sizeof(text), "agent %s is listed twice: the second is dropped", name);
	malformed_warn(malformed, text);
}
