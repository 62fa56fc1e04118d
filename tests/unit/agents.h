/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_AGENTS_H
#define FLEETFS_TESTS_UNIT_AGENTS_H

/* Agents and pages made by hand, for tests of what lies behind the decoder. */

#include <stddef.h>

#include "api/model/agent.h"
#include "api/model/page.h"

/* An agent that has an id and nothing else. Not on the heap: never to be unreferenced to 0. */
struct agent agents_blank(const char *id);

/* One on the heap with one reference, as the decoder makes them; its json tells id and status. */
struct agent *agents_new(const char *id, const char *status);

/* A page with room for so many agents, holding none yet, honest about nothing. */
struct page *agents_page(size_t capacity);

#endif
