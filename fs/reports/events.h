/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_EVENTS_H
#define FLEETFS_FS_REPORTS_EVENTS_H

/*
 * fleet/events.log: a line for each change, in the order of arrival: time, agent, field, old value,
 * new value, separated by tabs.
 *
 * The agent is named as in agents/, and a field as its file (status, gpus/0/name). The values are
 * the texts of the file before and after, their lines joined with commas, and a dash for an empty
 * or missing file. Each file of an agent whose text changed gets a line. Exceptions are agent.json,
 * which contains all the others, and measurements and derived values: last_heartbeat, sync_percent,
 * gpu_free, vram_free and vram_used. When an agent joins, the line has the field `agent`, the old
 * value `-` and the new value `joined`; when it departs, the values are `left` and `-`.
 *
 * The log costs nothing until it is first queried. That query reads the whole list; its agents are
 * not logged as joined. From then on each agent that arrives is compared with its previous data,
 * also if another query fetched it. Only queries of the log fetch pages for it: they read the list
 * again once its ttl has expired. If the API fails, a query returns the log as it is. If the fleet
 * refreshes its list without a reader (fleet_refresh()), the log begins at the mount.
 *
 * The log is the only file that grows; bytes that are in it never change. When it is full, a new,
 * empty log takes its name, and the full one becomes the previous log, events.log.1. logrotate does
 * the same, and `tail -F` follows it. `tail -F` checks only every few seconds whether the name has
 * become another file, so no log is replaced that is younger than EVENTS_MIN_AGE_MS, unless it is
 * very large.
 *
 * Not thread-safe: only the FUSE thread uses events and logs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fleet.h"
#include "fs/tree/text.h"

#define EVENTS_BYTES      (UINT64_C(4) << 20) /* a log of at least this size is full */
#define EVENTS_MIN_AGE_MS 10000 /* a younger log is not replaced; tail -F needs up to 7 s */
#define EVENTS_MAX_FACTOR 16    /* a log of 16 * EVENTS_BYTES is replaced at any age */

/* The content of a log. Only the current one grows. */
struct event_log {
	unsigned int refs;
	struct text text;
	int64_t mtime_ns; /* of the last event, or when the log began; wall clock */
};

/* Adds a reference. */
struct event_log *event_log_ref(struct event_log *log);

/* Releases a reference; the last one frees the log. NULL is allowed. */
void event_log_unref(struct event_log *log);

struct events;

/* fleet: borrowed. timeout_ms: of a file operation; 0: none. full_bytes: EVENTS_BYTES, or fewer in
 * tests. Begins the log if the fleet refreshes its list. Returns NULL without memory. */
struct events *events_new(struct fleet *fleet, int64_t timeout_ms, uint64_t full_bytes);

/* NULL is allowed. */
void events_free(struct events *events);

/* Returns 0 and the current log, borrowed; -EAGAIN; or, if there is no log to return, -errno. The
 * first query begins the log. Unless the API fails or is slow, the log has the events of a list
 * that is within its ttl.
 *
 * reading: the kernel asks for the size of the log during a read(2). If the list was checked less
 * than a second ago, the log is then returned as it is. Otherwise a reader of a log that grows as
 * fast as it is read would never reach its end. */
int events_query(struct events *events, struct query *query, bool reading,
                 struct event_log **ret_log);

/* Whether this log is the current one, to which events are appended. */
bool events_is_current(const struct events *events, const struct event_log *log);

/* The previous log, borrowed; NULL if there was none. */
struct event_log *events_previous(const struct events *events);

/* Appends the lines of a change. For the port `changed` of the fleet (cache/ports.h), with its
 * parameters. Returns 0, or -errno with nothing appended. */
int events_changed(struct events *events, const struct record *record, const struct agent *before,
                   const struct agent *after, int64_t at_ns);

#endif
