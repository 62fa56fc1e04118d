/* SPDX-License-Identifier: MIT */
#include "api/model/page.h"

#include <stdlib.h>

bool validator_is_present(const struct validator *validator)
{
	return validator->etag[0] || validator->last_modified[0];
}

void page_free(struct page *page)
{
	if (!page)
		return;
	for (size_t i = 0; i < page->agent_count; i++)
		agent_unref(page->agents[i]);
	free(page);
}
