/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_PAGES_H
#define FLEETFS_SIM_PAGES_H

/*
 * Ready-made answers: each page of the fleet is assembled once, and the same response object is
 * queued for every request until the fleet's generation changes. So a benchmark measures its
 * subject, not the simulator.
 *
 * The caller holds the simulator's lock.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/fleet.h"

struct pages;

/* fleet is borrowed and must live longer. gzip: whether answers may be compressed at all. NULL:
 * out of memory. */
struct pages *pages_new(const struct fleet *fleet, bool gzip);

/* NULL is fine. */
void pages_free(struct pages *pages);

/* By what a page is told from what it was: "" where pages_validate() did not ask for it. */
struct pages_validator {
	char etag[24];
	char last_modified[32];
};

/*
 * The answer for a page (from 1) of per_page agents, compressed if the client takes that and
 * pages_new() allowed it. The response is borrowed: queue it before the lock is given back, do not
 * destroy it. 0 or -ENOMEM; *ret_bytes is its body's size, *ret_validator what its headers say.
 */
int pages_get(struct pages *pages, uint64_t page, unsigned int per_page, bool gzip,
              struct MHD_Response **ret_response, size_t *ret_bytes,
              struct pages_validator *ret_validator);

/* Whether answers have an ETag (a strong one, so of each coding another) and a Last-Modified: of
 * the whole fleet, and when it was noticed. */
void pages_validate(struct pages *pages, bool etag, bool last_modified);

/* From now on this text (any JSON) stands for total_count; empty: the true number. 0 or -ENOMEM. */
int pages_set_total(struct pages *pages, const char *total);

#endif
