/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_KERNEL_CHECK_H
#define FLEETFS_TESTS_UNIT_KERNEL_CHECK_H

/* The part of the fake kernel that checks replies. */

#include "tests/unit/kernel.h"

/* Aborts the program unless a condition holds. */
#define expect(what) ((what) ? (void)0 : kernel_fail(__FILE__, __LINE__, #what))

/* Reports a condition that does not hold, and aborts. */
__attribute__((noreturn)) void kernel_fail(const char *file, int line, const char *what);

/* Checks the reply in kernel->error and kernel->data to a request against all earlier replies, and
 * records the nodes and entries in it. */
void kernel_check_reply(struct kernel *kernel, const struct kernel_request *request);

#endif
