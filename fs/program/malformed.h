/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_PROGRAM_MALFORMED_H
#define FLEETFS_FS_PROGRAM_MALFORMED_H

/*
 * Log lines about dropped elements of agent_list: malformed ones, and a second element with the ID
 * of another one. One line for each pair of agent and reason.
 *
 * Every refresh returns the same elements again, so the logged pairs are stored, up to
 * MALFORMED_MAX_LOGGED of them. The last line then says that further elements are only counted.
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

/* Describes a dropped element in one line that is safe to print. page: the page's number; 0 if the
 * source is a file, which has no pages. */
void malformed_describe(const struct page_fault *fault, unsigned int page, char *ret_text,
                        size_t text_bytes);

/* Logs the dropped elements of a page that were not logged before. page: as in
 * malformed_describe(). */
void malformed_log(struct malformed *malformed, const struct page_fault *faults, size_t count,
                   unsigned int page);

/* Notes that the API lists an agent twice. Returns whether that must be logged, because it was not
 * noted before and there is room. name: of the agent's directory. */
bool malformed_note_duplicate(struct malformed *malformed, const char *name);

/* Logs that the API lists an agent twice. After malformed_note_duplicate(). name: without secrets.
 */
void malformed_log_duplicate(const struct malformed *malformed, const char *name);

#endif
