/* SPDX-License-Identifier: MIT */
#include "cache/sweeps.h"

#include <stdlib.h>

#define KEPT_BYTES     (16u << 20) /* memory of all sweeps */
#define KEPT_SWEEPS    1024        /* number of sweeps, however little memory they take */
#define FINISHED_BYTES (1u << 20)  /* memory of the sweeps that no reader is in the middle of */
#define FEW_SWEEPS     16          /* at least this many are kept, however much memory they take */
#define PARTIAL_MS     1000        /* a list with gaps or from memory moves the mtime this often */

void sweeps_init(struct sweeps *sweeps, struct pages *pages, struct records *records)
{
	*sweeps = (struct sweeps){.pages = pages, .records = records};
}

void sweeps_done(struct sweeps *sweeps)
{
	for (struct sweep *at = sweeps->newest, *older; at; at = older) {
		older = at->older;
		sweep_free(at);
	}
}

/* Forgetting */

static size_t sweep_bytes(const struct sweep *sweep)
{
	return sizeof(*sweep) + roster_bytes(&sweep->roster) +
	       sweep->pass.number_count * sizeof(*sweep->pass.numbers);
}

/* Whether to forget a sweep before another. */
static bool sweep_is_needed_less(const struct sweep *sweep, const struct sweep *other)
{
	if ((sweep->readers > 0) != (other->readers > 0))
		return sweep->readers == 0;
	return sweep->used_ms <= other->used_ms;
}

/* Returns the link to the sweep to forget first, or NULL if none may be. The newest is being read,
 * and the newest complete one is needed while the API fails. */
static struct sweep **sweeps_least_needed(struct sweeps *sweeps)
{
	struct sweep **found = NULL;
	bool found_complete = false;

	for (struct sweep **at = &sweeps->newest; *at; at = &(*at)->older) {
		bool needed = *at == sweeps->newest || ((*at)->complete && !found_complete);

		found_complete |= (*at)->complete;
		if (!needed && (!found || sweep_is_needed_less(*at, *found)))
			found = at;
	}
	return found;
}

/* Forgets the least needed sweeps until the others take little enough memory. A cursor of a
 * forgotten sweep gets -ESTALE. */
static void sweeps_forget(struct sweeps *sweeps)
{
	size_t bytes = 0, finished_bytes = 0, count = 0;
	struct sweep **at;

	for (struct sweep *sweep = sweeps->newest; sweep; sweep = sweep->older) {
		if (sweep->complete && sweep != sweeps->newest)
			roster_shrink(&sweep->roster);
		bytes += sweep_bytes(sweep);
		if (sweep->readers == 0)
			finished_bytes += sweep_bytes(sweep);
		count++;
	}
	while (count > FEW_SWEEPS && (at = sweeps_least_needed(sweeps))) {
		struct sweep *sweep = *at;

		if (bytes <= KEPT_BYTES && count <= KEPT_SWEEPS &&
		    (sweep->readers > 0 || finished_bytes <= FINISHED_BYTES))
			break;
		bytes -= sweep_bytes(sweep);
		if (sweep->readers == 0)
			finished_bytes -= sweep_bytes(sweep);
		count--;
		*at = sweep->older;
		sweep_free(sweep);
	}
}

/* Choosing */

/* Whether the pass would still read an expired page that arrived before the query. The pass accepts
 * it, since it arrived during the pass. That happens to a sweep that was begun to find one agent,
 * and stopped at the page that had it. */
static bool sweep_fell_behind(const struct sweeps *sweeps, const struct sweep *sweep,
                              const struct query *query)
{
	for (size_t i = sweep->pass.at; i < sweep->pass.count; i++) {
		unsigned int number = sweep_pass_page(sweep, i);
		const struct cached_page *page = pages_find(sweeps->pages, number);

		if (!page)
			return false;
		if (sweep_may_take(sweeps, sweep, number) && page->arrived_seq <= query->began &&
		    !page_is_fresh(sweeps->pages, page))
			return true;
	}
	return false;
}

bool sweeps_serves(const struct sweeps *sweeps, const struct sweep *sweep,
                   const struct query *query)
{
	if (sweep->began_seq > query->began)
		return true;
	if (!sweep->complete && sweep_fell_behind(sweeps, sweep, query))
		return false;
	if (sweep->oldest_seq > query->began)
		return true;
	return pages_now_ms(sweeps->pages) < sweep->expires_ms;
}

/* Returns the oldest sweep that serves the query and is not older than the newest complete one, or
 * NULL. The oldest one ends first: a query that always took the newest might never end. A sweep
 * that is older than the newest complete one, but not complete, would become an older list with
 * newer agents.
 *
 * from_memory: whether sweeps that were completed from memory count. If not, this function passes
 * over them, and the newest complete sweep is the newest one that was read to its end. So a query
 * for one agent goes on in its unfinished sweep, although readers of the list get a newer list from
 * memory meanwhile: a new sweep would have to request expired pages again, perhaps from an API that
 * fails. The query needs only the proof that the agent is absent, so an older list with newer
 * agents is good enough for it. sweep_newest_complete() still returns the list from memory. */
static struct sweep *sweeps_usable(const struct sweeps *sweeps, const struct query *query,
                                   bool from_memory)
{
	struct sweep *found = NULL;

	for (struct sweep *at = sweeps->newest; at; at = at->older) {
		if (at->from_memory && !from_memory)
			continue;
		if (sweeps_serves(sweeps, at, query))
			found = at;
		if (at->complete)
			break;
	}
	return found;
}

/* Frees the newest sweep if it has read no page: no cursor points into it. Queries that wait for it
 * use the sweep that replaces it. Readers that were interrupted leave such sweeps. */
