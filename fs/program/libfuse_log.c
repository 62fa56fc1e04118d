/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/program/libfuse_log.h"

#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdio.h>

#include "fs/program/log.h"

__attribute__((format(printf, 2, 0))) static void libfuse_log_message(enum fuse_log_level level,
                                                                      const char *format,
                                                                      va_list arguments)
{
	char line[512];
	int length = vsnprintf(line, sizeof(line), format, arguments);

	while (length > 0 && length < (int)sizeof(line) && line[length - 1] == '\n')
		line[--length] = '\0';
	log_line(level <= FUSE_LOG_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s", line);
}

__attribute__((format(printf, 2, 0))) static void libfuse_log_debug_message(
	enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	libfuse_log_message(FUSE_LOG_DEBUG, format, arguments);
}

void libfuse_log_redirect(bool mounted)
{
	fuse_set_log_func(mounted ? libfuse_log_message : libfuse_log_debug_message);
}
