/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_REPLAY_REPLAY_H
#define FLEETFS_API_REPLAY_REPLAY_H

/*
 * A saved list in place of the API: a file that holds what GET /agents answered, or the
 * fleet/agents.json of a mount, handed out as pages.
 *
 * The file is read and checked as a whole, and its text is kept, so that a page costs no more than
 * decoding its agents. It is looked at again (stat) when a page is wanted and the last look is a
 * ttl ago, and read again if it is another: replaced, touched, or so young when it was read that
 * a change since may not show in its times. All pages of one look are as old as that look, so they
 * expire together, and a list that was replaced by rename(2) is met as the old one or the new.
 * A file that changes while it is read is refused.
 *
 * One thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/http/client.h"

struct replay;

/* A file by its path, cut into pages of per_page agents. Not looked at yet. NULL without memory. */
struct replay *replay_new(const char *file, unsigned int per_page, int64_t ttl_ms);

/* NULL is fine. */
void replay_free(struct replay *replay);

/*
 * Fills arrival's page, of arrival->number, or its failure. again: looks at the file whatever the
 * ttl. The note says if the file holds another number of agents than it says there are (a page of
 * many), whenever these numbers are others than before. Pages beyond the end are empty.
 */
void replay_answer(struct replay *replay, bool again, struct fetch *fetch);

#endif
