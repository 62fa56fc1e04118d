/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_DECODING_H
#define FLEETFS_TESTS_UNIT_DECODING_H

/* Decoding a body with what must hold of the decoder, whatever the body is. */

#include <stddef.h>

#include "api/model/agent.h"
#include "api/model/failure.h"
#include "api/model/page.h"

/* decode_page() of a copy of just that size, so that ASan sees a look beyond it. */
int decoding(const char *body, size_t bytes, struct page **ret_page, struct failure *why);

/* The page of a body that has to be good. */
struct page *decoding_good(const char *body);

#endif
