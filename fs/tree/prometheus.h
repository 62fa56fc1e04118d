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

/* Appends the lines of a metric before its samples. */
void prometheus_head(struct text *text, const char *name, const char *type, const char *help);

/* Begins a sample. fleet: the value of its label `fleet`; NULL: it has none. */
void prometheus_begin(struct text *text, const char *name, const char *fleet);

/* Appends a label. value: a stored string; NULL is the empty string. */
void prometheus_label(struct text *text, const char *name, const char *value);

/* Ends the labels. The value and a line end follow. */
void prometheus_end(struct text *text);

/* Appends a time as the value of a sample, in seconds, and the line end. */
void prometheus_time(struct text *text, int64_t wall_ns);

#endif
