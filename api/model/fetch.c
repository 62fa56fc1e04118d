/* SPDX-License-Identifier: MIT */
#include "api/model/fetch.h"

#include <stdlib.h>

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	page_free(fetch->page);
	free(fetch);
}
