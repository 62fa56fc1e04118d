/* SPDX-License-Identifier: MIT */
#include "tests/sim/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

/* A page has one place, which a page of another number or size may take from it; with 100 agents a
 * page all of a fleet of 800,000 is kept. */
#define PAGES_SLOTS 8192

enum coding { CODING_PLAIN, CODING_GZIP, CODINGS };

struct slot {
	uint64_t generation;
	uint64_t page; /* 0: empty */
	unsigned int per_page;
	struct MHD_Response *responses[CODINGS]; /* each NULL until asked for */
	size_t bytes[CODINGS];
	struct pages_validator validators[CODINGS];
};

struct pages {
	const struct fleet *fleet;
	bool gzip;
	bool etag, last_modified; /* whether answers have them */
	uint64_t modified_generation;
	time_t modified; /* when that was met first */
	char *total;     /* NULL: the true number */
	struct slot slots[PAGES_SLOTS];
};

static void slot_clear(struct slot *slot)
{
	int i;

	for (i = 0; i < CODINGS; i++)
		if (slot->responses[i])
			MHD_destroy_response(slot->responses[i]);
	*slot = (struct slot){.page = 0};
}

static void clear_all(struct pages *pages)
{
	size_t i;

	for (i = 0; i < PAGES_SLOTS; i++)
		slot_clear(&pages->slots[i]);
}

struct pages *pages_new(const struct fleet *fleet, bool gzip)
{
	struct pages *pages = calloc(1, sizeof(*pages));

	if (!pages)
		return NULL;
	pages->fleet = fleet;
	pages->gzip = gzip;
	return pages;
}

void pages_free(struct pages *pages)
{
	if (!pages)
		return;
	clear_all(pages);
	free(pages->total);
	free(pages);
}

static int render(const struct pages *pages, uint64_t page, unsigned int per_page, char **ret_body,
                  size_t *ret_bytes)
{
	const size_t count = fleet_count(pages->fleet);
	char *body = NULL;
	FILE *out = open_memstream(&body, ret_bytes);

	if (!out)
		return -ENOMEM;
	fputs("{\"agent_list\":[", out);
	if (page - 1 <= count / per_page)
		fleet_render(pages->fleet, (size_t)(page - 1) * per_page, per_page, out);
	fprintf(out, "],\"page_meta\":{\"current_page\":%" PRIu64 ",\"per_page\":%u,", page,
	        per_page);
	if (pages->total)
		fprintf(out, "\"total_count\":%s}}", pages->total);
	else
		fprintf(out, "\"total_count\":%zu}}", count);
	if (fclose(out)) {
		free(body);
		return -ENOMEM;
	}
	*ret_body = body;
	return 0;
}

/* Replaces a body by the same in gzip's format; on failure it stays as it was. */
static int compress_body(char **body, size_t *bytes)
{
	z_stream stream = {.next_in = (unsigned char *)*body, .avail_in = (unsigned int)*bytes};
	unsigned long room;
	unsigned char *packed;

	/* 16 on top of the window's bits asks zlib for gzip's header. */
	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY))
		return -ENOMEM;
	room = deflateBound(&stream, *bytes);
	packed = malloc(room);
	if (!packed) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_out = packed;
	stream.avail_out = (unsigned int)room;
	deflate(&stream, Z_FINISH); /* cannot fall short: there is room for the worst case */
	*bytes = stream.total_out;
	deflateEnd(&stream);
	free(*body);
	*body = (char *)packed;
	return 0;
}

static void validate(const struct pages *pages, const char *body, size_t bytes,
                     struct MHD_Response *response, struct pages_validator *ret_validator)
{
	struct tm modified;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (pages->etag) {
		for (size_t i = 0; i < bytes; i++)
			hash = (hash ^ (unsigned char)body[i]) * UINT64_C(0x100000001b3);
		snprintf(ret_validator->etag, sizeof(ret_validator->etag), "\"%016" PRIx64 "\"",
		         hash);
		MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, ret_validator->etag);
	}
	if (pages->last_modified) {
		strftime(ret_validator->last_modified, sizeof(ret_validator->last_modified),
		         "%a, %d %b %Y %T GMT", gmtime_r(&pages->modified, &modified));
		MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED,
		                        ret_validator->last_modified);
	}
}

static int fill(struct pages *pages, struct slot *slot, enum coding coding)
{
	struct MHD_Response *response;
	char *body;
	size_t bytes;
	int r;

	r = render(pages, slot->page, slot->per_page, &body, &bytes);
	if (r < 0)
		return r;
	if (coding == CODING_GZIP && compress_body(&body, &bytes) < 0) {
		free(body);
		return -ENOMEM;
	}
	response = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(body);
		return -ENOMEM;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (coding == CODING_GZIP)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	validate(pages, body, bytes, response, &slot->validators[coding]);
	slot->responses[coding] = response;
	slot->bytes[coding] = bytes;
	return 0;
}

int pages_get(struct pages *pages, uint64_t page, unsigned int per_page, bool gzip,
              struct MHD_Response **ret_response, size_t *ret_bytes,
              struct pages_validator *ret_validator)
{
	const uint64_t generation = fleet_generation(pages->fleet);
	const enum coding coding = gzip && pages->gzip ? CODING_GZIP : CODING_PLAIN;
	struct slot *slot = &pages->slots[(page + 97 * (uint64_t)per_page) % PAGES_SLOTS];
	int r;

	if (pages->modified_generation != generation || !pages->modified) {
		pages->modified_generation = generation;
		pages->modified = time(NULL);
	}
	if (slot->page != page || slot->per_page != per_page || slot->generation != generation) {
		slot_clear(slot);
		slot->page = page;
		slot->per_page = per_page;
		slot->generation = generation;
	}
	if (!slot->responses[coding]) {
		r = fill(pages, slot, coding);
		if (r < 0)
			return r;
	}
	*ret_response = slot->responses[coding];
	*ret_bytes = slot->bytes[coding];
	*ret_validator = slot->validators[coding];
	return 0;
}

int pages_set_total(struct pages *pages, const char *total)
{
	char *copy = NULL;

	if (total[0]) {
		copy = strdup(total);
		if (!copy)
			return -ENOMEM;
	}
	free(pages->total);
	pages->total = copy;
	clear_all(pages);
	return 0;
}

void pages_validate(struct pages *pages, bool etag, bool last_modified)
{
	pages->etag = etag;
	pages->last_modified = last_modified;
	clear_all(pages);
}
