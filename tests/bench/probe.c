/* SPDX-License-Identifier: MIT */
/*
 * What tests/bench/bench.py is too slow, or too coarse, to measure itself.
 *
 * bench-probe sweep URL
 *     The whole list, as a bare program would read it: one connection, libcurl, cJSON, page after
 *     page, nothing kept. Says: agents requests bytes seconds
 *
 * bench-probe latency PATH MS PAUSE_US
 *     For so long, or until SIGTERM: a round of operations on a file, a pause, another round.
 *     Says "ready", and at the end of each operation: name p50_ns p99_ns slowest_ns
 *
 * The token is the simulator's. Ends with 1 and a word on stderr when something fails.
 */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PER_PAGE    100
#define MAX_BODY    (8u << 20)
#define IN_A_ROW    32
#define MAX_SAMPLES (1u << 20) /* of one operation, a multiple of IN_A_ROW */

static volatile sig_atomic_t ended;

static void on_term(int number)
{
	(void)number;
	ended = 1;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The bare loop */

struct body {
	size_t bytes;
	char text[MAX_BODY];
};

static size_t on_body(char *data, size_t one, size_t bytes, void *user)
{
	struct body *body = user;

	(void)one;
	if (bytes > MAX_BODY - body->bytes)
		return 0;
	memcpy(body->text + body->bytes, data, bytes);
	body->bytes += bytes;
	return bytes;
}

/* The agents in this body; *ret_total is what it says the whole list has. -1: it is no page. */
static int count_agents(const struct body *body, double *ret_total)
{
	cJSON *root = cJSON_ParseWithLength(body->text, body->bytes);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "agent_list");
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(root, "page_meta");
	const cJSON *total = cJSON_GetObjectItemCaseSensitive(meta, "total_count");
	int count = cJSON_IsArray(list) && cJSON_IsNumber(total) ? cJSON_GetArraySize(list) : -1;

	if (count >= 0)
		*ret_total = total->valuedouble;
	cJSON_Delete(root);
	return count;
}

static int read_list(CURL *easy, const char *base, struct body *body)
{
	const int64_t began_ns = now_ns();
	long requests = 0;
	size_t agents = 0, bytes = 0;
	double total = 1;
	char url[512];

	while ((double)requests * PER_PAGE < total) {
		int count;

		snprintf(url, sizeof(url), "%s/agents?current_page=%ld&per_page=%d", base,
		         ++requests, PER_PAGE);
		body->bytes = 0;
		if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
		    curl_easy_perform(easy) != CURLE_OK)
			return -1;
		count = count_agents(body, &total);
		if (count < 0)
			return -1;
		agents += (size_t)count;
		bytes += body->bytes;
	}
	printf("%zu %ld %zu %.6f\n", agents, requests, bytes, (double)(now_ns() - began_ns) / 1e9);
	return 0;
}

static int sweep(const char *base)
{
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer sk-sim");
	struct body *body = malloc(sizeof(*body));
	int err = -1;

	if (easy && headers && body) {
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
		curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
		err = read_list(easy, base, body);
	}
	free(body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
	if (err < 0)
		fprintf(stderr, "bench-probe: %s cannot be read to its end\n", base);
	return err < 0;
}

/* The operations */

static int do_stat(const char *path)
{
	struct stat attributes;

	return stat(path, &attributes);
}

static int do_read(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return got > 0 ? 0 : -1;
}

/* The kernel never answers it from a cache: so it is always a round trip to the file system. */
static int do_statfs(const char *path)
{
	struct statvfs attributes;

	return statvfs(path, &attributes);
}

static const struct operation {
	const char *name;
	int (*run)(const char *path);
} operations[] = {
	{"stat", do_stat},
	{"open+read+close", do_read},
	{"statfs", do_statfs},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static int by_size(const void *one, const void *other)
{
	const int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

	return (a > b) - (a < b);
}

/* Each operation many times in a row: after statfs, which fleetfs itself answers, the next one
 * finds the processor's caches cold, which is no fault of its own. samples_ns: room for MAX_SAMPLES
 * of each operation, one operation after the other. */
static int measure(const char *path, int64_t ms, unsigned int pause_us, int64_t *samples_ns)
{
	const int64_t end_ns = now_ns() + ms * 1000000;
	const size_t in_a_row = pause_us ? 1 : IN_A_ROW;
	size_t count;

	for (count = 0; count == 0 || (!ended && count < MAX_SAMPLES && now_ns() < end_ns);
	     count += in_a_row) {
		for (size_t i = 0; i < OPERATIONS * in_a_row; i++) {
			const struct operation *operation = &operations[i / in_a_row];
			const int64_t began_ns = now_ns();

			if (operation->run(path) < 0) {
				fprintf(stderr, "bench-probe: %s %s: %m\n", operation->name, path);
				return -1;
			}
			samples_ns[i / in_a_row * MAX_SAMPLES + count + i % in_a_row] =
				now_ns() - began_ns;
		}
		if (pause_us)
			usleep(pause_us);
	}
	for (size_t i = 0; i < OPERATIONS; i++) {
		int64_t *sorted_ns = samples_ns + i * MAX_SAMPLES;

		qsort(sorted_ns, count, sizeof(*sorted_ns), by_size);
		printf("%s %lld %lld %lld\n", operations[i].name, (long long)sorted_ns[count / 2],
		       (long long)sorted_ns[count * 99 / 100], (long long)sorted_ns[count - 1]);
	}
	return 0;
}

static int latency(const char *path, int64_t ms, unsigned int pause_us)
{
	int64_t *samples_ns = calloc(OPERATIONS * MAX_SAMPLES, sizeof(*samples_ns));
	int err;

	if (!samples_ns)
		return 1;
	signal(SIGTERM, on_term);
	puts("ready");
	fflush(stdout);
	err = measure(path, ms, pause_us, samples_ns);
	free(samples_ns);
	return err < 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "sweep") == 0)
		return sweep(argv[2]);
	if (argc == 5 && strcmp(argv[1], "latency") == 0)
		return latency(argv[2], strtol(argv[3], NULL, 10),
		               (unsigned int)strtoul(argv[4], NULL, 10));
	fputs("bench-probe sweep URL | bench-probe latency PATH MS PAUSE_US\n", stderr);
	return 2;
}
