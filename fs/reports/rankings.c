/* SPDX-License-Identifier: MIT */
#include "fs/reports/rankings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Limits of one slice, so that it takes about 0.25 ms. */
#define SLICE_AGENTS 256
#define SLICE_WORK   50000 /* comparisons with patterns */
#define SLICE_SORTED 128

#define RANKINGS_MAX_BYTES (16u << 20) /* as for groups (fs/reports/views.c) */

/* An agent during a build. The agent may be read again between two slices, so the build refers to
 * the values that it saw. */
struct ranked {
	struct record *record;     /* a reference */
	const struct agent *agent; /* a reference */
	struct question_sort_key sort_key;
	size_t position; /* in the list; orders agents with equal sort keys */
};

struct ranking {
	struct table_link by_key;
	struct ranking *older; /* in the order of last use */
	struct ranking *newer;
	struct rankings *rankings;
	struct build build;
	struct question *question; /* a reference */
	int64_t used_ms;

	struct record **order; /* references */
	size_t count;
	int absent;
	int end;

	/* The current build. First all agents that match are added to the heap, whose root is the
	 * last of them in the order. Then the root is moved to `sorted`, before the agents that are
	 * there already, until the heap is empty. */
	uint64_t list;   /* 0: none */
	uint64_t cursor; /* of the next agent of the list (fleet_walk()) */
	bool is_read;    /* the whole list was read: each agent that matches is in heap or sorted */
	struct ranked *heap;
	size_t heap_count;
	size_t heap_capacity;
	struct record **sorted;
	size_t sorted_capacity; /* the entries from heap_count on are references */

	char key[];
};

void rankings_init(struct rankings *rankings, struct fleet *fleet, struct jobs *jobs,
                   int64_t idle_ms, uint64_t seed)
{
	*rankings = (struct rankings){
		.fleet = fleet,
		.jobs = jobs,
		.idle_ms = idle_ms,
		.seed = seed,
		.max_bytes = RANKINGS_MAX_BYTES,
	};
}

static size_t ranking_bytes(const struct ranking *ranking)
{
	return sizeof(*ranking) + strlen(ranking->key) + ranking->count * sizeof(struct record *);
}

/* Frees an array. The entries from first up to end, without end, are references. */
static void ranking_free_records(struct record **records, size_t first, size_t end)
{
	for (size_t i = first; records && i < end; i++)
		record_unref(records[i]);
	free(records);
}

static void ranking_free_build(struct ranking *ranking)
{
	ranking_free_records(ranking->sorted, ranking->heap_count, ranking->sorted_capacity);
	for (size_t i = 0; i < ranking->heap_count; i++) {
		record_unref(ranking->heap[i].record);
		agent_unref(ranking->heap[i].agent);
	}
	free(ranking->heap);
	ranking->heap = NULL;
	ranking->heap_count = 0;
	ranking->heap_capacity = 0;
	ranking->sorted = NULL;
	ranking->sorted_capacity = 0;
	ranking->list = 0;
	ranking->is_read = false;
}

/* Order of last use */

static void ranking_unlink(struct ranking *ranking)
{
	struct rankings *rankings = ranking->rankings;

	if (ranking->older)
		ranking->older->newer = ranking->newer;
	else
		rankings->oldest = ranking->newer;
	if (ranking->newer)
		ranking->newer->older = ranking->older;
	else
		rankings->newest = ranking->older;
}

static void ranking_link(struct ranking *ranking)
{
	struct rankings *rankings = ranking->rankings;

	ranking->older = rankings->newest;
	ranking->newer = NULL;
	if (rankings->newest)
		rankings->newest->newer = ranking;
	else
		rankings->oldest = ranking;
	rankings->newest = ranking;
	ranking->used_ms = fleet_now_ms(rankings->fleet);
}

static void ranking_touch(struct ranking *ranking)
{
	ranking_unlink(ranking);
	ranking_link(ranking);
}

static void ranking_free(struct ranking *ranking)
{
	struct rankings *rankings = ranking->rankings;

	rankings->bytes -= ranking_bytes(ranking);
	ranking_unlink(ranking);
	table_remove(&rankings->by_key, &ranking->by_key);
	job_remove(&ranking->build.job);
	ranking_free_build(ranking);
	ranking_free_records(ranking->order, 0, ranking->count);
	question_unref(ranking->question);
	free(ranking);
}

