/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_DECODING_H
#define FLEETFS_TESTS_UNIT_DECODING_H

/* Decodes pages for tests, and checks what must hold for every body. */

#include <stddef.h>

#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"

/* Calls decode_page() with a copy of exactly this size, so ASan detects a read beyond it. Checks
 * that it sets either a page or a failure. */
int decoding_any(const char *body, size_t bytes, struct page **ret_page, struct failure *failure);

/* Returns the page of a body; fails the test if it is rejected. */
struct page *decoding_good(const char *body);

/* The example in the API's public reference. */
extern const char decoding_example[];

#endif
