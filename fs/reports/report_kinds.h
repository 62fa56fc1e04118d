/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_REPORT_KINDS_H
#define FLEETFS_FS_REPORTS_REPORT_KINDS_H

/* What is written in each report of fleet/. */

#include "fs/reports/report_builder.h"
#include "fs/tree/tree.h"

/* By enum tree_report. NULL: not built by a report builder (events.log). */
extern const struct report_kind *const report_kinds[TREE_REPORTS];

/* summary: `key: value` lines with the totals of the fleet. */
extern const struct report_kind report_summary;

/* agents.tsv: a header, and a line for each agent, tab-separated. Absent values are empty. */
extern const struct report_kind report_tsv;

/* gpus.tsv: a header, and a line for each GPU of each agent. */
extern const struct report_kind report_gpus_tsv;

/* agents.json: all agents as the API would return them on one page. */
extern const struct report_kind report_json;

/* agents.jsonl: the JSON object of each agent on a line. */
extern const struct report_kind report_jsonl;

/* metrics.prom: Prometheus' text format. */
extern const struct report_kind report_metrics;

/* fleet.html: a page for a browser that shows the whole fleet. */
extern const struct report_kind report_html;

#endif