static void sweeps_drop_empty(struct sweeps *sweeps)
{
	struct sweep *sweep = sweeps->newest;

	if (!sweep || sweep->complete || sweep->rechecks > 0 || sweep->pass.at > 0)
		return;
	sweeps->newest = sweep->older;
	sweep_free(sweep);
}

/* Begins a sweep. NULL without memory. */
static struct sweep *sweeps_begin(struct sweeps *sweeps)
{
	struct sweep *sweep;

	/* If a list has expired, moves the mtime, so that the kernel drops its copy of that list
	 * and reads the new one. */
	sweeps_list_mtime_ns(sweeps);
	sweep = sweep_new(sweeps);
	if (!sweep)
		return NULL;
	/* Not before sweep_new() has succeeded. Otherwise an older sweep might remain the newest.
	 * Its roster may be shrunk, and sweeps_add_newcomer() could not append to that. */
	sweeps_drop_empty(sweeps);
	sweep->older = sweeps->newest;
	sweeps->newest = sweep;
	sweeps_forget(sweeps);
	return sweep;
}

struct sweep *sweeps_for(struct sweeps *sweeps, const struct query *query, bool from_memory)
{
	struct sweep *sweep = sweeps_usable(sweeps, query, from_memory);

	return sweep ? sweep : sweeps_begin(sweeps);
}

/* Whether all pages that the sweep has read arrived after the query began. A sweep that a reader
 * began may have read pages that were fresh already. */
static bool sweep_has_renewed(const struct sweep *sweep, const struct query *query)
{
	return sweep->renewed_seq >= query->began || sweep->oldest_seq > query->began;
}

struct sweep *sweeps_renewal(struct sweeps *sweeps, const struct query *query)
{
	struct sweep *found = NULL;

	for (struct sweep *at = sweeps->newest; at && at->began_seq > query->began;
	     at = at->older) {
		if (!at->from_memory && sweep_has_renewed(at, query))
			found = at;
		if (at->complete)
			break;
	}
	if (!found) {
		found = sweeps_begin(sweeps);
		if (found)
			found->renewed_seq = query->began;
	} else if (found->renewed_seq == 0) {
		/* A reader began this sweep, after the query. A page that arrived between the two
		 * may have expired before the reader came. So from now on only pages count that
		 * arrived after the beginning of the sweep. */
		found->renewed_seq = found->began_seq;
	}
	return found;
}

struct sweep *sweeps_find(const struct sweeps *sweeps, uint64_t number)
{
	for (struct sweep *at = sweeps->newest; at; at = at->older)
		if (at->number == number)
			return at;
	return NULL;
}

/* Readers and newcomers */

void sweep_count_reader(struct sweep *sweep, bool begins, bool ends)
{
	if (begins && !ends)
		sweep->readers++;
	else if (ends && !begins && sweep->readers > 0)
		sweep->readers--;
}

int sweeps_add_newcomer(struct sweeps *sweeps, const struct record *record)
{
	if (!sweeps->newest || !sweeps->newest->complete)
		return 0;
	return roster_append(&sweeps->newest->roster, record);
}

uint64_t sweeps_pass_seq(const struct sweeps *sweeps)
{
	const struct sweep *sweep = sweeps->newest;

	return sweep && !sweep->complete ? sweep->pass.began_seq : UINT64_MAX;
}

/* Expiry */

void sweeps_expire_all(struct sweeps *sweeps)
{
	int64_t now_ms = pages_now_ms(sweeps->pages);

	for (struct sweep *at = sweeps->newest; at; at = at->older)
		if (at->expires_ms > now_ms)
			at->expires_ms = now_ms;
}

int64_t sweeps_list_left_ms(const struct sweeps *sweeps)
{
	const struct sweep *sweep = sweep_newest_complete(sweeps->newest);
	int64_t end_ms;

	if (!sweep || sweep->from_memory || sweep->missing_err != 0)
		return 0;
	/* A listing with an outdated page expires later than the ttl of that page. */
	end_ms = sweep->oldest_ms + sweeps->pages->config->ttl_ms;
	if (end_ms > sweep->expires_ms)
		end_ms = sweep->expires_ms;
	end_ms -= pages_now_ms(sweeps->pages);
	return end_ms > 0 ? end_ms : 0;
}

/* Marks the complete lists that have expired. Returns whether one was not marked yet. */
static bool sweeps_announce_expiry(struct sweeps *sweeps, int64_t now_ms)
{
	bool expired = false;

	for (struct sweep *at = sweeps->newest; at; at = at->older) {
		if (!at->complete || at->announced || now_ms < at->expires_ms)
			continue;
		at->announced = true;
		expired = true;
	}
	return expired;
}

int64_t sweeps_list_mtime_ns(struct sweeps *sweeps)
{
	const struct sweep *newest = sweep_newest_complete(sweeps->newest);
	int64_t *mtime_ns = &sweeps->records->names_mtime_ns;
	int64_t now_ms = pages_now_ms(sweeps->pages);
	bool is_partial = newest && (newest->from_memory || newest->missing_err != 0);

	/* The kernel keeps a listing only if the mtime is the same before and after it reads the
	 * list. So a new list must not move the mtime. A complete list moves it once, when the list
	 * has expired. Each complete list does, also one that was completed after a newer one,
	 * since the kernel may hold any of them. It holds no unfinished list. A list that has gaps
	 * or came from memory moves the mtime each second, so that the kernel asks again. */
	if (sweeps_announce_expiry(sweeps, now_ms) ||
	    (is_partial && now_ms >= sweeps->announced_ms + PARTIAL_MS)) {
		++*mtime_ns;
		sweeps->announced_ms = now_ms;
	}
	return *mtime_ns;
}
