/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_EVENTS_H
#define FLEETFS_FS_REPORTS_EVENTS_H

/*
 * fleet/events.log: what changed, a line for each, in the order in which it arrived: time, agent,
 * field, old, new, separated by tabs.
 *
 * The agent by its name in the tree. A field is named as its file is (status, gpus/0/vram_free),
 * old and new are what is in the file, its lines joined with commas, and a dash for nothing. So
 * there is one rule: each file of an agent whose text is another than before is a line; but for
 * agent.json, which is all of them. Who comes and goes is the field agent, from a dash to "joined"
 * and from "left" to a dash.
 *
 * It costs nothing until somebody looks at it. That look reads the whole list, which is no event;
 * from then on all that arrives is compared, whoever asked for it. Nothing is fetched for the log
 * but by a look at it, which reads the list again once its ttl is over. Without an API to be had
 * the log as it is is the answer.
 *
 * It is the one file that grows: a document (fs/reports/document.h) that lines are added to, so
 * what was read of it once stays as it was. When it is full another begins, empty, under its name,
 * and the full one is the one before: as logrotate does it, which is what `tail -F` and its like
 * know how to follow. They look for another file by that name only after a while, so one is the log
 * for a while at the least, whatever its size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/reports/document.h"

#define EVENTS_BYTES    (UINT64_C(4) << 20) /* when it is full; may be some agents' lines more */
#define EVENTS_LEAST_MS 10000               /* tail -F of coreutils looks again after 7 s */
#define EVENTS_MOST     16                  /* times EVENTS_BYTES, and it is full all the same */

struct events;

/* NULL without memory. fleet is borrowed. timeout_ms: of an operation. full_bytes: EVENTS_BYTES. */
struct events *events_new(struct fleet *fleet, int64_t timeout_ms, uint64_t full_bytes);

/* NULL is fine. */
void events_free(struct events *events);

/* The log, with all that there is to know by now; begins it. reading: this is not a look but the
 * end of a read(2): news of just now will do, or who reads a log that grows as fast would never
 * come to its end. 0 and the log, borrowed; -EAGAIN; or -errno of the failure, if it has not begun.
 */
int events_look(struct events *events, struct query *query, bool reading, struct document **ret);

/* The log before this one; NULL: there was none. Borrowed. */
struct document *events_before(const struct events *events);

/* Takes note of a change: the fleet's port of this name. 0, or -errno and no note was taken. */
int events_changed(struct events *events, const struct record *record, const struct agent *before,
                   const struct agent *after, int64_t at_ns);

#endif
