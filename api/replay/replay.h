/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_REPLAY_REPLAY_H
#define FLEETFS_API_REPLAY_REPLAY_H

/*
 * A saved list as the source of pages, in place of the API: a file with a response to GET /agents,
 * or the fleet/agents.json of a mount.
 *
 * The file is read and checked as a whole. Its text is retained, so a page costs no more than the
 * decoding of its agents. When a page is requested, the file is checked again by stat() if the last
 * check is at least a ttl ago or found no valid list. It is read again if it was replaced or its
 * times changed, or if its ctime was so recent when it was read that a later write may have left
 * the times as they were.
 *
 * All pages are as old as the last check, so they expire together. If the list is replaced by
 * rename(), they are all from the old list or all from the new one. A file that changes while it is
 * read is rejected.
 *
 * One thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/model/fetch.h"

struct replay;

/* Returns a replay of a file, in pages of per_page agents; or NULL if there is no memory. Copies
 * the path, and does not access the file yet. */
struct replay *replay_new(const char *file, unsigned int per_page, int64_t ttl_ms);

/* NULL is allowed. */
void replay_free(struct replay *replay);

/*
 * Fills fetch->page, of number fetch->number, or fetch->failure. Pages after the end of the list
 * are empty. check_now: checks the file even if the ttl has not passed.
 *
 * Sets fetch->note if the total_count in the file is missing or differs from the number of its
 * agents, for example because it has one page of many. Repeats this only after one of the two
 * numbers has changed.
 */
void replay_fetch(struct replay *replay, bool check_now, struct fetch *fetch);

#endif
