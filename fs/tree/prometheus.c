/* SPDX-License-Identifier: MIT */
#include "fs/tree/prometheus.h"

#include <inttypes.h>
#include <stdbool.h>

void prometheus_head(struct text *text, const char *name, const char *type, const char *help)
{
	text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_begin(struct text *text, const char *name, const char *fleet)
{
	text_printf(text, "%s", name);
	if (fleet)
		prometheus_label(text, "fleet", fleet);
}

/* Whether the sample has a label. Only a label ends with a quote. */
static bool prometheus_has_label(const struct text *text)
{
	return text->length > 0 && text->bytes[text->length - 1] == '"';
}

void prometheus_label(struct text *text, const char *name, const char *value)
{
	text_printf(text, "%c%s=", prometheus_has_label(text) ? ',' : '{', name);
	text_quoted(text, value);
}

void prometheus_end(struct text *text)
{
	text_printf(text, prometheus_has_label(text) ? "} " : " ");
}

void prometheus_time(struct text *text, int64_t ns)
{
	text_printf(text, "%" PRId64 ".%03d\n", ns / 1000000000, (int)(ns / 1000000 % 1000));
}
