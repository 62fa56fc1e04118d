/* SPDX-License-Identifier: MIT */
#include "tests/sim/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One request, as an action sees it. */
struct call {
	struct MHD_Connection *connection;
	const char *body; /* not terminated by NUL */
	size_t body_bytes;
	uint64_t index; /* of the path, where its row has one */
	FILE *out;      /* the answer's body; empty: "ok" */
};

/* Answers with a status of HTTP. */
typedef unsigned int control_action(struct sim *sim, struct call *call);

static const char *text_parameter(const struct call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* A number of the query, or fallback when it is not given. If it is none, tells so. */
static bool parameter(const struct call *call, const char *name, uint64_t most, uint64_t fallback,
                      uint64_t *ret_number)
{
	const char *text = text_parameter(call, name);

	if (!text) {
		*ret_number = fallback;
		return true;
	}
	if (sim_number(text, 0, most, ret_number))
		return true;
	fprintf(call->out, "%s is not a number from 0 to %" PRIu64 "\n", name, most);
	return false;
}

/* The status for what a function of the fleet returned. */
static unsigned int outcome(const struct call *call, int r)
{
	switch (r) {
	case 0:
		return MHD_HTTP_OK;
	case -EINVAL:
		fputs("the body is not such a JSON text\n", call->out);
		return MHD_HTTP_BAD_REQUEST;
	case -ENOENT:
		fputs("no such position\n", call->out);
		return MHD_HTTP_NOT_FOUND;
	default:
		fprintf(call->out, "%s\n", strerror(-r));
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

static unsigned int get_stats(struct sim *sim, struct call *call)
{
	gate_render(sim->gate, call->out);
	return MHD_HTTP_OK;
}

static unsigned int post_reset(struct sim *sim, struct call *call)
{
	(void)call;
	gate_reset(sim->gate);
	return MHD_HTTP_OK;
}

static unsigned int get_agents(struct sim *sim, struct call *call)
{
	fputc('[', call->out);
	fleet_render(sim->fleet, 0, SIZE_MAX, call->out);
	fputc(']', call->out);
	return MHD_HTTP_OK;
}

static unsigned int put_agents(struct sim *sim, struct call *call)
{
	return outcome(call, fleet_replace(sim->fleet, call->body, call->body_bytes));
}

static unsigned int post_agent(struct sim *sim, struct call *call)
{
	uint64_t at;

	if (!parameter(call, "at", INT64_MAX, fleet_count(sim->fleet), &at))
		return MHD_HTTP_BAD_REQUEST;
	return outcome(call, fleet_insert(sim->fleet, at, call->body, call->body_bytes));
}

static unsigned int put_agent(struct sim *sim, struct call *call)
{
	return outcome(call, fleet_put(sim->fleet, call->index, call->body, call->body_bytes));
}

static unsigned int delete_agent(struct sim *sim, struct call *call)
{
	return outcome(call, fleet_remove(sim->fleet, call->index));
}

static unsigned int get_permanent(struct sim *sim, struct call *call)
{
	fleet_render_permanent(sim->fleet, call->out);
	return MHD_HTTP_OK;
}

static unsigned int post_order(struct sim *sim, struct call *call)
{
	uint64_t shuffle;

	if (!parameter(call, "shuffle", 1, 0, &shuffle))
		return MHD_HTTP_BAD_REQUEST;
	sim->shuffle = shuffle;
	return MHD_HTTP_OK;
}

static unsigned int post_step(struct sim *sim, struct call *call)
{
	uint64_t steps;
	int r = 0;

	if (!parameter(call, "n", INT64_MAX, 1, &steps))
		return MHD_HTTP_BAD_REQUEST;
	while (steps-- && !r)
		r = fleet_step(sim->fleet);
	return outcome(call, r);
}

static unsigned int post_churn(struct sim *sim, struct call *call)
{
	uint64_t period_ms;

	if (!parameter(call, "ms", SIM_MS_MAX, 0, &period_ms))
		return MHD_HTTP_BAD_REQUEST;
	sim_set_churn(sim, period_ms);
	return MHD_HTTP_OK;
}

static unsigned int post_hold(struct sim *sim, struct call *call)
{
	uint64_t page;

	if (!parameter(call, "page", INT64_MAX, 0, &page))
		return MHD_HTTP_BAD_REQUEST;
	return outcome(call, gate_hold(sim->gate, page));
}

static unsigned int post_release(struct sim *sim, struct call *call)
{
	uint64_t page;

	if (!parameter(call, "page", INT64_MAX, 0, &page))
		return MHD_HTTP_BAD_REQUEST;
	gate_release(sim->gate, page);
	return MHD_HTTP_OK;
}

static unsigned int get_held(struct sim *sim, struct call *call)
{
	fprintf(call->out, "%zu\n", gate_held(sim->gate));
	return MHD_HTTP_OK;
}

static unsigned int post_delay(struct sim *sim, struct call *call)
{
	uint64_t delay_ms;

	if (!parameter(call, "ms", SIM_MS_MAX, 0, &delay_ms))
		return MHD_HTTP_BAD_REQUEST;
	gate_delay(sim->gate, (int64_t)delay_ms);
	return MHD_HTTP_OK;
}

static unsigned int post_fail(struct sim *sim, struct call *call)
{
	struct fault fault = {
		.retry_after = text_parameter(call, "retry_after"),
		.location = text_parameter(call, "location"),
		.body = call->body_bytes ? call->body : NULL,
		.body_bytes = call->body_bytes,
	};
	uint64_t status, cut_bytes;

	if (!parameter(call, "status", 599, MHD_HTTP_INTERNAL_SERVER_ERROR, &status) ||
	    !parameter(call, "page", INT64_MAX, 0, &fault.page) ||
	    !parameter(call, "times", INT64_MAX, 0, &fault.times) ||
	    !parameter(call, "cut", INT64_MAX, INT64_MAX, &cut_bytes))
		return MHD_HTTP_BAD_REQUEST;
	if (status && status < 200) {
		fputs("status is neither 0 nor from 200 to 599\n", call->out);
		return MHD_HTTP_BAD_REQUEST;
	}
	fault.status = (unsigned int)status;
	fault.cut_bytes = cut_bytes;
	return outcome(call, faults_add(sim->faults, &fault));
}

/* Unlike in post_fail(), an empty body is served as such. */
static unsigned int post_body(struct sim *sim, struct call *call)
{
	struct fault fault = {
		.status = MHD_HTTP_OK,
		.cut_bytes = INT64_MAX,
		.body = call->body,
		.body_bytes = call->body_bytes,
	};

	if (!parameter(call, "page", INT64_MAX, 0, &fault.page))
		return MHD_HTTP_BAD_REQUEST;
	return outcome(call, faults_add(sim->faults, &fault));
}

static unsigned int post_ok(struct sim *sim, struct call *call)
{
	(void)call;
	faults_clear(sim->faults);
	gate_clear(sim->gate);
	return MHD_HTTP_OK;
}

static unsigned int post_token(struct sim *sim, struct call *call)
{
	char *token = strndup(call->body, call->body_bytes);

	if (!token)
		return outcome(call, -ENOMEM);
	token[strcspn(token, "\r\n")] = '\0';
	free(sim->token);
	sim->token = token;
	return MHD_HTTP_OK;
}

static unsigned int post_validators(struct sim *sim, struct call *call)
{
	uint64_t etag, last_modified;

	if (!parameter(call, "etag", 1, 0, &etag) ||
	    !parameter(call, "last_modified", 1, 0, &last_modified))
		return MHD_HTTP_BAD_REQUEST;
	pages_validate(sim->pages, etag, last_modified);
	return MHD_HTTP_OK;
}

static unsigned int post_meta(struct sim *sim, struct call *call)
{
	const char *total = text_parameter(call, "total");

	return outcome(call, pages_set_total(sim->pages, total ? total : ""));
}

/* All there is. A `#` at a path's end stands for a position in the list. */
static const struct {
	const char *method;
	const char *path;
	control_action *action;
	const char *usage;
} rows[] = {
	{"GET", "/_sim/stats", get_stats, "the counters"},
	{"POST", "/_sim/reset", post_reset, "the counters start again"},
	{"GET", "/_sim/agents", get_agents, "the whole list as served now"},
	{"PUT", "/_sim/agents", put_agents, "body: array; replaces the whole list"},
	{"POST", "/_sim/agents", post_agent, "?at=INDEX body: object; joins there, or at the end"},
	{"PUT", "/_sim/agents/#", put_agent, "body: object; replaces the one at this position"},
	{"DELETE", "/_sim/agents/#", delete_agent, "removes the one at this position"},
	{"GET", "/_sim/permanent", get_permanent, "ids that churn never removes"},
	{"POST", "/_sim/order", post_order, "?shuffle=1|0 a new order at each request of page 1"},
	{"POST", "/_sim/step", post_step, "?n=K steps of churn"},
	{"POST", "/_sim/churn", post_churn, "?ms=N a step each N ms; 0: off"},
	{"POST", "/_sim/hold", post_hold, "?page=P requests wait; 0: all"},
	{"POST", "/_sim/release", post_release, "?page=P ends a hold; 0: every hold"},
	{"GET", "/_sim/held", get_held, "how many requests are held"},
	{"POST", "/_sim/delay", post_delay, "?ms=N each answer comes so much later; 0: off"},
	{"POST", "/_sim/fail", post_fail,
         "?status=S&page=P&times=N&retry_after=X&location=URL&cut=BYTES body: of the answer"},
	{"POST", "/_sim/body", post_body, "?page=P body: answers 200 with these bytes"},
	{"POST", "/_sim/ok", post_ok, "ends faults, bodies, holds and the delay"},
	{"POST", "/_sim/token", post_token, "body: the token accepted from now on"},
	{"POST", "/_sim/validators", post_validators,
         "?etag=1|0&last_modified=1|0 answers have them, and conditions are heeded"},
	{"POST", "/_sim/meta", post_meta, "?total=JSON stands for total_count; empty: the truth"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Whether a path is that of a row; its position then goes to *ret_index. */
static bool matches(const char *pattern, const char *path, uint64_t *ret_index)
{
	const size_t fixed = strcspn(pattern, "#");

	if (!pattern[fixed])
		return !strcmp(pattern, path);
	return !strncmp(pattern, path, fixed) &&
	       sim_number(path + fixed, 0, SIZE_MAX / 2, ret_index);
}

static unsigned int run(struct sim *sim, struct call *call, const char *method, const char *path)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].method, method) && matches(rows[i].path, path, &call->index))
			return rows[i].action(sim, call);
	fputs("No such control. There is:\n", call->out);
	for (i = 0; i < ROWS; i++)
		fprintf(call->out, "%-6s %-15s %s\n", rows[i].method, rows[i].path, rows[i].usage);
	return MHD_HTTP_NOT_FOUND;
}

enum MHD_Result control_answer(struct sim *sim, struct MHD_Connection *connection,
                               const char *method, const char *path, const char *body,
                               size_t body_bytes)
{
	struct call call = {.connection = connection, .body = body, .body_bytes = body_bytes};
	struct MHD_Response *response;
	enum MHD_Result result;
	char *text = NULL;
	size_t bytes;
	unsigned int status;

	call.out = open_memstream(&text, &bytes);
	if (!call.out)
		return MHD_NO;
	status = run(sim, &call, method, path);
	if (status == MHD_HTTP_OK && ftell(call.out) == 0)
		fputs("ok\n", call.out);
	if (fclose(call.out)) {
		free(text);
		return MHD_NO;
	}
	response = MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}
