/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_AGENTS_H
#define FLEETFS_TESTS_UNIT_AGENTS_H

/* Agents and pages for tests of modules that get them from the decoder. */

#include <stddef.h>

#include "api/model/agent.h"
#include "api/model/page.h"

/* Returns an agent that has only an id. It is not on the heap, so its last reference must not be
 * returned. id is borrowed. */
struct agent agents_blank(const char *id);

/* Creates an agent on the heap with one reference, as the decoder does. Its JSON has the id and the
 * status. */
struct agent *agents_new(const char *id, const char *status);

/* Creates a page with room for so many agents and none yet, without counts and validator. */
struct page *agents_page(size_t capacity);

#endif