void rankings_done(struct rankings *rankings)
{
	/* The analyzer does not see that a ranking that is freed is not the oldest any more. */
	while (rankings->oldest)
		ranking_free(rankings->oldest); /* NOLINT(clang-analyzer-unix.Malloc) */
	table_done(&rankings->by_key);
}

int64_t rankings_due_ms(const struct rankings *rankings)
{
	if (!rankings->oldest)
		return INT64_MAX;
	/* As in rankings_done(). NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return rankings->oldest->used_ms + rankings->idle_ms;
}

void rankings_tidy(struct rankings *rankings)
{
	while (fleet_now_ms(rankings->fleet) >= rankings_due_ms(rankings))
		ranking_free(rankings->oldest);
}

/* Frees the least recently used rankings until the others take no more than max_bytes. Spares this
 * one and those that are being built. */
static void rankings_make_room(struct rankings *rankings, const struct ranking *keep)
{
	struct ranking *at = rankings->oldest, *next;

	for (; at && rankings->bytes > rankings->max_bytes; at = next) {
		next = at->newer;
		if (at != keep && !job_is_queued(&at->build.job))
			ranking_free(at);
	}
}

/* Heap */

/* Whether an agent is after another one in the order. */
static bool ranking_is_after(const struct ranking *ranking, const struct ranked *a,
                             const struct ranked *b)
{
	int order = question_compare_sort_keys(ranking->question, &a->sort_key, &b->sort_key);

	return order != 0 ? order > 0 : a->position > b->position;
}

/* Adds an agent. Returns 0 or -ENOMEM. */
static int ranking_push(struct ranking *ranking, const struct ranked *ranked)
{
	size_t at = ranking->heap_count;

	if (at == ranking->heap_capacity) {
		size_t capacity = at ? 2 * at : 16;
		struct ranked *heap = realloc(ranking->heap, capacity * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		ranking->heap = heap;
		ranking->heap_capacity = capacity;
	}
	while (at > 0 && ranking_is_after(ranking, ranked, &ranking->heap[(at - 1) / 2])) {
		ranking->heap[at] = ranking->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	ranking->heap[at] = *ranked;
	ranking->heap_count++;
	record_ref(ranked->record);
	agent_ref(ranked->agent);
	return 0;
}

/* Moves the root of the heap to its place in `sorted`. */
static void ranking_pop(struct ranking *ranking)
{
	const struct ranked root = ranking->heap[0];
	struct ranked *heap = ranking->heap;
	size_t count = --ranking->heap_count, at = 0;
	const struct ranked last = heap[count];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && ranking_is_after(ranking, &heap[child + 1], &heap[child]))
			child++;
		if (!ranking_is_after(ranking, &heap[child], &last))
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	ranking->sorted[count] = root.record;
	agent_unref(root.agent);
}

/* Builds */

/* Adds the next agents to the heap. Returns 0 at the end of the list, -EAGAIN, or -errno. */
static int ranking_read_slice(struct ranking *ranking)
{
	size_t work = 0;

	for (size_t i = 0; i < SLICE_AGENTS && work < SLICE_WORK; i++) {
		struct ranked ranked = {.position = ranking->cursor};
		int err = fleet_walk(ranking->rankings->fleet, &ranking->cursor, NULL,
		                     &ranked.record);

		if (err < 0 || !ranked.record)
			return err;
		ranked.agent = ranked.record->agent;
		if (!question_matches(ranking->question, ranked.agent, &work))
			continue;
		ranked.sort_key = question_sort_key(ranking->question, ranked.agent, &work);
		if (ranking_push(ranking, &ranked) < 0)
			return -ENOMEM;
	}
	return -EAGAIN;
}

/* Sorts the next agents. Returns 0 when all are sorted, -EAGAIN, or -ENOMEM. */
static int ranking_sort_slice(struct ranking *ranking)
{
	if (!ranking->sorted && ranking->heap_count > 0) {
		ranking->sorted = malloc(ranking->heap_count * sizeof(struct record *));
		if (!ranking->sorted)
			return -ENOMEM;
		ranking->sorted_capacity = ranking->heap_count;
	}
	for (size_t i = 0; i < SLICE_SORTED && ranking->heap_count > 0; i++)
		ranking_pop(ranking);
	return ranking->heap_count > 0 ? -EAGAIN : 0;
}

/* Replaces the agents of the ranking by those of the build that has ended. */
static void ranking_store(struct ranking *ranking)
{
	struct rankings *rankings = ranking->rankings;

	rankings->bytes -= ranking_bytes(ranking);
	ranking_free_records(ranking->order, 0, ranking->count);
	ranking->order = ranking->sorted;
	ranking->count = ranking->sorted_capacity;
	ranking->absent = fleet_list_absent(rankings->fleet, ranking->list);
	ranking->end = fleet_list_end(rankings->fleet, ranking->list);
	ranking->build.list = ranking->list;
	ranking->sorted = NULL;
	ranking->sorted_capacity = 0;
	rankings->bytes += ranking_bytes(ranking);
	rankings_make_room(rankings, ranking);
}

static bool ranking_slice(struct job *job)
{
	struct ranking *ranking = JOB_OWNER(job, struct ranking, build.job);
	struct fleet *fleet = ranking->rankings->fleet;
	int err;

	ranking_touch(ranking);
	if (ranking->list == 0) {
		ranking->list = fleet_newest_list(fleet);
		/* A list's number is the cursor of its first agent. */
		ranking->cursor = ranking->list;
	}
	if (!ranking->is_read) {
		err = ranking_read_slice(ranking);
		/* Agents can be ranked although a page is missing. */
		ranking->is_read =
			err == 0 || (err != -EAGAIN && err == fleet_list_end(fleet, ranking->list));
		if (ranking->is_read)
			err = -EAGAIN;
	} else {
		err = ranking_sort_slice(ranking);
	}
	if (err == 0)
		ranking_store(ranking);
	if (err != -EAGAIN)
		ranking_free_build(ranking);
	return build_end_slice(&ranking->build, err);
}

/* Finding */

static struct ranking *rankings_lookup(const struct rankings *rankings, uint64_t hash,
                                       const char *key)
{
	for (struct table_link *at = table_first(&rankings->by_key, hash); at;
	     at = table_next(at)) {
		struct ranking *ranking = TABLE_ENTRY(at, struct ranking, by_key);

		if (strcmp(ranking->key, key) == 0)
			return ranking;
	}
	return NULL;
}

/* Makes an empty ranking. NULL without memory. */
static struct ranking *ranking_new(struct rankings *rankings, struct question *question,
                                   uint64_t hash, const char *key)
{
	size_t bytes = strlen(key) + 1;
	struct ranking *ranking = calloc(1, sizeof(*ranking) + bytes);

	if (!ranking)
		return NULL;
	memcpy(ranking->key, key, bytes);
	ranking->by_key.hash = hash;
	if (table_insert(&rankings->by_key, &ranking->by_key) < 0) {
		free(ranking);
		return NULL;
	}
	ranking->rankings = rankings;
	ranking->question = question_ref(question);
	ranking->build = (struct build){.fleet = rankings->fleet, .jobs = rankings->jobs};
	ranking->build.job.slice = ranking_slice;
	ranking_link(ranking);
	rankings->bytes += ranking_bytes(ranking);
	rankings_make_room(rankings, ranking);
	return ranking;
}

/* Returns the ranking of a question, which may be new; NULL without memory. */
static struct ranking *rankings_find_or_make(struct rankings *rankings, struct question *question)
{
	struct ranking *ranking = NULL;
	struct text key;
	uint64_t hash;

	text_init(&key, QUESTION_MAX_KEY);
	question_key(question, &key);
	text_bytes(&key, "", 1);
	if (text_error(&key) == 0) {
		hash = XXH3_64bits_withSeed(key.bytes, key.length, rankings->seed);
		ranking = rankings_lookup(rankings, hash, key.bytes);
		if (!ranking)
			ranking = ranking_new(rankings, question, hash, key.bytes);
	}
	text_done(&key);
	return ranking;
}

int rankings_find(struct rankings *rankings, struct question *question, struct query *query,
                  bool any_list, const struct ranking **ret_ranking)
{
	struct ranking *ranking = rankings_find_or_make(rankings, question);
	int err = 0;

	if (!ranking)
		return -ENOMEM;
	ranking_touch(ranking);
	if (any_list && ranking->build.list > 0)
		query->list = ranking->build.list;
	else
		err = build_wait(&ranking->build, query);
	if (err == 0)
		*ret_ranking = ranking;
	return err;
}

size_t ranking_count(const struct ranking *ranking)
{
	return ranking->count;
}

struct record *ranking_agent(const struct ranking *ranking, size_t index)
{
	struct record *record = ranking->order[index];
	size_t work = 0;

	return record->present && question_matches(ranking->question, record->agent, &work) ? record
	                                                                                    : NULL;
}

int ranking_absent(const struct ranking *ranking)
{
	return ranking->absent;
}

int ranking_end(const struct ranking *ranking)
{
	return ranking->end;
}
