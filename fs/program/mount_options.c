/* SPDX-License-Identifier: MIT */
#include "fs/program/mount_options.h"

#include <string.h>

#include "fs/program/options.h"
#include "fs/tree/text.h"

#define MAX_BYTES (1 << 16)

void mount_options_add(struct text *list, const char *name, const char *value)
{
	text_printf(list, "%s%s%s", list->length ? "," : "", name, value ? "=" : "");
	for (; value && *value; value++) {
		if (*value == ',' || *value == '\\')
			text_bytes(list, "\\", 1);
		text_bytes(list, value, 1);
	}
}

char *mount_options_join(const struct options *options)
{
	struct text text;
	char *joined = NULL;

	text_init(&text, MAX_BYTES);
	text_printf(&text, MOUNT_OPTIONS_FIXED ",subtype=fleetfs");
	mount_options_add(&text, "fsname", options->source);
	if (*options->fuse)
		text_printf(&text, ",%s", options->fuse);
	if (text_error(&text) == 0)
		joined = strndup(text.bytes, text.length);
	text_done(&text);
	return joined;
}
