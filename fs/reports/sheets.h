/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_SHEETS_H
#define FLEETFS_FS_REPORTS_SHEETS_H

/* The documents of `fleet/` (fs/reports/document.h). */

#include "fs/reports/document.h"

/* `key: value` lines: what the fleet comes to. */
extern const struct sheet sheet_summary;

/* A line for each agent, tab-separated, and a header. Absent values are empty. */
extern const struct sheet sheet_tsv;

/* All agents as the API would have said it, on one page. */
extern const struct sheet sheet_json;

/* Prometheus' text format. */
extern const struct sheet sheet_metrics;

/* A page for a browser, which shows all of it. */
extern const struct sheet sheet_html;

#endif
