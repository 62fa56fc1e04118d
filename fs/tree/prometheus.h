/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_PROMETHEUS_H
#define FLEETFS_FS_TREE_PROMETHEUS_H

/*
 * Prometheus' text format. All samples of a metric follow its head. A sample is
 *
 *	prometheus_begin(text, "metric", fleet);
 *	prometheus_label(text, "agent", name);   // any number of labels, also none
 *	prometheus_end(text);
 *	text_printf(text, "%d\n", value);
 *
 * Two samples of a metric must differ in their labels, or Prometheus rejects the whole file.
 */

#include <stdint.h>

#include "fs/tree/text.h"

/* Appends the HELP and TYPE lines of a metric: its head. */
void prometheus_head(struct text *text, const char *name, const char *type, const char *help);

/* Begins a sample. fleet: the value of its label `fleet`; NULL: it has no such label. */
void prometheus_begin(struct text *text, const char *name, const char *fleet);

/* Appends a label. value: a stored string; NULL is the empty string. */
void prometheus_label(struct text *text, const char *name, const char *value);

/* Ends the labels. The caller then appends the value and a line end. */
void prometheus_end(struct text *text);

/* Appends a time or duration, at least 0 ns, as the value of a sample in seconds, and the line end.
 */
void prometheus_time(struct text *text, int64_t ns);

#endif
