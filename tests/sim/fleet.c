/* SPDX-License-Identifier: MIT */
#include "tests/sim/fleet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/machine.h"
#include "tests/sim/scan.h"

/* In one step one machine of this many leaves, and about as many join. */
#define FLEET_CHURN_PARTS 200

struct member {
	char *text; /* given, not terminated by NUL; NULL: the machine counts */
	size_t text_bytes;
	struct machine machine;
	bool permanent;
	bool leaving; /* within a step only */
};

struct fleet {
	struct member **members;
	size_t count;
	size_t usual; /* the count that churn keeps to, roughly */
	uint64_t seed;
	uint64_t generation;
	uint64_t steps;
	uint64_t shuffles;
	uint32_t last_number; /* of a machine */
	int64_t now_s;        /* wall clock at the last step; heartbeats are a little before it */
};

static void member_free(struct member *member)
{
	if (!member)
		return;
	free(member->text);
	free(member);
}

static struct member *member_new_given(struct scan_piece value)
{
	struct member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->text = malloc(value.bytes);
	if (!member->text) {
		free(member);
		return NULL;
	}
	memcpy(member->text, value.text, value.bytes);
	member->text_bytes = value.bytes;
	member->permanent = true;
	return member;
}

static void members_free(struct member **members, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		member_free(members[i]);
	free(members);
}

int fleet_new(uint64_t seed, size_t machines, struct fleet **ret_fleet)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return -ENOMEM;
	*fleet = (struct fleet){.seed = seed, .usual = machines, .now_s = time(NULL)};
	fleet->members = calloc(machines + 1, sizeof(struct member *));
	if (!fleet->members)
		goto no_memory;
	while (fleet->count < machines) {
		struct member *member = calloc(1, sizeof(*member));

		if (!member)
			goto no_memory;
		machine_init(&member->machine, seed, ++fleet->last_number, fleet->now_s);
		member->permanent = fleet->count < (machines + 1) / 2;
		fleet->members[fleet->count++] = member;
	}
	*ret_fleet = fleet;
	return 0;
no_memory:
	fleet_free(fleet);
	return -ENOMEM;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	members_free(fleet->members, fleet->count);
	free(fleet);
}

size_t fleet_count(const struct fleet *fleet)
{
	return fleet->count;
}

uint64_t fleet_generation(const struct fleet *fleet)
{
	return fleet->generation;
}

void fleet_render(const struct fleet *fleet, size_t first, size_t count, FILE *out)
{
	size_t i;

	for (i = first; i < fleet->count && i - first < count; i++) {
		const struct member *member = fleet->members[i];

		if (i > first)
			fputc(',', out);
		if (member->text)
			fwrite(member->text, 1, member->text_bytes, out);
		else
			machine_render(&member->machine, fleet->now_s, out);
	}
}

void fleet_render_permanent(const struct fleet *fleet, FILE *out)
{
	const char *comma = "";
	size_t i;

	fputc('[', out);
	for (i = 0; i < fleet->count; i++) {
		const struct member *member = fleet->members[i];
		char machine[MACHINE_ID_SIZE];
		struct scan_piece id;

		if (!member->permanent)
			continue;
		if (!member->text) {
			machine_id(&member->machine, machine);
			fprintf(out, "%s\"%s\"", comma, machine);
		} else if (!scan_member(member->text, member->text_bytes, "agent_id", &id)) {
			fputs(comma, out);
			fwrite(id.text, 1, id.bytes, out);
		} else {
			continue; /* not an agent, and meant so */
		}
		comma = ",";
	}
	fputc(']', out);
}

int fleet_replace(struct fleet *fleet, const char *text, size_t bytes)
{
	struct scan_piece *elements = NULL;
	struct member **members;
	size_t count, i;
	int r;

	r = scan_elements(text, bytes, &elements, &count);
	if (r < 0)
		return r;
	members = calloc(count + 1, sizeof(struct member *));
	for (i = 0; members && i < count; i++) {
		members[i] = member_new_given(elements[i]);
		if (!members[i]) {
			members_free(members, i);
			members = NULL;
		}
	}
	free(elements);
	if (!members)
		return -ENOMEM;
	members_free(fleet->members, fleet->count);
	fleet->members = members;
	fleet->count = fleet->usual = count;
	fleet->generation++;
	return 0;
}

static int make_given(const char *text, size_t bytes, struct member **ret_member)
{
	struct scan_piece value;
	struct member *member;
	int r;

	r = scan_value(text, bytes, &value);
	if (r < 0)
		return r;
	member = member_new_given(value);
	if (!member)
		return -ENOMEM;
	*ret_member = member;
	return 0;
}

