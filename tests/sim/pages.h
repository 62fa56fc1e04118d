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

/*
 * The answer for a page (from 1) of per_page agents, compressed if the client takes that and
 * pages_new() allowed it. The response is borrowed: queue it before the lock is given back, do not
 * destroy it. 0 or -ENOMEM; *ret_bytes is its body's size.
 */
int pages_get(struct pages *pages, uint64_t page, unsigned int per_page, bool gzip,
              struct MHD_Response **ret_response, size_t *ret_bytes);

/* From now on this text (any JSON) stands for total_count; empty: the true number. 0 or -ENOMEM. */
int pages_set_total(struct pages *pages, const char *total);

#endif
