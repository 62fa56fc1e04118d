/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_JSON_DECODE_OUTLINE_H
#define FLEETFS_API_JSON_DECODE_OUTLINE_H

/* Makes a page of the values that json_scan() found in a response or a list. For decode.c. */

#include <stddef.h>

#include "api/json/json_scan.h"
#include "api/model/page.h"

/*
 * Decodes the elements of agent_list and the member page_meta. first: the index in the whole list
 * of the first element in outline. Returns 0 and a page for page_free(), or -ENOMEM.
 */
int decode_outline(const char *text, const struct json_outline *outline, size_t first,
                   struct page **ret_page);

#endif
