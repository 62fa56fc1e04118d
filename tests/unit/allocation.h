/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_ALLOCATION_H
#define FLEETFS_TESTS_UNIT_ALLOCATION_H

/*
 * Allocations that fail on purpose. The linker option --wrap leads the project's calls of malloc(3)
 * and the like to this file (tests/meson.build). Allocations of libfuse and cmocka do not fail.
 */

/*
 * Calls a function again and again, and lets another allocation in it fail each time: the first,
 * the second, and so on until each has failed once. Then the same, and all later allocations
 * fail too until allocation_succeed(). Fails the test if blocks are not freed, or if the function
 * makes fewer allocations than least.
 */
void allocation_fail_each(void (*function)(void), long least);

/* Lets all allocations succeed from now on. */
void allocation_succeed(void);

/* Call it after an error: fails the test unless an allocation failed, and lets all allocations
 * succeed from now on. */
void allocation_expect_failed(void);

#endif
