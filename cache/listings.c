/* SPDX-License-Identifier: MIT */

/*
 * Which listings are kept.
 *
 * Nothing tells when a reader of a listing is done with it: there is no close, and a reader may
 * pause for as long as it likes. So a listing is forgotten only when all listings take too much
 * memory, the one that was read from the longest ago first. Listings without a reader that has yet
 * to reach the end go before them, and are allowed less memory.
 */

#include <stdlib.h>

#include "cache/sweep.h"

#define KEPT_BYTES     (16u << 20) /* of all listings */
#define KEPT_LISTINGS  1024        /* however small */
#define FINISHED_BYTES (1u << 20)  /* of those without such a reader */
#define FEW_LISTINGS   16          /* are kept whatever they take */

static size_t listing_bytes(const struct sweep *sweep)
{
	return sizeof(*sweep) + sweep->capacity * sizeof(*sweep->order) +
	       (sweep->in.word_count + sweep->seen.word_count) * sizeof(uint64_t) +
	       sweep->again_count * sizeof(*sweep->again);
}

/* Whether one listing is to be forgotten rather than another. */
static bool listing_is_needed_less(const struct sweep *sweep, const struct sweep *other)
{
	if ((sweep->readers > 0) != (other->readers > 0))
		return sweep->readers == 0;
	return sweep->used_ms <= other->used_ms;
}

/* The listing to forget first, NULL if none may be. The newest is being read, and the last whole
 * one is needed while the API fails. */
static struct sweep **listings_least_needed(struct fleet *fleet)
{
	struct sweep **found = NULL;
	bool whole = false;

	for (struct sweep **at = &fleet->sweeps; *at; at = &(*at)->older) {
		bool needed = *at == fleet->sweeps || ((*at)->complete && !whole);

		whole |= (*at)->complete;
		if (!needed && (!found || listing_is_needed_less(*at, *found)))
			found = at;
	}
	return found;
}

/* Frees what only the newest listing needs: room to grow, and the set that its newcomers are tested
 * against. */
static void listing_shrink(struct sweep *sweep)
{
	struct seat *order;

	set_done(&sweep->in);
	if (sweep->count == 0 || sweep->count == sweep->capacity)
		return;
	order = realloc(sweep->order, sweep->count * sizeof(*order));
	if (order) {
		sweep->order = order;
		sweep->capacity = sweep->count;
	}
}

void listing_count_reader(struct sweep *sweep, bool begins, bool ends)
{
	if (begins && !ends)
		sweep->readers++;
	else if (ends && !begins && sweep->readers > 0)
		sweep->readers--;
}

void listings_forget(struct fleet *fleet)
{
	size_t bytes = 0, finished_bytes = 0, listings = 0;
	struct sweep **at;

	for (struct sweep *sweep = fleet->sweeps; sweep; sweep = sweep->older) {
		if (sweep->complete && sweep != fleet->sweeps)
			listing_shrink(sweep);
		bytes += listing_bytes(sweep);
		if (sweep->readers == 0)
			finished_bytes += listing_bytes(sweep);
		listings++;
	}
	while (listings > FEW_LISTINGS && (at = listings_least_needed(fleet))) {
		struct sweep *sweep = *at;

		if (bytes <= KEPT_BYTES && listings <= KEPT_LISTINGS &&
		    (sweep->readers > 0 || finished_bytes <= FINISHED_BYTES))
			break;
		bytes -= listing_bytes(sweep);
		if (sweep->readers == 0)
			finished_bytes -= listing_bytes(sweep);
		listings--;
		*at = sweep->older;
		sweep_free(sweep);
	}
}
