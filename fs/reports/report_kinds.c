/* SPDX-License-Identifier: MIT */
#include "fs/reports/report_kinds.h"

const struct report_kind *const report_kinds[TREE_REPORTS] = {
	[TREE_SUMMARY] = &report_summary,   [TREE_TSV] = &report_tsv,
	[TREE_GPUS_TSV] = &report_gpus_tsv, [TREE_JSON] = &report_json,
	[TREE_JSONL] = &report_jsonl,       [TREE_METRICS] = &report_metrics,
	[TREE_HTML] = &report_html,
};
