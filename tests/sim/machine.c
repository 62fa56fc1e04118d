/* SPDX-License-Identifier: MIT */
#include "tests/sim/machine.h"

#include <stdbool.h>
#include <time.h>

#define MIB          (UINT64_C(1) << 20)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum machine_status {
	MACHINE_IDLE,
	MACHINE_BUSY,
	MACHINE_SYNCING,
	MACHINE_TUNNEL,
	MACHINE_UNHEALTHY,
};

static const char *const status_words[] = {"idle", "busy", "syncing", "tunnel", "unhealthy"};

/* What is drawn for the constant traits; each trait has its own so that they are independent. */
enum trait {
	TRAIT_BIRTH,
	TRAIT_SITE,
	TRAIT_TOOL,
	TRAIT_VERSION,
	TRAIT_HEARTBEAT,
	TRAIT_SYNC,
	TRAIT_TASK,
	TRAIT_VRAM,
	TRAIT_COUNTS,
};

static const struct {
	const char *prefix;
	const char *zone;
} sites[] = {
	{"gpu-node", "zone-a"}, {"gpu-node", "zone-a"}, {"gpu-node", "zone-b"},
	{"ams1-gpu", "ams1"},   {"fra2-gpu", "fra2"},   {"sjc1-rig", "sjc1"},
};

static const struct {
	const char *name;
	const char *label;
	uint64_t vram_bytes;
	uint8_t most; /* GPUs in one machine */
} gpu_models[] = {
	{"NVIDIA GeForce RTX 4090", "4090", 24576 * MIB, 4},
	{"NVIDIA GeForce RTX 4090", "4090", 24576 * MIB, 2},
	{"NVIDIA L40S", "l40s", 46068 * MIB, 4},
	{"NVIDIA A100-SXM4-80GB", "a100", 81920 * MIB, 8},
	{"NVIDIA H100 80GB HBM3", "h100", 81559 * MIB, 8},
};

static const char *const agent_versions[] = {"0.1.3", "0.1.3", "0.1.4", "0.1.2"};
static const char *const comfyui_versions[] = {"0.3.13", "0.3.10", "0.3.27"};
static const char *const pytorch_versions[] = {"2.5.1+cu124", "2.6.0+cu126", "2.4.1+cu121"};

static const char *const sync_models[] = {
	"flux1-dev-fp8 (11.1 GB)",
	"sd_xl_base_1.0 (6.5 GB)",
	"wan2.1-t2v-14b-fp8 (13.4 GB)",
	"t5xxl_fp8_e4m3fn (4.6 GB)",
};

uint64_t random_mix(uint64_t a, uint64_t b)
{
	struct random_source source = {.state = a ^ (b * UINT64_C(0xd1342543de82ef95))};

	return random_next(&source);
}

uint64_t random_next(struct random_source *source)
{
	uint64_t bits = source->state += UINT64_C(0x9e3779b97f4a7c15);

	bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
	return bits ^ (bits >> 31);
}

uint32_t random_below(struct random_source *source, uint32_t below)
{
	return (uint32_t)(((random_next(source) >> 32) * below) >> 32);
}

static uint32_t trait(const struct machine *machine, enum trait which, uint32_t below)
{
	return (uint32_t)(random_mix(machine->seed, which) % below);
}

static void start_task(struct machine *machine)
{
	machine->status = MACHINE_BUSY;
	machine->running++;
	machine->vram_epoch++;
}

/* The common half of both beginnings: identity and hardware. */
static void build(struct machine *machine, struct random_source *source, uint64_t fleet_seed,
                  uint32_t number)
{
	*machine = (struct machine){.seed = random_mix(fleet_seed, number), .number = number};
	source->state = random_mix(machine->seed, TRAIT_BIRTH);
	machine->gpu_model = (uint8_t)random_below(source, COUNT(gpu_models));
	machine->gpu_count = 1;
	while (machine->gpu_count < gpu_models[machine->gpu_model].most &&
	       random_below(source, 100) < 40)
		machine->gpu_count = (uint8_t)(2 * machine->gpu_count);
}

