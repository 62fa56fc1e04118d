/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "cache/sweep.h"

/* Of agents that are taken in at once: 100 that are usual, or 3 with hundreds of labels and GPUs,
 * which take a millisecond. */
#define SLICE_BYTES (64u << 10)

/* Records */

static uint64_t hash_name(const struct fleet *fleet, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), fleet->hash_seed);
}

struct record *fleet_named(const struct fleet *fleet, const char *name)
{
	struct table_link *at = table_first(&fleet->by_name, hash_name(fleet, name));

	for (; at; at = table_next(at)) {
		struct record *record = TABLE_ENTRY(at, struct record, by_name);

		if (strcmp(record->name, name) == 0)
			return record;
	}
	return NULL;
}

static int reserve_index(struct fleet *fleet)
{
	size_t more = fleet->record_capacity ? fleet->record_capacity * 2 : 128;
	struct record **records;
	uint32_t *indices;

	if (fleet->free_count > 0 || fleet->record_count < fleet->record_capacity)
		return 0;
	records = realloc(fleet->records, more * sizeof(struct record *));
	if (!records)
		return -ENOMEM;
	fleet->records = records;
	indices = realloc(fleet->free_indices, more * sizeof(*indices));
	if (!indices)
		return -ENOMEM;
	fleet->free_indices = indices;
	fleet->record_capacity = more;
	return 0;
}

static int tell_change(struct fleet *fleet, const struct record *record, const struct agent *before,
                       const struct agent *after)
{
	if (!fleet->ports.changed)
		return 0;
	return fleet->ports.changed(fleet->ports.user, record, before, after, fleet->arrival_ns);
}

/* Whether the agents of this page that nobody knows yet have been there all the time: the page was
 * bad whenever the list was read before. */
static bool page_is_read_late(const struct fleet_page *place)
{
	return place->arrived_seq == 0 && place->backoff.active &&
	       !backoff_is_retrying(&place->backoff);
}

/* Adds an agent that was not known. What the first sweep finds has been there, as far as is known,
 * since before the mount; an agent that is found later has joined since. */
static int meet(struct fleet *fleet, const struct agent *agent, const char *name,
                struct record **ret_record)
{
	bool late = page_is_read_late(&fleet->pages[fleet->arriving.number - 1]);
	struct record *record;
	int err = reserve_index(fleet);

	if (err < 0)
		return err;
	if (fleet->present >= FLEET_MAX_AGENTS ||
	    fleet->agent_bytes + agent->bytes > FLEET_MAX_BYTES)
		return -EFBIG;
	record = record_new(name, agent);
	if (!record)
		return -ENOMEM;
	record->by_name.hash = hash_name(fleet, name);
	err = table_insert(&fleet->by_name, &record->by_name);
	if (err < 0) {
		free(record);
		return err;
	}
	err = late ? 0 : tell_change(fleet, record, NULL, agent);
	if (err < 0) {
		table_remove(&fleet->by_name, &record->by_name);
		free(record);
		return err;
	}
	agent_ref(agent);
	if (fleet->free_count > 0) {
		record->index = fleet->free_indices[--fleet->free_count];
		sweep_reuse_index(fleet, record->index);
	} else {
		record->index = (uint32_t)fleet->record_count++;
	}
	record->serial = ++fleet->met;
	fleet->records[record->index] = record_ref(record);
	fleet->present++;
	fleet->agent_bytes += agent->bytes;
	record->first_ns = fleet->health.swept && !late ? fleet->arrival_ns : fleet->mounted_ns;
	if (fleet->health.swept)
		fleet_names_changed(fleet);
	*ret_record = record;
	return 0;
}

struct record *fleet_seated(const struct fleet *fleet, struct seat seat)
{
	struct record *record = fleet->records[seat.index];

	return record && record->serial == seat.serial ? record : NULL;
}

