/* SPDX-License-Identifier: MIT */
#include "tests/sim/gate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GATE_STATUSES 600
#define GATE_PAGES    65536 /* counted one by one; those beyond count together as page 0 */

struct hold {
	uint64_t page;
	struct hold *next;
};

struct counters {
	uint64_t requests;
	uint64_t conditional;
	uint64_t answered;
	uint64_t bytes;
	uint64_t max_parallel;
	uint64_t statuses[GATE_STATUSES];
	uint64_t pages[GATE_PAGES];
};

struct gate {
	void (*wake)(void *context);
	void *context;
	struct counters counters;
	uint64_t parallel;
	struct request *first_parked;
	struct hold *holds;
	int64_t delay_ms;
	int64_t next_due_ms; /* as gate_tick() said last */
	bool closed;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct gate *gate_new(void (*wake)(void *context), void *context)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->wake = wake;
	gate->context = context;
	gate->next_due_ms = INT64_MAX;
	return gate;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	gate_clear(gate);
	free(gate);
}

void gate_received(struct gate *gate, struct request *request)
{
	struct counters *counters = &gate->counters;

	request->received = true;
	counters->requests++;
	counters->pages[request->page < GATE_PAGES ? request->page : 0]++;
	gate->parallel++;
	if (counters->max_parallel < gate->parallel)
		counters->max_parallel = gate->parallel;
}

void gate_conditional(struct gate *gate)
{
	gate->counters.conditional++;
}

void gate_answered(struct gate *gate, struct request *request, unsigned int status, size_t bytes)
{
	struct counters *counters = &gate->counters;

	request->answered = true;
	gate->parallel--;
	if (status)
		counters->answered++;
	counters->statuses[status < GATE_STATUSES ? status : 0]++;
	counters->bytes += bytes;
}

static void park(struct gate *gate, struct request *request)
{
	request->parked = true;
	request->previous = NULL;
	request->next = gate->first_parked;
	if (request->next)
		request->next->previous = request;
	gate->first_parked = request;
	MHD_suspend_connection(request->connection);
}

static void unlink_parked(struct gate *gate, struct request *request)
{
	if (request->previous)
		request->previous->next = request->next;
	else
		gate->first_parked = request->next;
	if (request->next)
		request->next->previous = request->previous;
	request->parked = false;
}

static void let_go(struct gate *gate, struct request *request)
{
	unlink_parked(gate, request);
	request->let_go = true;
	MHD_resume_connection(request->connection);
}

void gate_ended(struct gate *gate, struct request *request)
{
	if (request->parked)
		unlink_parked(gate, request);
	if (request->received && !request->answered)
		gate->parallel--;
}

static bool is_held(const struct gate *gate, uint64_t page)
{
	const struct hold *hold;

	for (hold = gate->holds; hold; hold = hold->next)
		if (!hold->page || hold->page == page)
			return true;
	return false;
}

bool gate_park(struct gate *gate, struct request *request)
{
	if (request->let_go || gate->closed)
		return false;
	request->held = is_held(gate, request->page);
	if (!request->held && !gate->delay_ms)
		return false;
	if (!request->held) {
		request->due_ms = now_ms() + gate->delay_ms;
		if (request->due_ms < gate->next_due_ms) {
			gate->next_due_ms = request->due_ms;
			gate->wake(gate->context);
		}
	}
	park(gate, request);
	return true;
}

int64_t gate_tick(struct gate *gate, int64_t at_ms)
{
	struct request *request, *next;

	gate->next_due_ms = INT64_MAX;
	for (request = gate->first_parked; request; request = next) {
		next = request->next;
		if (request->held)
			continue;
		if (request->due_ms <= at_ms)
			let_go(gate, request);
		else if (request->due_ms < gate->next_due_ms)
			gate->next_due_ms = request->due_ms;
	}
	return gate->next_due_ms;
}

int gate_hold(struct gate *gate, uint64_t page)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		return -ENOMEM;
	hold->page = page;
	hold->next = gate->holds;
	gate->holds = hold;
	return 0;
}

void gate_release(struct gate *gate, uint64_t page)
{
	struct hold **at = &gate->holds;
	struct request *request, *next;

	while (*at) {
		struct hold *hold = *at;

		if (page && hold->page != page) {
			at = &hold->next;
			continue;
		}
		*at = hold->next;
		free(hold);
	}
	for (request = gate->first_parked; request; request = next) {
		next = request->next;
		if (request->held && (!page || request->page == page))
			let_go(gate, request);
	}
}

size_t gate_held(const struct gate *gate)
{
	const struct request *request;
	size_t held = 0;

	for (request = gate->first_parked; request; request = request->next)
		held += request->held;
	return held;
}

void gate_delay(struct gate *gate, int64_t delay_ms)
{
	gate->delay_ms = delay_ms;
}

void gate_clear(struct gate *gate)
{
	gate_release(gate, 0);
	gate->delay_ms = 0;
	while (gate->first_parked)
		let_go(gate, gate->first_parked);
}

void gate_close(struct gate *gate)
{
	gate->closed = true;
	gate_clear(gate);
}

void gate_reset(struct gate *gate)
{
	memset(&gate->counters, 0, sizeof(gate->counters));
	gate->counters.max_parallel = gate->parallel;
}

static void render_counts(const char *name, const uint64_t *counts, size_t size, FILE *out)
{
	const char *comma = "";
	size_t i;

	fprintf(out, ",\"%s\":{", name);
	for (i = 0; i < size; i++) {
		if (!counts[i])
			continue;
		fprintf(out, "%s\"%zu\":%" PRIu64, comma, i, counts[i]);
		comma = ",";
	}
	fputc('}', out);
}

void gate_render(const struct gate *gate, FILE *out)
{
	const struct counters *counters = &gate->counters;

	fprintf(out,
	        "{\"requests\":%" PRIu64 ",\"conditional\":%" PRIu64 ",\"answered\":%" PRIu64
	        ",\"bytes\":%" PRIu64 ",\"parallel\":%" PRIu64 ",\"max_parallel\":%" PRIu64
	        ",\"held\":%zu",
	        counters->requests, counters->conditional, counters->answered, counters->bytes,
	        gate->parallel, counters->max_parallel, gate_held(gate));
	render_counts("pages", counters->pages, GATE_PAGES, out);
	render_counts("status", counters->statuses, GATE_STATUSES, out);
	fputs("}\n", out);
}