int fleet_put(struct fleet *fleet, size_t index, const char *text, size_t bytes)
{
	struct member *member;
	int r;

	if (index >= fleet->count)
		return -ENOENT;
	r = make_given(text, bytes, &member);
	if (r < 0)
		return r;
	member_free(fleet->members[index]);
	fleet->members[index] = member;
	fleet->generation++;
	return 0;
}

int fleet_insert(struct fleet *fleet, size_t index, const char *text, size_t bytes)
{
	struct member **members, *member;
	int r;

	if (index > fleet->count)
		return -ENOENT;
	members = reallocarray(fleet->members, fleet->count + 1, sizeof(struct member *));
	if (!members)
		return -ENOMEM;
	fleet->members = members;
	r = make_given(text, bytes, &member);
	if (r < 0)
		return r;
	memmove(members + index + 1, members + index,
	        (fleet->count - index) * sizeof(struct member *));
	members[index] = member;
	fleet->count++;
	fleet->generation++;
	return 0;
}

int fleet_remove(struct fleet *fleet, size_t index)
{
	if (index >= fleet->count)
		return -ENOENT;
	member_free(fleet->members[index]);
	fleet->count--;
	memmove(fleet->members + index, fleet->members + index + 1,
	        (fleet->count - index) * sizeof(struct member *));
	fleet->generation++;
	return 0;
}

void fleet_shuffle(struct fleet *fleet)
{
	struct random_source source = {.state = random_mix(fleet->seed + 1, ++fleet->shuffles)};
	size_t i;

	for (i = fleet->count; i > 1; i--) {
		const size_t other = random_below(&source, (uint32_t)i);
		struct member *member = fleet->members[i - 1];

		fleet->members[i - 1] = fleet->members[other];
		fleet->members[other] = member;
	}
	fleet->generation++;
}

/* How many leave or join in a step, so that the mean is right for a small fleet too. */
static size_t draw_part(const struct fleet *fleet, struct random_source *source)
{
	return (fleet->usual + random_below(source, FLEET_CHURN_PARTS)) / FLEET_CHURN_PARTS;
}

static void step_leave(struct fleet *fleet, struct random_source *source)
{
	size_t leavers = draw_part(fleet, source);
	size_t draws = fleet->count ? 8 * leavers : 0; /* many hit a permanent one */
	size_t i, kept = 0;

	for (; leavers && draws; draws--) {
		struct member *member =
			fleet->members[random_below(source, (uint32_t)fleet->count)];

		if (member->permanent || member->leaving)
			continue;
		member->leaving = true;
		leavers--;
	}
	for (i = 0; i < fleet->count; i++) {
		if (fleet->members[i]->leaving)
			member_free(fleet->members[i]);
		else
			fleet->members[kept++] = fleet->members[i];
	}
	fleet->count = kept;
}

/* Passes over the old list once, however many join: each place is as likely as any other. */
static int step_join(struct fleet *fleet, struct random_source *source)
{
	size_t left =
		fleet->count > fleet->usual + fleet->usual / 10 ? 0 : draw_part(fleet, source);
	struct member **members = calloc(fleet->count + left + 1, sizeof(struct member *));
	size_t old = 0, count = 0;
	int r = 0;

	if (!members)
		return -ENOMEM;
	while (old < fleet->count || left) {
		const uint32_t remaining = (uint32_t)(fleet->count - old + left);
		struct member *member;

		if (random_below(source, remaining) >= left) {
			members[count++] = fleet->members[old++];
			continue;
		}
		member = calloc(1, sizeof(*member));
		if (!member) {
			left = 0; /* the rest does not join */
			r = -ENOMEM;
			continue;
		}
		machine_init_new(&member->machine, fleet->seed, ++fleet->last_number, fleet->now_s);
		members[count++] = member;
		left--;
	}
	free(fleet->members);
	fleet->members = members;
	fleet->count = count;
	return r;
}

int fleet_step(struct fleet *fleet)
{
	struct random_source source = {.state = random_mix(fleet->seed, ++fleet->steps)};
	size_t i;

	fleet->now_s = time(NULL);
	fleet->generation++;
	for (i = 0; i < fleet->count; i++)
		if (!fleet->members[i]->text)
			machine_step(&fleet->members[i]->machine, &source);
	step_leave(fleet, &source);
	return step_join(fleet, &source);
}
