/* SPDX-License-Identifier: MIT */
#include "tests/sim/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct entry *next;
	struct fault fault; /* its strings are the three below */
	char *retry_after;
	char *location;
	char *body;
};

struct faults {
	struct entry *first;
};

/* The source of a body that ends too early. */
struct torn {
	size_t bytes;
	char body[];
};

struct faults *faults_new(void)
{
	return calloc(1, sizeof(struct faults));
}

static void *copy_of(const void *data, size_t bytes)
{
	void *copy = malloc(bytes ? bytes : 1);

	return copy ? memcpy(copy, data, bytes) : NULL;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	free(entry->retry_after);
	free(entry->location);
	free(entry->body);
	free(entry);
}

static struct entry *entry_new(const struct fault *fault)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->retry_after = fault->retry_after ? strdup(fault->retry_after) : NULL;
	entry->location = fault->location ? strdup(fault->location) : NULL;
	entry->body = fault->body ? copy_of(fault->body, fault->body_bytes) : NULL;
	if ((fault->retry_after && !entry->retry_after) || (fault->location && !entry->location) ||
	    (fault->body && !entry->body)) {
		entry_free(entry);
		return NULL;
	}
	entry->fault = *fault;
	entry->fault.retry_after = entry->retry_after;
	entry->fault.location = entry->location;
	entry->fault.body = entry->body;
	return entry;
}

/* Takes it out of the list; at is what points to it. */
static struct entry *take(struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	return entry;
}

void faults_free(struct faults *faults)
{
	if (!faults)
		return;
	faults_clear(faults);
	free(faults);
}

int faults_add(struct faults *faults, const struct fault *fault)
{
	struct entry **at = &faults->first;
	struct entry *entry = entry_new(fault);

	if (!entry)
		return -ENOMEM;
	while (*at) {
		if (!fault->times && !(*at)->fault.times && (*at)->fault.page == fault->page)
			entry_free(take(at));
		else
			at = &(*at)->next;
	}
	*at = entry;
	return 0;
}

void faults_clear(struct faults *faults)
{
	while (faults->first)
		entry_free(take(&faults->first));
}

/* What points to the entry for a page, or NULL. */
static struct entry **find(struct faults *faults, uint64_t page)
{
	struct entry **at, **best = NULL;

	for (at = &faults->first; *at; at = &(*at)->next) {
		const struct fault *fault = &(*at)->fault;

		if (fault->page && fault->page != page)
			continue;
		if (fault->times)
			return at;
		if (!best || fault->page)
			best = at;
	}
	return best;
}

static ssize_t read_torn(void *context, uint64_t position, char *buffer, size_t room)
{
	const struct torn *torn = context;

	if (position >= torn->bytes)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (room > torn->bytes - position)
		room = (size_t)(torn->bytes - position);
	memcpy(buffer, torn->body + position, room);
	return (ssize_t)room;
}

static struct MHD_Response *make_torn(const char *body, size_t bytes, size_t cut_bytes)
{
	struct torn *torn = malloc(sizeof(*torn) + cut_bytes);
	struct MHD_Response *response;

	if (!torn)
		return NULL;
	torn->bytes = cut_bytes;
	memcpy(torn->body, body, cut_bytes);
	response = MHD_create_response_from_callback(bytes, 16384, read_torn, torn, free);
	if (!response)
		free(torn);
	return response;
}

static enum MHD_Result answer(const struct fault *fault, struct MHD_Connection *connection,
                              size_t *ret_bytes)
{
	struct MHD_Response *response;
	const char *body = fault->body;
	size_t bytes = fault->body_bytes;
	enum MHD_Result result;
	char error[96];

	if (!body) {
		bytes = (size_t)snprintf(
			error, sizeof(error),
			"{\"error\":{\"code\":\"simulated\",\"message\":\"simulated status %u\"}}",
			fault->status);
		body = error;
	}
	*ret_bytes = fault->cut_bytes < bytes ? (size_t)fault->cut_bytes : bytes;
	if (*ret_bytes < bytes)
		response = make_torn(body, bytes, *ret_bytes);
	else
		response = MHD_create_response_from_buffer(bytes, copy_of(body, bytes),
		                                           MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (fault->retry_after)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, fault->retry_after);
	if (fault->location)
		MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, fault->location);
	result = MHD_queue_response(connection, fault->status, response);
	MHD_destroy_response(response);
	return result;
}

bool faults_answer(struct faults *faults, struct gate *gate, struct request *request,
                   enum MHD_Result *ret_result)
{
	struct entry **at = find(faults, request->page);
	const struct fault *fault;
	size_t bytes = 0;

	if (!at)
		return false;
	fault = &(*at)->fault;
	*ret_result = fault->status ? answer(fault, request->connection, &bytes) : MHD_NO;
	gate_answered(gate, request, fault->status, bytes);
	if (fault->times && --(*at)->fault.times == 0)
		entry_free(take(at));
	return true;
}
