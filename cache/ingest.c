/* SPDX-License-Identifier: MIT */
#include "cache/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Memory of the agents of one step: 100 usual agents, or 3 with hundreds of labels and GPUs, which
 * take a millisecond. */
#define STEP_BYTES (64u << 10)

/* Duplicates */

/* Whether the page where the record was last read still had it when that page last arrived. If not,
 * the agent has moved. */
static bool record_is_on_its_page(const struct pages *pages, const struct record *record)
{
	return record->page > 0 && pages->pages[record->page - 1].arrived_seq == record->read_seq;
}

/* Whether the agent was on record->page and record->other_page when each of them last arrived. If
 * other_page is the page that is being ingested, both its previous arrival and this response count:
 * the page gets the seq of the response as its arrived_seq only at the end. */
static bool record_is_on_two_pages(const struct ingest *ingest, const struct pages *pages,
                                   const struct record *record)
{
	if (record->other_page == 0 || !record_is_on_its_page(pages, record))
		return false;
	return pages->pages[record->other_page - 1].arrived_seq == record->other_seq ||
	       ingest->seq == record->other_seq;
}

/* Whether an agent of the response is on an earlier page too. It is then listed for that page only.
 *
 * The earlier page, record->page, must have had the agent when that page last arrived. If it is
 * fresh or arrived during the pass under way, that is enough. Else the agent may have moved from
 * the earlier page to this one. It is taken to be still on the earlier page if it was on
 * record->other_page, too, when that page last arrived, and one of these holds:
 * - it stays on record->page and record->other_page (stays_on_two);
 * - this response has it for the second time;
 * - record->other_page is a third page: then it moved from the third page to this one;
 * - record->other_page is this page, which has it at the same position as before. */
static bool ingest_is_on_earlier_page(const struct ingest *ingest, const struct pages *pages,
                                      const struct record *record, uint64_t pass_seq)
{
	if (record->page >= ingest->number || !record_is_on_its_page(pages, record))
		return false;
	if (pages_fresh(pages, record->read_ms, record->read_seq) || record->read_seq >= pass_seq)
		return true;
	if (!record_is_on_two_pages(ingest, pages, record))
		return false;
	return record->stays_on_two || record->other_seq == ingest->seq ||
	       record->other_page != ingest->number || record->other_position == ingest->next;
}

static void ingest_report_duplicate(const struct pages *pages, struct record *record)
{
	if (pages->ports->duplicate && !record->duplicate_reported)
		pages->ports->duplicate(pages->ports->user, record);
	record->duplicate_reported = true;
}

/* Drops an agent that an earlier page has too. */
static void ingest_drop_duplicate(const struct ingest *ingest, struct records *records,
                                  struct record *record)
{
	records->duplicates++;
	if (record->stays_on_two)
		ingest_report_duplicate(records->pages, record);
	if (record->other_seq == ingest->seq)
		return; /* its first position in this response is already noted */
	record->other_page = ingest->number;
	record->other_position = (uint32_t)ingest->next;
	record->other_seq = ingest->seq;
}

/* Agents */

/* Notes where and when a record was read. */
static void ingest_note_read(const struct ingest *ingest, const struct pages *pages,
                             struct record *record, uint32_t position)
{
	if (record->page == ingest->number) {
		/* Since the agent was last read on this page, the other page had it, and now this
		 * page has it again. So it is on both pages, and did not move. */
		record->stays_on_two |= record_is_on_two_pages(ingest, pages, record) &&
		                        record->other_seq > record->read_seq;
	} else if (record->page > ingest->number && record_is_on_its_page(pages, record)) {
		/* A later page has it too, unless it moved from there. */
		record->other_page = record->page;
		record->other_position = record->position;
		record->other_seq = record->read_seq;
	} else {
		record->other_page = 0;
		record->stays_on_two = false;
	}
	record->read_ms = ingest->at_ms;
	record->read_seq = ingest->seq;
	record->page = ingest->number;
	record->position = position;
}

/* Ingests the next agent of the response. 0 and its record, or NULL if it is dropped; -ENOMEM or
 * -EFBIG. */
static int ingest_agent(struct ingest *ingest, struct records *records, uint64_t pass_seq,
                        struct record **ret_record)
{
	struct pages *pages = records->pages;
	const struct agent *agent = ingest->response->agents[ingest->next];
	char name[FLEET_NAME_BYTES];
	struct record *record;
	int err;

	pages->ports->name(agent->id, name);
	record = records_find(records, name);
	if (!record) {
		bool report = !pages->pages[ingest->number - 1].was_missing;

		err = records_add(records, agent, name, report, ingest->at_ns, &record);
	} else if (record->read_seq == ingest->seq) {
		/* It cannot have moved within one response, so this is reported at once. */
		records->duplicates++;
		ingest->dropped++;
		ingest_report_duplicate(pages, record);
		*ret_record = NULL;
		return 0;
	} else if (ingest_is_on_earlier_page(ingest, pages, record, pass_seq)) {
		ingest_drop_duplicate(ingest, records, record);
		*ret_record = NULL;
		return 0;
	} else {
		err = records_update(records, record, agent, ingest->at_ns);
	}
	if (err < 0)
		return err;
	ingest_note_read(ingest, pages, record, (uint32_t)ingest->next);
	*ret_record = record;
	return 0;
}

