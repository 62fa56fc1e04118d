/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_FAULT_H
#define FLEETFS_SIM_FAULT_H

/*
 * Answers that a test orders in place of the true ones.
 *
 * Faults of a number of times are used up first, in the order in which they came; then the one
 * until cleared for just this page; then the one until cleared for all. So 503, 429, then the truth
 * is three orders given at once.
 *
 * The caller holds the simulator's lock.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/gate.h"

struct fault {
	uint64_t page;       /* 0: all */
	uint64_t times;      /* how often; 0: until cleared */
	unsigned int status; /* 0: the connection is closed without an answer */
	uint64_t cut_bytes;  /* of the body, then the connection is closed; beyond its size: all */
	const char *retry_after; /* value of the header, or NULL */
	const char *location;    /* value of the header, or NULL */
	const char *body;        /* NULL: a JSON error that names the status */
	size_t body_bytes;
};

struct faults;

/* NULL: out of memory. */
struct faults *faults_new(void);

/* NULL is fine. */
void faults_free(struct faults *faults);

/* Copies it. One until cleared replaces an earlier such for the same page. 0 or -ENOMEM. */
int faults_add(struct faults *faults, const struct fault *fault);

void faults_clear(struct faults *faults);

/* Answers the request if there is a fault for it, and has the gate count that. Whether it did;
 * *ret_result is for libmicrohttpd. */
bool faults_answer(struct faults *faults, struct gate *gate, struct request *request,
                   enum MHD_Result *ret_result);

#endif