void machine_init(struct machine *machine, uint64_t fleet_seed, uint32_t number, int64_t now_s)
{
	struct random_source source;
	uint32_t draw;

	build(machine, &source, fleet_seed, number);
	machine->connected_at_s = now_s - 60 - random_below(&source, 21 * 24 * 3600);
	machine->tasks_completed = random_below(&source, 4000);
	machine->first_task = machine->tasks_completed;

	draw = random_below(&source, 100);
	if (draw < 42) {
		const uint32_t tasks = 1 + random_below(&source, machine->gpu_count);

		while (machine->running < tasks)
			start_task(machine);
	} else if (draw < 50) {
		machine->status = MACHINE_SYNCING;
		machine->sync_percent = (uint8_t)random_below(&source, 100);
	} else if (draw < 54) {
		machine->status = MACHINE_TUNNEL;
	} else if (draw < 58) {
		machine->status = MACHINE_UNHEALTHY;
	}
}

void machine_init_new(struct machine *machine, uint64_t fleet_seed, uint32_t number, int64_t now_s)
{
	struct random_source source;

	build(machine, &source, fleet_seed, number);
	machine->connected_at_s = now_s;
}

static void step_idle(struct machine *machine, uint32_t draw)
{
	if (draw < 15) {
		start_task(machine);
	} else if (draw < 17) {
		machine->status = MACHINE_SYNCING;
		machine->sync_percent = 0;
	} else if (draw < 18) {
		machine->status = MACHINE_TUNNEL;
	} else if (draw < 19) {
		machine->status = MACHINE_UNHEALTHY;
	}
}

static void step_busy(struct machine *machine, uint32_t draw)
{
	machine->vram_epoch++;
	if (draw < 25) {
		machine->first_task++;
		machine->tasks_completed++;
		if (--machine->running == 0)
			machine->status = MACHINE_IDLE;
	} else if (draw < 40 && machine->running < machine->gpu_count) {
		start_task(machine);
	}
}

void machine_step(struct machine *machine, struct random_source *source)
{
	const uint32_t draw = random_below(source, 100);
	unsigned int percent;

	switch ((enum machine_status)machine->status) {
	case MACHINE_IDLE:
		step_idle(machine, draw);
		break;
	case MACHINE_BUSY:
		step_busy(machine, draw);
		break;
	case MACHINE_SYNCING:
		percent = machine->sync_percent + 3 + draw / 5;
		machine->sync_percent = (uint8_t)(percent < 100 ? percent : 100);
		if (percent >= 100)
			machine->status = MACHINE_IDLE;
		break;
	case MACHINE_TUNNEL:
	case MACHINE_UNHEALTHY:
		if (draw < 12)
			machine->status = MACHINE_IDLE;
		break;
	}
}

void machine_id(const struct machine *machine, char ret_id[MACHINE_ID_SIZE])
{
	snprintf(ret_id, MACHINE_ID_SIZE, "%s-%05u",
	         sites[trait(machine, TRAIT_SITE, COUNT(sites))].prefix, machine->number);
}

