/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_AGENT_H
#define FLEETFS_API_MODEL_AGENT_H

/*
 * One agent as one response of the API describes it.
 *
 * Plain data, immutable once decoded. An agent is one block of memory. The thread that fetches
 * pages (api/http/client.h) allocates it and hands it over with its page. From then on only the
 * thread that serves the kernel uses it, so the reference count needs no lock.
 *
 * All fields except the id may be absent: a string is then NULL, a number AGENT_ABSENT, a list
 * empty. A field of the wrong type counts as absent. Strings are in the stored form
 * (api/model/utf8.h), which encodes NUL. They may be invalid UTF-8, and must be escaped before they
 * are shown or used as a file name.
 *
 * The API's reference documents the fields, under GET /agents.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_ABSENT INT64_MIN

/* Upper limits, since the input is untrusted. Further items are left out of the lists, but are in
 * agent.json. AGENT_MAX_LABELS also counts labels that are left out as duplicates. */
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
	uint32_t block_bytes; /* size of the block of memory, with all strings and lists */

	const char *id; /* never NULL */
	const char *status;
	const char *version;
	const char *last_heartbeat; /* RFC 3339, unchecked */
	const char *connected_at;   /* RFC 3339, unchecked */
	const char *platform_arch;
	const char *tool;
	const char *tool_version;
	const char *comfyui_version;
	const char *current_task_id;
	const char *sync_phase;
	const char *sync_detail;
	int64_t gpu_capacity;
	int64_t gpu_free; /* derived: max(0, gpu_capacity - running_count); absent if either is
	                     absent */
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

	/* The agent's JSON object on one line: all fields, known or not, in the API's order, unsafe
	 * characters as \uNNNN. json[json_bytes - 1] is a newline; there is no NUL. */
	const char *json;
	size_t json_bytes;
	/* json has U+FFFD in place of invalid UTF-8 or an unpaired surrogate of the response. */
	bool lossy;
};

/* Adds a reference. Returns the agent. */
const struct agent *agent_ref(const struct agent *agent);

/* Releases a reference; the last one frees the agent. NULL is allowed. */
void agent_unref(const struct agent *agent);

/*
 * The fields of an agent. The decoder, the cache's comparison and the tree read them by the table
 * agent_fields. A new field needs a value here, a row of the table and a member of the struct; to
 * be shown, also a row of the tree.
 *
 * AGENT_GPU_CAPACITY and AGENT_GPU_FREE are fields of the agent; AGENT_GPU_NAME to
 * AGENT_GPU_VRAM_USED are fields of one of its GPUs.
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
	AGENT_TYPE_JSON,   /* the members json and json_bytes of struct agent */
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
	uint16_t offset; /* bytes into struct agent or struct agent_gpu, see place */
};

extern const struct agent_field agent_fields[AGENT_FIELDS];

/* Returns a pointer to a field's value, whose type agent_fields gives. gpu: the index of the GPU,
 * below gpu_count, if the field is of AGENT_PLACE_GPU; else ignored. */
const void *agent_value(const struct agent *agent, enum agent_field_id field, size_t gpu);

/* Returns whether two agents have the same value in a field. gpu: as for agent_value(), in both. */
bool agent_field_equal(const struct agent *a, const struct agent *b, enum agent_field_id field,
                       size_t gpu);

/* Returns whether two agents have the same JSON and the same value in every field. The fields
 * matter because a lossy JSON can be the same for different values. */
bool agent_equal(const struct agent *a, const struct agent *b);

#define AGENT_STATUSES 5

/* The values of agent_status that the API documents, in the order in which the tree shows them;
 * then NULL. */
extern const char *const agent_statuses[AGENT_STATUSES + 1];

/*
 * Returns the number of strings of a field: the items of a list; for a field of a GPU one string
 * for each GPU; for any other field its one string. AGENT_RUNNING_TASKS has current_task_id as an
 * additional last string. A string may be absent, and the same string may occur more than once. A
 * number counts as one string. The field must not be AGENT_JSON.
 *
 * The strings of a field name the groups that contain the agent: "idle" that of by-status, for
 * example.
 */
size_t agent_string_count(const struct agent *agent, enum agent_field_id field);

/* Returns the string at index, which must be below agent_string_count(). The field must not be a
 * number. Returns NULL if the string is absent, or if it is empty and not a label. */
const char *agent_string(const struct agent *agent, enum agent_field_id field, size_t index);

#define AGENT_MAX_STRINGS (AGENT_MAX_TASKS + 1) /* upper limit of agent_string_count() */

/* Searches the strings of one field of an agent. The first search that misses its hint sorts the
 * strings, so the time for many searches does not grow with the square of a hostile list's length.
 */
struct agent_finder {
	const struct agent *agent;
	enum agent_field_id field;
	bool sorted;
	uint16_t count;                    /* entries in order */
	uint16_t order[AGENT_MAX_STRINGS]; /* indexes of the strings that are not absent, sorted by
	                                      string */
};

/* Prepares a search. The agent must stay valid as long as the finder is used. */
void agent_finder_init(struct agent_finder *finder, const struct agent *agent,
                       enum agent_field_id field);

/* Returns an index of the string in the field, or SIZE_MAX if the field does not have it. hint: the
 * index to try first; any number is allowed. */
size_t agent_finder_find(struct agent_finder *finder, const char *string, size_t hint);

#endif
