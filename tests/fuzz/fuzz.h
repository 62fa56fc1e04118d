/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_FUZZ_FUZZ_H
#define FLEETFS_TESTS_FUZZ_FUZZ_H

/* What all fuzz targets share. Each is one function, which libFuzzer calls with one input after the
 * other; what should hold and does not is a finding, as is a crash, a leak or a sanitizer's word.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(what) ((what) ? (void)0 : fuzz_wrong(__FILE__, __LINE__, #what))

__attribute__((noreturn)) static inline void fuzz_wrong(const char *file, int line,
                                                        const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* A copy of just that size, so that a look beyond it is seen; for free(). */
static inline char *fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	expect(copy);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

/* The same, as a string up to its first NUL. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	expect(copy);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

/* Safe to show on one line. */
static inline void fuzz_expect_plain(const char *text, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct utf8_char c = utf8_next(text + at, bytes - at);

		expect(c.kind == UTF8_PLAIN);
		at += c.bytes;
	}
}

#endif
