/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_GATE_H
#define FLEETFS_SIM_GATE_H

/*
 * What every API request passes: here it is counted, and held or delayed as a test ordered.
 *
 * A request that has to wait is parked: its connection is suspended, so that no thread waits. While
 * suspended a connection is not looked at, so a client that went away is noticed only when its
 * request is let go.
 *
 * "Parallel" are the requests received whole and not yet answered (their answer not yet begun), so
 * that a client which asks again as soon as it has an answer is never counted twice. Without a hold
 * or a delay the simulator is too fast for this to tell much.
 *
 * Pages are numbered from 1; in an order 0 stands for all, and in a request for no valid page. The
 * caller holds the simulator's lock, for each function.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct request {
	struct MHD_Connection *connection;
	uint64_t page;
	bool received; /* counted by gate_received() */
	bool answered; /* counted by gate_answered() */

	/* The gate's own. */
	struct request *previous, *next; /* while parked */
	bool parked;
	bool held;
	bool let_go;    /* came out, and is not to be held or delayed again */
	int64_t due_ms; /* monotonic; of a parked request that is not held */
};

struct gate;

/* wake is called when gate_tick() is due earlier than it said. NULL: out of memory. */
struct gate *gate_new(void (*wake)(void *context), void *context);

/* No request may be parked any more. NULL is fine. */
void gate_free(struct gate *gate);

/* A request came in, its page known. */
void gate_received(struct gate *gate, struct request *request);

/* It came with a condition. */
void gate_conditional(struct gate *gate);

/* It got this answer, or with status 0 its connection closed. bytes: of the body. */
void gate_answered(struct gate *gate, struct request *request, unsigned int status, size_t bytes);

/* It ends, with or without an answer. */
void gate_ended(struct gate *gate, struct request *request);

/* Parks it if it has to wait; then its handler returns, and is called again when it is let go. */
bool gate_park(struct gate *gate, struct request *request);

/* Lets go what was delayed enough. When to call again (monotonic, ms), or INT64_MAX. */
int64_t gate_tick(struct gate *gate, int64_t at_ms);

/* Requests for this page wait from now on. 0 or -ENOMEM. */
int gate_hold(struct gate *gate, uint64_t page);

/* Ends the hold of this page (0: every hold), and lets go what it held. */
void gate_release(struct gate *gate, uint64_t page);

/* How many requests are held; those that are delayed do not count. */
size_t gate_held(const struct gate *gate);

/* Each request waits so long from now on; 0: not at all. Those that wait already go on waiting. */
void gate_delay(struct gate *gate, int64_t delay_ms);

/* Ends every hold and delay, and lets go all that waits. */
void gate_clear(struct gate *gate);

/* As gate_clear(), and from now on nothing is parked: the end of the simulator. */
void gate_close(struct gate *gate);

/* Sets the counters to zero. Requests under way still count as parallel. */
void gate_reset(struct gate *gate);

/* Writes the counters as a JSON object. */
void gate_render(const struct gate *gate, FILE *out);

#endif
