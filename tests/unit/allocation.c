/* SPDX-License-Identifier: MIT */
#include "tests/unit/allocation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock; /* the client has a thread */
	long left;            /* number of allocations that succeed before one fails; -1: all */
	bool for_good;        /* all later ones fail, too */
	unsigned long failed;
	long live; /* number of blocks that are not freed */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = -1};

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_reallocarray(void *block, size_t count, size_t bytes);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t bytes);
char *__real_getcwd(char *buffer, size_t bytes);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
void __real_free(void *block);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_reallocarray(void *block, size_t count, size_t bytes);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t bytes);
char *__wrap_getcwd(char *buffer, size_t bytes);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
int __wrap_asprintf(char **ret, const char *format, ...);
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);
int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...);
void __wrap_free(void *block);

static bool allocation_fails(void)
{
	bool failing = false;

	pthread_mutex_lock(&memory.lock);
	if (memory.left > 0) {
		memory.left--;
	} else if (memory.left == 0) {
		if (!memory.for_good)
			memory.left = -1;
		memory.failed++;
		failing = true;
	}
	pthread_mutex_unlock(&memory.lock);
	if (failing)
		errno = ENOMEM;
	return failing;
}

static void allocation_count(int blocks)
{
	pthread_mutex_lock(&memory.lock);
	memory.live += blocks;
	pthread_mutex_unlock(&memory.lock);
}

static void *allocation_counted(void *block)
{
	allocation_count(block != NULL);
	return block;
}

void *__wrap_malloc(size_t bytes)
{
	return allocation_fails() ? NULL : allocation_counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return allocation_fails() ? NULL : allocation_counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *block, size_t bytes)
{
	if (allocation_fails())
		return NULL;
	return block ? __real_realloc(block, bytes)
	             : allocation_counted(__real_realloc(NULL, bytes));
}

void *__wrap_reallocarray(void *block, size_t count, size_t bytes)
{
	if (allocation_fails())
		return NULL;
	return block ? __real_reallocarray(block, count, bytes)
	             : allocation_counted(__real_reallocarray(NULL, count, bytes));
}

char *__wrap_strdup(const char *string)
{
	return allocation_fails() ? NULL : allocation_counted(__real_strdup(string));
}

char *__wrap_strndup(const char *string, size_t bytes)
{
	return allocation_fails() ? NULL : allocation_counted(__real_strndup(string, bytes));
}

char *__wrap_getcwd(char *buffer, size_t bytes)
{
	if (buffer)
		return __real_getcwd(buffer, bytes);
	return allocation_fails() ? NULL : allocation_counted(__real_getcwd(NULL, bytes));
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
{
	int length = allocation_fails() ? -1 : __real_vasprintf(ret, format, arguments);

	allocation_count(length >= 0);
	return length;
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = __wrap_vasprintf(ret, format, arguments);
	va_end(arguments);
	return length;
}

/* With _FORTIFY_SOURCE the compiler calls the following two. */
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments)
{
	(void)flag;
	return __wrap_vasprintf(ret, format, arguments);
}

int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...)
{
	va_list arguments;
	int length;

	(void)flag;
	va_start(arguments, format);
	length = __wrap_vasprintf(ret, format, arguments);
	va_end(arguments);
	return length;
}

void __wrap_free(void *block)
{
	allocation_count(-(block != NULL));
	__real_free(block);
}

void allocation_succeed(void)
{
	pthread_mutex_lock(&memory.lock);
	memory.left = -1;
	pthread_mutex_unlock(&memory.lock);
}

void allocation_expect_failed(void)
{
	allocation_succeed();
	assert_true(memory.failed > 0);
}

void allocation_fail_each(void (*function)(void), long least)
{
	for (int for_good = 0; for_good <= 1; for_good++) {
		for (long n = 0;; n++) {
			long live = memory.live;

			memory.failed = 0;
			memory.for_good = for_good;
			memory.left = n;
			function();
			memory.left = -1;
			if (memory.live != live)
				fail_msg("%ld blocks are leaked when allocation %ld fails",
				         memory.live - live, n);
			if (memory.failed == 0) {
				assert_true(n >= least);
				break;
			}
		}
	}
}