int fleet_depart(struct fleet *fleet, struct record *record)
{
	int err = tell_change(fleet, record, record->agent, NULL);

	if (err < 0)
		return err;
	record->present = false;
	table_remove(&fleet->by_name, &record->by_name);
	fleet->records[record->index] = NULL;
	fleet->free_indices[fleet->free_count++] = record->index;
	fleet->present--;
	fleet->agent_bytes -= record->agent->bytes;
	fleet_names_changed(fleet);
	/* The kernel may remember its folder for long: let that be all it takes. */
	agent_unref(record->agent);
	record->agent = agent_ref(fleet->nobody);
	changes_done(&record->changes);
	record_unref(record);
	return 0;
}

/* Pages */

void fleet_page_reset(struct fleet_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		record_unref(page->records[i]);
	free(page->records);
	page->records = NULL;
	page->count = 0;
	page->arrived_seq = 0;
	page->validator = (struct validator){0};
}

void fleet_forget_pages(struct fleet *fleet, unsigned int last_page)
{
	fleet->last_page = last_page;
	for (unsigned int i = last_page; i < fleet->page_count; i++) {
		fleet_page_recovers(fleet, &fleet->pages[i]);
		fleet_page_reset(&fleet->pages[i]);
	}
}

/* Whether all that this page brought is still just what is known: then to hear that it is unchanged
 * is worth as much as the page. Who was dropped because he stood on another page might be the one
 * who counts next time. */
bool fleet_page_is_intact(const struct fleet_page *page, unsigned int number)
{
	if (page->arrived_seq == 0 || page->count + page->repeated != page->items)
		return false;
	for (size_t i = 0; i < page->count; i++) {
		const struct record *record = page->records[i];

		if (!record->present || record->page != number ||
		    record->read_seq != page->arrived_seq)
			return false;
	}
	return true;
}

/* Whether the page where the record was last seen had it when that page last arrived. If not, the
 * agent has moved. */
static bool record_is_on_its_page(const struct fleet *fleet, const struct record *record)
{
	return record->page > 0 && fleet->pages[record->page - 1].arrived_seq == record->read_seq;
}

/* Whether it was on record->page and on record->other_page when each of them last arrived. */
static bool record_is_on_two_pages(const struct fleet *fleet, const struct record *record)
{
	if (record->other_page == 0 || !record_is_on_its_page(fleet, record))
		return false;
	return fleet->pages[record->other_page - 1].arrived_seq == record->other_seq ||
	       fleet->arriving.seq == record->other_seq;
}

/* Whether the page that had the record last is too old to tell where the agent is now: neither
 * fresh nor read by the pass under way. */
static bool record_is_outlived(const struct fleet *fleet, const struct record *record)
{
	const struct sweep *sweep = fleet->sweeps;

	if (fleet_fresh(fleet, record->read_ms, record->read_seq))
		return false;
	return !sweep || sweep->complete || record->read_seq < sweep->pass_seq;
}

/* Whether an element of the page that arrives is on an earlier page too, which then has the agent
 * that counts. When the earlier page is too old to tell, the agent may have moved here: but not if
 * it was on both pages before, and either stayed there or stands in the same place as then. */
static bool is_on_earlier_page(const struct fleet *fleet, const struct record *record)
{
	const struct arriving *arriving = &fleet->arriving;

	if (record->page >= arriving->number || !record_is_on_its_page(fleet, record))
		return false;
	if (!record_is_outlived(fleet, record))
		return true;
	if (!record_is_on_two_pages(fleet, record))
		return false;
	return record->doubled || record->other_seq == arriving->seq ||
	       record->other_page != arriving->number || record->other_position == arriving->next;
}

static void report_duplicate(struct fleet *fleet, struct record *record)
{
	if (fleet->ports.duplicate && !record->told_duplicate)
		fleet->ports.duplicate(fleet->ports.user, record);
	record->told_duplicate = true;
}

