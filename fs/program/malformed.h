/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_MALFORMED_H
#define FLEETFS_FS_PROGRAM_MALFORMED_H

/*
 * Log lines about elements of agent_list that were dropped, one for each agent and reason. A second
 * element with the ID of another one is dropped, too.
 *
 * A page arrives again and again, so what was logged is remembered, up to MALFORMED_MAX_LOGGED
 * pairs of agent and reason; a last line then says that further ones are only counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "api/model/page.h"

#define MALFORMED_MAX_LOGGED 256

struct malformed {
	uint64_t logged[MALFORMED_MAX_LOGGED]; /* hashes of agent and reason */
	size_t count;
};

/* Describes one dropped element in one line, safe to show. page: its number; 0 if the list is a
 * file, which has no pages. */
void malformed_describe(const struct page_fault *fault, unsigned int page, char *ret_text,
                        size_t text_bytes);

/* Logs the dropped elements of a page that were not logged before. page as above. */
void malformed_log(struct malformed *malformed, const struct page_fault *faults, size_t count,
                   unsigned int page);

/* Logs that an agent is listed twice, unless that was logged before. name: as in the tree. */
void malformed_log_duplicate(struct malformed *malformed, const char *name);

#endif