static void render_time(const char *key, int64_t at_s, FILE *out)
{
	const time_t at = (time_t)at_s;
	struct tm tm;

	gmtime_r(&at, &tm);
	fprintf(out, ",\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", key, tm.tm_year + 1900,
	        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* A task's id has the form of a UUID of version 7. */
static void render_task(const struct machine *machine, uint32_t serial, FILE *out)
{
	const uint64_t high = random_mix(machine->seed + TRAIT_TASK, serial);
	const uint64_t low = random_mix(high, serial);

	fprintf(out, "\"019abc%02x-%04x-7%03x-%04x-%012llx\"", (unsigned int)(high >> 56),
	        (unsigned int)(high >> 40) & 0xffff, (unsigned int)high & 0xfff,
	        0x8000 | ((unsigned int)(high >> 16) & 0x3fff),
	        (unsigned long long)low & 0xffffffffffff);
}

static void render_gpus(const struct machine *machine, FILE *out)
{
	const uint64_t total = gpu_models[machine->gpu_model].vram_bytes;
	unsigned int i;

	fputs("\"gpu_devices\":[", out);
	for (i = 0; i < machine->gpu_count; i++) {
		const uint64_t draw = random_mix(machine->seed + TRAIT_VRAM,
		                                 ((uint64_t)machine->vram_epoch << 8) | i);
		uint64_t used = total / 50 + total / 20 * (draw % 256) / 256;

		if (i < machine->running)
			used += total / 4 + total / 2 * (draw / 256 % 256) / 256;
		used -= used % MIB;
		fprintf(out,
		        "%s{\"device_name\":\"%s\",\"device_type\":\"cuda\","
		        "\"vram_total\":%llu,\"vram_free\":%llu}",
		        i ? "," : "", gpu_models[machine->gpu_model].name,
		        (unsigned long long)total, (unsigned long long)(total - used));
	}
	fputs("]", out);
}

static void render_tasks(const struct machine *machine, FILE *out)
{
	unsigned int i;

	fprintf(out, ",\"running_count\":%u,\"running_tasks\":[", machine->running);
	for (i = 0; i < machine->running; i++) {
		if (i)
			fputs(",", out);
		render_task(machine, machine->first_task + i, out);
	}
	fputs("]", out);
}

static void render_sync(const struct machine *machine, FILE *out)
{
	const bool verifying = machine->sync_percent >= 90;

	fprintf(out, ",\"sync_phase\":\"%s\",\"sync_detail\":\"%s model %s\",\"sync_percent\":%u",
	        verifying ? "verifying" : "downloading", verifying ? "Verifying" : "Downloading",
	        sync_models[trait(machine, TRAIT_SYNC, COUNT(sync_models))], machine->sync_percent);
}

static void render_identity(const struct machine *machine, int64_t now_s, bool comfyui, FILE *out)
{
	const uint32_t version = trait(machine, TRAIT_VERSION, 12);
	const int64_t beat_s = now_s - trait(machine, TRAIT_HEARTBEAT, 8);
	char id[MACHINE_ID_SIZE];

	machine_id(machine, id);
	fprintf(out,
	        "{\"agent_id\":\"%s\",\"agent_status\":\"%s\","
	        "\"agent_labels\":[\"gpu\",\"%s\",\"%s\",\"%s\"]",
	        id, status_words[machine->status], gpu_models[machine->gpu_model].label,
	        comfyui ? "comfyui" : "nerfstudio",
	        sites[trait(machine, TRAIT_SITE, COUNT(sites))].zone);
	render_time("last_heartbeat",
	            beat_s > machine->connected_at_s ? beat_s : machine->connected_at_s, out);
	fprintf(out, ",\"agent_version\":\"%s\"", agent_versions[version % COUNT(agent_versions)]);
	if (comfyui)
		fprintf(out,
		        ",\"tool\":\"comfyui\",\"tool_version\":\"%s\",\"comfyui_version\":\"%s\"",
		        comfyui_versions[version % COUNT(comfyui_versions)],
		        comfyui_versions[version % COUNT(comfyui_versions)]);
	else
		fputs(",\"tool\":\"nerfstudio\",\"tool_version\":\"1.1.5\"", out);
	fprintf(out, ",\"gpu_capacity\":%u", machine->gpu_count);
}

/* The order of the fields is that of the API's own example. */
void machine_render(const struct machine *machine, int64_t now_s, FILE *out)
{
	const uint32_t version = trait(machine, TRAIT_VERSION, 12);
	const bool comfyui = trait(machine, TRAIT_TOOL, 100) < 85;

	render_identity(machine, now_s, comfyui, out);
	if (machine->status == MACHINE_BUSY)
		render_tasks(machine, out);
	else if (trait(machine, TRAIT_COUNTS, 8) > 0)
		fputs(",\"running_count\":0", out);
	fputs(",\"platform_arch\":\"linux/amd64\"", out);
	if (machine->status == MACHINE_SYNCING)
		render_sync(machine, out);
	render_time("connected_at", machine->connected_at_s, out);
	fprintf(out, ",\"tasks_completed\":%u", machine->tasks_completed);
	if (machine->status == MACHINE_BUSY) {
		fputs(",\"current_task_id\":", out);
		render_task(machine, machine->first_task, out);
	}
	fputs(",\"system_stats\":{", out);
	if (comfyui)
		fprintf(out, "\"comfyui_version\":\"%s\",",
		        comfyui_versions[version % COUNT(comfyui_versions)]);
	fprintf(out, "\"pytorch_version\":\"%s\",\"os_type\":\"posix\",",
	        pytorch_versions[version / 4 % COUNT(pytorch_versions)]);
	render_gpus(machine, out);
	fputs("}}", out);
}