/* Drops an element that an earlier page has too. */
static void drop_duplicate(struct fleet *fleet, struct record *record)
{
	const struct arriving *arriving = &fleet->arriving;

	fleet->health.duplicates++;
	if (record->doubled)
		report_duplicate(fleet, record);
	if (record->other_seq == arriving->seq)
		return; /* the first of several on this page */
	record->other_page = arriving->number;
	record->other_position = (uint32_t)arriving->next;
	record->other_seq = arriving->seq;
}

/* Notes where and when the record was read. */
static void record_seen(const struct fleet *fleet, struct record *record, uint32_t position)
{
	const struct arriving *arriving = &fleet->arriving;
	bool stays = record_is_on_its_page(fleet, record);

	if (record->page == arriving->number) {
		/* Since it was read here the other page had it, and it still is here. */
		record->doubled |= record_is_on_two_pages(fleet, record) &&
		                   record->other_seq > record->read_seq;
	} else if (stays && record->page > arriving->number) {
		/* A later page has it too, unless it moved from there. */
		record->other_page = record->page;
		record->other_position = record->position;
		record->other_seq = record->read_seq;
	} else {
		record->other_page = 0;
		record->doubled = false;
	}
	record->read_ms = arriving->at_ms;
	record->read_seq = arriving->seq;
	record->page = arriving->number;
	record->position = position;
}

static int renew(struct fleet *fleet, struct record *record, const struct agent *agent)
{
	if (!agent_equal(record->agent, agent)) {
		uint64_t others_bytes = fleet->agent_bytes - record->agent->bytes;
		int err;

		if (others_bytes + agent->bytes > FLEET_MAX_BYTES)
			return -EFBIG;
		err = changes_note(&record->changes, record->agent, agent, record->first_ns,
		                   fleet->arrival_ns);
		if (err == 0)
			err = tell_change(fleet, record, record->agent, agent);
		if (err < 0)
			return err;
		fleet->agent_bytes = others_bytes + agent->bytes;
		agent_unref(record->agent);
		record->agent = agent_ref(agent);
	}
	record->renewals++;
	return 0;
}

/* One element of the page that arrives: 0 and its record, or NULL for one that is dropped. Those
 * that stand twice on this very page are counted, since drifting pages are no explanation for them.
 */
static int receive(struct fleet *fleet, const struct agent *agent, struct record **ret_record)
{
	struct arriving *arriving = &fleet->arriving;
	char name[FLEET_NAME_BYTES];
	struct record *record;
	int err;

	fleet->ports.name(agent->id, name);
	record = fleet_named(fleet, name);
	if (!record) {
		err = meet(fleet, agent, name, &record);
		if (err < 0)
			return err;
		err = sweep_add_newcomer(fleet, record);
	} else if (record->read_seq == arriving->seq) {
		fleet->health.duplicates++;
		arriving->repeated++;
		report_duplicate(fleet, record);
		*ret_record = NULL;
		return 0;
	} else if (is_on_earlier_page(fleet, record)) {
		drop_duplicate(fleet, record);
		*ret_record = NULL;
		return 0;
	} else {
		err = renew(fleet, record, agent);
	}
	if (err < 0)
		return err;
	record_seen(fleet, record, (uint32_t)arriving->next);
	*ret_record = record;
	return 0;
}

/* It is here, whatever it brought. */
static void has_result(struct fleet *fleet, struct fleet_page *place)
{
	const struct arriving *arriving = &fleet->arriving;

	place->arrived_ms = arriving->at_ms;
	place->arrived_seq = arriving->seq;
	place->no_cache = place->asked_no_cache;
	if (!arriving->page->old)
		fleet_page_answers(fleet, place);
	fleet->health.arrived++;
	fleet->health.success_ns = fleet->arrival_ns;
	fleet->success_ms = place->arrived_ms;
}

/* Nothing was brought, and nothing is compared, since nothing has changed. */
static void take_unchanged(struct fleet *fleet, struct fleet_page *place)
{
	const struct arriving *arriving = &fleet->arriving;
	const struct page *page = arriving->page;

	if (!fleet_page_is_intact(place, arriving->number)) {
		place->validator = (struct validator){0};
		return;
	}
	if (validator_is_there(&page->validator))
		place->validator = page->validator;
	for (size_t i = 0; i < place->count; i++) {
		struct record *record = place->records[i];

		record_seen(fleet, record, record->position);
		record->renewals++;
	}
	place->moved = false;
	fleet->health.unchanged++;
	has_result(fleet, place);
}

