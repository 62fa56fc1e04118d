/* SPDX-License-Identifier: MIT */
#include "tests/sim/api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define API_PATH         "/api/v1/agents"
#define API_RUNTIME_PATH "/api/v1/r/agents"

#define API_PER_PAGE     20
#define API_PER_PAGE_MAX 100

static const char *header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* A query parameter as a number; what is not there counts as fallback. */
static bool parameter(const struct request *request, const char *name, uint64_t most,
                      uint64_t fallback, uint64_t *ret_number)
{
	const char *text = NULL;
	const enum MHD_Result found = MHD_lookup_connection_value_n(
		request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &text, NULL);

	if (found == MHD_NO) {
		*ret_number = fallback;
		return true;
	}
	return text && sim_number(text, 1, most, ret_number);
}

/* Answers with an error. The message needs no escaping in JSON. */
static enum MHD_Result refuse(struct sim *sim, struct request *request, unsigned int status,
                              const char *code, const char *message)
{
	struct MHD_Response *response;
	enum MHD_Result result;
	char body[256];
	size_t bytes;

	bytes = (size_t)snprintf(body, sizeof(body),
	                         "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, message);
	response = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET");
	result = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	gate_answered(sim->gate, request, status, bytes);
	return result;
}

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* Answers a request that is not allowed, and tells so in *ret_result. */
static bool refused(struct sim *sim, struct request *request, bool runtime,
                    enum MHD_Result *ret_result)
{
	const char *authorization = header(request, MHD_HTTP_HEADER_AUTHORIZATION);
	const char *team = header(request, "X-Team-ID");
	const char *token, *message = NULL;
	unsigned int status = MHD_HTTP_UNAUTHORIZED;
	const char *code = "unauthorized";

	if (!authorization || strncasecmp(authorization, "Bearer ", strlen("Bearer ")) != 0) {
		message = "missing bearer token";
		goto out;
	}
	token = authorization + strlen("Bearer ");
	if (begins(token, "ak-")) {
		message = "an agent key cannot read the API";
	} else if (strcmp(token, sim->token) != 0 && (!sim->jwt || strcmp(token, sim->jwt) != 0)) {
		message = "invalid or revoked token";
	} else if (!begins(token, "eyJ")) {
		return false;
	} else if (runtime) {
		status = MHD_HTTP_FORBIDDEN;
		code = "forbidden";
		message = "the runtime surface needs an integration or device key";
	} else if (!team) {
		status = MHD_HTTP_BAD_REQUEST;
		code = "bad_request";
		message = "X-Team-ID is required";
	} else if (strcmp(team, sim->team) != 0) {
		status = MHD_HTTP_FORBIDDEN;
		code = "forbidden";
		message = "not a member of this team";
	}
out:
	if (message)
		*ret_result = refuse(sim, request, status, code, message);
	return message;
}

/* Whether what the client has is this answer, by the conditions that it sent. */
static bool has_already(const struct request *request, const struct pages_validator *validator)
{
	const char *etags = header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const char *since = header(request, MHD_HTTP_HEADER_IF_MODIFIED_SINCE);

	if (etags)
		return *validator->etag && strstr(etags, validator->etag);
	return since && *validator->last_modified && !strcmp(since, validator->last_modified);
}

static enum MHD_Result answer_unchanged(struct sim *sim, struct request *request,
                                        const struct pages_validator *validator)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (*validator->etag)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, validator->etag);
	if (*validator->last_modified)
		MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED,
		                        validator->last_modified);
	result = MHD_queue_response(request->connection, MHD_HTTP_NOT_MODIFIED, response);
	MHD_destroy_response(response);
	gate_answered(sim->gate, request, MHD_HTTP_NOT_MODIFIED, 0);
	return result;
}

static enum MHD_Result answer_page(struct sim *sim, struct request *request, unsigned int per_page)
{
	const char *accepted = header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	struct pages_validator validator;
	struct MHD_Response *response;
	enum MHD_Result result;
	size_t bytes;

	if (sim->shuffle && request->page == 1)
		fleet_shuffle(sim->fleet);
	if (pages_get(sim->pages, request->page, per_page, accepted && strstr(accepted, "gzip"),
	              &response, &bytes, &validator) < 0)
		return MHD_NO;
	if (has_already(request, &validator))
		return answer_unchanged(sim, request, &validator);
	result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
	gate_answered(sim->gate, request, MHD_HTTP_OK, bytes);
	return result;
}

enum MHD_Result api_answer(struct sim *sim, struct request *request, const char *method,
                           const char *path)
{
	const bool runtime = !strcmp(path, API_RUNTIME_PATH);
	const bool known = runtime || !strcmp(path, API_PATH);
	bool page_valid, per_page_valid;
	uint64_t per_page = 0, page = 0;
	enum MHD_Result result;

	if (sim->closing)
		return MHD_NO;
	page_valid = parameter(request, "current_page", INT64_MAX, 1, &page);
	per_page_valid = parameter(request, "per_page", API_PER_PAGE_MAX, API_PER_PAGE, &per_page);
	if (!request->received) {
		request->page = known ? page : 0;
		gate_received(sim->gate, request);
		if (header(request, MHD_HTTP_HEADER_IF_NONE_MATCH) ||
		    header(request, MHD_HTTP_HEADER_IF_MODIFIED_SINCE))
			gate_conditional(sim->gate);
	}
	if (gate_park(sim->gate, request))
		return MHD_YES;
	if (faults_answer(sim->faults, sim->gate, request, &result))
		return result;
	if (!known)
		return refuse(sim, request, MHD_HTTP_NOT_FOUND, "not_found", "no such path");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return refuse(sim, request, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
		              "only GET is allowed here");
	if (refused(sim, request, runtime, &result))
		return result;
	if (!page_valid)
		return refuse(sim, request, MHD_HTTP_BAD_REQUEST, "bad_request",
		              "current_page must be an integer of at least 1");
	if (!per_page_valid)
		return refuse(sim, request, MHD_HTTP_BAD_REQUEST, "bad_request",
		              "per_page must be an integer from 1 to 100");
	return answer_page(sim, request, (unsigned int)per_page);
}
