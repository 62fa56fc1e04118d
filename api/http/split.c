/* SPDX-License-Identifier: MIT */
#include "api/http/split.h"

#include <stdlib.h>

#include "api/http/fetch_job.h"
#include "api/model/clock.h"

#define MOST_LEVELS 8  /* a size of at most 100 has fewer */
#define MOST_PARTS  10 /* that a page or part is divided into */

struct split {
	unsigned int sizes[MOST_LEVELS]; /* of parts, each a divisor of the one before */
	unsigned int level;              /* of the part that is requested */
	unsigned int offset;             /* its first agent, within the page */
	int64_t oldest_ms;               /* when the oldest part was made, CLOCK_BOOTTIME */
	bool any;                        /* a part was received */
	uint64_t dropped_hash;           /* cut_hash of the agent that was dropped last */
	struct failure whole_failure;    /* of the whole page: why it was divided */
	struct failure old_failure;      /* of the last part that was old: why it was old */
	struct page *page; /* the agents received so far; has room for per_page of them */
};

static int64_t split_now_ms(void)
{
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

static unsigned int split_divide(unsigned int size)
{
	for (unsigned int parts = MOST_PARTS; parts > 1; parts--)
		if (size % parts == 0)
			return size / parts;
	return 1;
}

static struct split *split_new(unsigned int per_page, const struct failure *failure)
{
	struct split *split = calloc(1, sizeof(*split));
	unsigned int level = 0;

	if (!split)
		return NULL;
	split->page = calloc(1, sizeof(*split->page) + per_page * sizeof(split->page->agents[0]));
	if (!split->page) {
		free(split);
		return NULL;
	}
	split->whole_failure = *failure;
	split->page->total_count = AGENT_ABSENT;
	split->page->per_page = per_page;
	for (split->sizes[0] = per_page; split->sizes[level] > 1; level++)
		split->sizes[level + 1] = split_divide(split->sizes[level]);
	split->level = 1;
	return split;
}

void split_free(struct split *split)
{
	if (!split)
		return;
	page_free(split->page);
	free(split);
}

struct split_part split_part(const struct fetch_job *job, unsigned int per_page)
{
	const struct split *split = job->split;
	unsigned int number = job->fetch->number, size;

	if (!split)
		return (struct split_part){.number = number, .size = per_page};
	size = split->sizes[split->level];
	return (struct split_part){
		.number = ((number - 1) * per_page + split->offset) / size + 1,
		.size = size,
	};
}

/* Whether the API used the part size that was requested. If not, the next parts do not continue
 * where this one ended. A part with as many agents as requested fits whatever its page_meta says.
 */
static bool split_fits(const struct split *split, const struct page *part)
{
	size_t size = split->sizes[split->level], count = part->agent_count + part->dropped;

	return count == size || (count < size && (part->per_page == AGENT_ABSENT ||
	                                          part->per_page == (int64_t)size));
}

/* Moves the agents of a part into the page. If the part is old, so is the page: retains the failure
 * that states why, since the next part replaces that of the fetch. */
static void split_take(struct split *split, struct page *part, const struct failure *failure)
{
	struct page *page = split->page;
	int64_t made_ms = split_now_ms() - part->age_ms;

	for (size_t i = 0; i < part->agent_count; i++)
		page->agents[page->agent_count++] = part->agents[i];
	part->agent_count = 0;
	for (size_t i = 0; i < part->fault_count && page->fault_count < PAGE_MAX_FAULTS; i++) {
		page->faults[page->fault_count] = part->faults[i];
		page->faults[page->fault_count++].position += split->offset;
	}
	page->dropped += part->dropped;
	page->total_count = part->total_count;
	page->old |= part->old;
	if (part->old)
		split->old_failure = *failure;
	if (!split->any || split->oldest_ms > made_ms)
		split->oldest_ms = made_ms;
	split->any = true;
}

/* Moves on to the next part: the largest whose size divides its offset, so that it has a page
 * number. Returns false after the last part. */
static bool split_advance(struct split *split)
{
	split->offset += split->sizes[split->level];
	while (split->level > 1 && split->offset % split->sizes[split->level - 1] == 0)
		split->level--;
	return split->offset < split->sizes[0];
}

/* Ends the attempt: with the page that was put together, or with the failure of the fetch. Returns
 * false. */
static bool split_end(struct fetch_job *job, bool whole)
{
	struct split *split = job->split;
	struct fetch *fetch = job->fetch;

	page_free(fetch->page);
	fetch->page = whole ? split->page : NULL;
	if (whole) {
		/* The page is as old as its oldest part, so it expires with that. */
		if (split->any)
			split->page->age_ms = split_now_ms() - split->oldest_ms;
		if (split->page->old)
			fetch->failure = split->old_failure;
		else
			fetch->failure.message[0] = '\0';
		split->page = NULL;
	}
	split_free(split);
	job->split = NULL;
	return false;
}

/* Ends the attempt with the failure of the whole page. Returns false. */
static bool split_give_up(struct fetch_job *job)
{
	job->fetch->failure = job->split->whole_failure;
	return split_end(job, false);
}

/* Begins to divide a page whose response was too large. Returns false, and leaves the failure, if
 * it cannot be divided or if there is no memory. */
static bool split_begin(struct fetch_job *job, unsigned int per_page)
{
	if (!job->divisible || per_page < 2)
		return false;
	job->split = split_new(per_page, &job->fetch->failure);
	if (!job->split)
		return false;
	/* The validator is one of the whole page, not of its parts. */
	job->fetch->condition = (struct validator){0};
	return true;
}

/* Drops the one agent of a part that is too large. False: the part begins like the last one that
 * was too large, so the API ignores which part is requested. */
static bool split_drop_agent(struct split *split, uint64_t cut_hash)
{
	struct page *page = split->page;

	if (cut_hash && split->dropped_hash == cut_hash)
		return false;
	split->dropped_hash = cut_hash;
	if (page->fault_count < PAGE_MAX_FAULTS)
		page->faults[page->fault_count++] = (struct page_fault){
			.reason = "it is larger than a response may be",
			.position = split->offset + 1,
		};
	page->dropped++;
	return true;
}

bool split_continue(struct fetch_job *job, unsigned int per_page)
{
	struct split *split = job->split;
	struct fetch *fetch = job->fetch;

	if (!split)
		return split_begin(job, per_page);
	if (fetch->page) {
		size_t count = fetch->page->agent_count + fetch->page->dropped;

		if (!split_fits(split, fetch->page))
			return split_give_up(job);
		split_take(split, fetch->page, &fetch->failure);
		if (count < split->sizes[split->level])
			return split_end(job, true);
	} else if (fetch->failure.cause != FAILURE_OVERSIZED) {
		fetch->failure.page_only = true;
		return split_end(job, false);
	} else if (job->divisible && split->sizes[split->level] > 1) {
		split->level++;
		return true;
	} else if (!job->divisible || !split_drop_agent(split, job->cut_hash)) {
		return split_give_up(job);
	}
	page_free(fetch->page);
	fetch->page = NULL;
	if (split_advance(split))
		return true;
	return split->any ? split_end(job, true) : split_give_up(job);
}
