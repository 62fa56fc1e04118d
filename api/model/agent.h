/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_AGENT_H
#define FLEETFS_API_MODEL_AGENT_H

/*
 * The model: one agent as the API last described it.
 *
 * Plain data, immutable once decoded. An agent is one block of memory, made by the fetching thread
 * and handed over with its page; from then on only the FUSE thread touches it, so its count of
 * references needs no lock.
 *
 * Every field of an agent but its id may be absent: a string is then NULL, a number AGENT_ABSENT, a
 * list empty. A field of the wrong type counts as absent. Strings are in the stored form
 * (api/model/utf8.h), which encodes NUL; they may be invalid UTF-8 and are never safe to show or to
 * use as a name as they are.
 *
 * The fields and their meaning are the API's (its reference: GET /agents).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_ABSENT INT64_MIN

/* Ceilings, since all of it is somebody else's; what is beyond them is left out of the lists, but
 * still stands in agent.json. */
#define AGENT_MAX_LABELS 256
#define AGENT_MAX_GPUS   256
#define AGENT_MAX_TASKS  4096

struct agent_gpu {
	const char *device_name;
	const char *device_type;
	int64_t vram_total; /* bytes */
	int64_t vram_free;  /* bytes */
	int64_t vram_used;  /* bytes, derived: total - free; absent unless 0 <= free <= total */
};

struct agent_list {
	const char *const *items;
	size_t count;
};

struct agent {
	unsigned int refs;
	uint32_t bytes; /* of memory that it takes, all of it */

	const char *id; /* never NULL */
	const char *status;
	const char *version;
	const char *last_heartbeat; /* RFC 3339, as it came */
	const char *connected_at;   /* RFC 3339, as it came */
	const char *platform_arch;
	const char *tool;
	const char *tool_version;
	const char *comfyui_version;
	const char *current_task_id;
	const char *sync_phase;
	const char *sync_detail;
	int64_t gpu_capacity;
	int64_t gpu_free; /* derived: max(0, gpu_capacity - running_count); absent if either is */
	int64_t running_count;
	int64_t tasks_completed;
	int64_t sync_percent;
	struct agent_list running_tasks;
	struct agent_list labels; /* each label once, in the API's order */

	struct {
		const char *comfyui_version;
		const char *pytorch_version;
		const char *os_type;
	} system_stats;

	const struct agent_gpu *gpus; /* system_stats.gpu_devices, in the API's order */
	size_t gpu_count;

	/* The agent's own JSON object as one line: every field, known or not, in
	 * the API's order, unsafe characters as \uNNNN. The line end follows: json[json_bytes - 1]
	 * is a newline. */
	const char *json;
	size_t json_bytes;
	bool lossy; /* json has U+FFFD where the response has invalid UTF-8 or half a surrogate pair
	             */
};

/* Takes one more reference. */
const struct agent *agent_ref(const struct agent *agent);

/* Gives a reference back, and the agent with the last one. NULL is fine. */
void agent_unref(const struct agent *agent);

/*
 * The table of fields: what the decoder reads, what the cache compares and what the tree shows are
 * all this one table, so a field is added in one place.
 */
enum agent_field_id {
	AGENT_ID,
	AGENT_STATUS,
	AGENT_VERSION,
	AGENT_LAST_HEARTBEAT,
	AGENT_CONNECTED_AT,
	AGENT_PLATFORM_ARCH,
	AGENT_TOOL,
	AGENT_TOOL_VERSION,
	AGENT_COMFYUI_VERSION,
	AGENT_GPU_CAPACITY,
	AGENT_GPU_FREE,
	AGENT_RUNNING_COUNT,
	AGENT_RUNNING_TASKS,
	AGENT_CURRENT_TASK_ID,
	AGENT_TASKS_COMPLETED,
	AGENT_SYNC_PHASE,
	AGENT_SYNC_DETAIL,
	AGENT_SYNC_PERCENT,
	AGENT_LABELS,
	AGENT_STATS_COMFYUI_VERSION,
	AGENT_STATS_PYTORCH_VERSION,
	AGENT_STATS_OS_TYPE,
	AGENT_GPU_NAME,
	AGENT_GPU_TYPE,
	AGENT_GPU_VRAM_TOTAL,
	AGENT_GPU_VRAM_FREE,
	AGENT_GPU_VRAM_USED,
	AGENT_JSON,
	AGENT_FIELDS
};

enum agent_type {
	AGENT_TYPE_STRING, /* const char * */
	AGENT_TYPE_NUMBER, /* int64_t */
	AGENT_TYPE_LIST,   /* struct agent_list */
	AGENT_TYPE_JSON,   /* the pair json, json_bytes */
};

enum agent_place {
	AGENT_PLACE_TOP,   /* a member of the agent's object; offset in struct agent */
	AGENT_PLACE_STATS, /* a member of system_stats; offset in struct agent */
	AGENT_PLACE_GPU,   /* a member of one of gpu_devices; offset in struct agent_gpu */
};

struct agent_field {
	const char *key; /* the API's name; NULL: derived by the decoder, not sent */
	uint8_t place;   /* enum agent_place */
	uint8_t type;    /* enum agent_type */
	uint16_t offset; /* bytes into the struct that place tells */
};

extern const struct agent_field agent_fields[AGENT_FIELDS];

/* Where a field's value is: points to the type that the table tells. gpu counts from 0 and must be
 * below gpu_count; it is looked at for AGENT_PLACE_GPU only. */
const void *agent_value(const struct agent *agent, enum agent_field_id field, size_t gpu);

/* Whether two agents have the same value in a field (for AGENT_PLACE_GPU: of that GPU of both). */
bool agent_same(const struct agent *a, const struct agent *b, enum agent_field_id field,
                size_t gpu);

/* Whether two agents have the same JSON and the same value in every field of the table. If both are
 * lossy, the same JSON can stand for different values. */
bool agent_equal(const struct agent *a, const struct agent *b);

#define AGENT_STATUSES 5

/* The AGENT_STATUSES values of agent_status that the API documents, then NULL. The tree shows them
 * in this order. */
extern const char *const agent_statuses[];

/*
 * Returns the number of strings of a field: the items of a list, one string for each GPU, or one.
 * current_task_id is the last string of AGENT_RUNNING_TASKS. A string may be absent, and the same
 * string may occur more than once. The field must not be a number or AGENT_JSON.
 */
size_t agent_string_count(const struct agent *agent, enum agent_field_id field);

/* Returns the string at index, which must be below agent_string_count(). NULL if it is absent or
 * empty; only a label may be the empty string. */
const char *agent_string(const struct agent *agent, enum agent_field_id field, size_t index);

#define AGENT_MAX_STRINGS (AGENT_MAX_TASKS + 1) /* the most that a field has */

/* Finds strings in one field of an agent. The first search that needs it sorts the strings, so the
 * time for many searches does not grow with the square of a hostile list's length. */
struct agent_finder {
	const struct agent *agent;
	enum agent_field_id field;
	bool sorted;
	uint16_t count;                    /* entries in order */
	uint16_t order[AGENT_MAX_STRINGS]; /* indexes of the strings that are there, sorted by
	                                      string */
};

/* The agent is borrowed. */
void agent_finder_init(struct agent_finder *finder, const struct agent *agent,
                       enum agent_field_id field);

/* Returns an index of the string in the field, or SIZE_MAX if it is not there. likely: the index to
 * try first; any number is allowed. */
size_t agent_find(struct agent_finder *finder, const char *string, size_t likely);

#endif