/* All that it brought has been taken in. */
static void take_page(struct fleet *fleet, struct fleet_page *place)
{
	struct arriving *arriving = &fleet->arriving;
	const struct page *page = arriving->page;
	size_t count = arriving->count;

	place->moved = place->count != count ||
	               (count > 0 && memcmp(place->records, arriving->records,
	                                    count * sizeof(struct record *)) != 0);
	fleet_page_reset(place);
	place->records = arriving->records;
	place->count = count;
	arriving->records = NULL;
	arriving->count = 0;
	place->items = page->agent_count + page->malformed;
	place->malformed = page->malformed;
	place->repeated = arriving->repeated;
	place->total_count = page->total_count;
	place->per_page = page->per_page;
	place->validator = page->validator;
	if (fleet->last_page < arriving->number && count > 0)
		fleet->last_page = arriving->number;
	fleet->health.malformed += page->malformed;
	has_result(fleet, place);
}

/* Some of its agents: 0 at their end, -EAGAIN, -ENOMEM or -EFBIG. */
static int take_some(struct fleet *fleet)
{
	struct arriving *arriving = &fleet->arriving;
	const struct page *page = arriving->page;
	size_t bytes = 0;

	while (arriving->next < page->agent_count) {
		const struct agent *agent = page->agents[arriving->next];
		struct record *record = NULL;
		int err;

		if (bytes > 0 && bytes + agent->bytes > SLICE_BYTES)
			return -EAGAIN;
		bytes += agent->bytes;
		err = receive(fleet, agent, &record);
		if (err < 0)
			return err;
		if (record)
			arriving->records[arriving->count++] = record_ref(record);
		arriving->next++;
	}
	return 0;
}

void fleet_arriving_done(struct fleet *fleet)
{
	struct arriving *arriving = &fleet->arriving;

	for (size_t i = 0; i < arriving->count; i++)
		record_unref(arriving->records[i]);
	free(arriving->records);
	page_free(arriving->page);
	*arriving = (struct arriving){0};
}

int fleet_arrived(struct fleet *fleet, unsigned int number, struct page *page)
{
	fleet->arrival_ns = fleet_wall_ns(fleet);
	fleet->arriving = (struct arriving){
		.number = number,
		.page = page,
		.seq = ++fleet->seq,
		.at_ms = fleet_now_ms(fleet) - page->age_ms,
		.repeated = page->malformed,
		.records = malloc((page->agent_count + 1) * sizeof(struct record *)),
	};
	if (fleet->arriving.records && fleet_page(fleet, number))
		return fleet_arrive_on(fleet);
	fleet_arriving_done(fleet);
	return -ENOMEM;
}

/* What is too old may come from another cache than the time before, which kept it for longer. Then
 * what is known is better. */
static bool is_outdated(const struct arriving *arriving, const struct fleet_page *place)
{
	return arriving->page->old && place->arrived_seq > 0 && arriving->at_ms < place->arrived_ms;
}

int fleet_arrive_on(struct fleet *fleet)
{
	/* Found anew each time, since all of them may have moved. */
	struct fleet_page *place = &fleet->pages[fleet->arriving.number - 1];
	bool counted =
		place->asked_seq >= fleet->flush_seq && !is_outdated(&fleet->arriving, place);
	bool unchanged = fleet->arriving.page->unchanged;
	int err = 0;

	if (counted && !unchanged)
		err = take_some(fleet);
	if (err == -EAGAIN)
		return err;
	if (err == 0 && fleet_page_landed(fleet, place) && counted) {
		if (unchanged)
			take_unchanged(fleet, place);
		else
			take_page(fleet, place);
	}
	fleet_arriving_done(fleet);
	return err;
}