/* Ingests agents up to STEP_BYTES, at least one. 0: there are no more; -EAGAIN, -ENOMEM, -EFBIG. */
static int ingest_agents(struct ingest *ingest, struct records *records, uint64_t pass_seq)
{
	const struct page *response = ingest->response;
	size_t bytes = 0;

	for (; ingest->next < response->agent_count; ingest->next++) {
		size_t agent_bytes = response->agents[ingest->next]->block_bytes;
		struct record *record;
		int err;

		if (bytes > 0 && bytes + agent_bytes > STEP_BYTES)
			return -EAGAIN;
		bytes += agent_bytes;
		err = ingest_agent(ingest, records, pass_seq, &record);
		if (err < 0)
			return err;
		if (record)
			ingest->records[ingest->count++] = record_ref(record);
	}
	return 0;
}

/* The page */

/* Renews a page that is unchanged according to its response. If its records changed since its
 * last response, ignores this one and drops the validator, so that the next response has the whole
 * page. */
static void ingest_unchanged(const struct ingest *ingest, struct records *records,
                             struct cached_page *page)
{
	const struct page *response = ingest->response;

	if (!page_is_intact(page, ingest->number)) {
		page->validator = (struct validator){0};
		return;
	}
	if (validator_is_present(&response->validator))
		page->validator = response->validator;
	for (size_t i = 0; i < page->count; i++) {
		struct record *record = page->records[i];

		ingest_note_read(ingest, records->pages, record, record->position);
		record->renewals++;
	}
	page->moved = false;
	records->unchanged++;
	pages_note_arrival(records->pages, page, response, ingest->at_ms, ingest->seq);
}

/* Replaces the content of a page by the records that were ingested. */
static void ingest_content(struct ingest *ingest, struct records *records, struct cached_page *page)
{
	const struct page *response = ingest->response;
	size_t count = ingest->count;

	page->moved =
		page->count != count || (count > 0 && memcmp(page->records, ingest->records,
	                                                     count * sizeof(struct record *)) != 0);
	page_reset(page);
	page->records = ingest->records;
	page->count = count;
	ingest->records = NULL;
	ingest->count = 0;
	page->elements = response->agent_count + response->dropped;
	page->dropped = ingest->dropped;
	page->total_count = response->total_count;
	page->per_page = response->per_page;
	page->validator = response->validator;
	if (records->pages->last < ingest->number && count > 0)
		records->pages->last = ingest->number;
	records->malformed += response->dropped;
	pages_note_arrival(records->pages, page, response, ingest->at_ms, ingest->seq);
}

/* Whether the request was sent before the last pages_expire_all(), or the response is older than
 * the content of the page. The latter happens if responses come from several HTTP caches. */
static bool ingest_is_ignored(const struct ingest *ingest, const struct pages *pages)
{
	const struct cached_page *page = &pages->pages[ingest->number - 1];

	return page_ignores_response(pages, page) ||
	       (ingest->response->old && page->arrived_seq > 0 && ingest->at_ms < page->arrived_ms);
}

int ingest_begin(struct ingest *ingest, struct records *records, unsigned int number,
                 struct page *response)
{
	struct pages *pages = records->pages;

	*ingest = (struct ingest){
		.number = number,
		.response = response,
		.seq = ++pages->seq,
		.at_ms = pages_now_ms(pages) - response->age_ms,
		.at_ns = pages_wall_ns(pages),
		.first_serial = records->last_serial + 1,
		.dropped = response->dropped,
		.records = malloc((response->agent_count + 1) * sizeof(struct record *)),
	};
	if (ingest->records && pages_create(pages, number))
		return 0;
	ingest_done(ingest);
	return -ENOMEM;
}

int ingest_step(struct ingest *ingest, struct records *records, uint64_t pass_seq)
{
	if (ingest->response->unchanged || ingest_is_ignored(ingest, records->pages))
		return 0;
	return ingest_agents(ingest, records, pass_seq);
}

void ingest_finish(struct ingest *ingest, struct records *records)
{
	struct cached_page *page = &records->pages->pages[ingest->number - 1];
	bool ignored = ingest_is_ignored(ingest, records->pages);

	pages_land(records->pages, page);
	if (ignored)
		return;
	if (ingest->response->unchanged)
		ingest_unchanged(ingest, records, page);
	else
		ingest_content(ingest, records, page);
}

void ingest_done(struct ingest *ingest)
{
	for (size_t i = 0; ingest->records && i < ingest->count; i++)
		record_unref(ingest->records[i]);
	free(ingest->records);
	page_free(ingest->response);
	*ingest = (struct ingest){0};
}
