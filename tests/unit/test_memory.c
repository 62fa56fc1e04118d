/* SPDX-License-Identifier: MIT */
/*
 * Running out of memory: whatever is done here is done again and again, and each time another
 * allocation fails, the first, the second, and so on until none is left to fail; alone, and with
 * all that follow until somebody complains. What comes of it is the right answer or -ENOMEM, and
 * the right answer when there is memory again; and in the end nothing is left over.
 *
 * The allocations are those of the project: the linker leads them here (--wrap). Those of libfuse
 * and cmocka do not fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "api/http/client.h"
#include "api/http/credential.h"
#include "api/json/decode.h"
#include "api/replay/replay.h"
#include "fs/program/options.h"
#include "fs/tree/names.h"
#include "fs/tree/text.h"
#include "tests/unit/kernel.h"

/* Memory */

static struct {
	pthread_mutex_t lock; /* the client has a thread of its own */
	long left;            /* so many allocations succeed, then one fails; -1: all succeed */
	bool for_good;        /* and so do all after it */
	unsigned long failed;
	long live; /* blocks not freed */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = -1};

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_reallocarray(void *block, size_t count, size_t bytes);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t bytes);
char *__real_getcwd(char *buffer, size_t bytes);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
void __real_free(void *block);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_reallocarray(void *block, size_t count, size_t bytes);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t bytes);
char *__wrap_getcwd(char *buffer, size_t bytes);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
int __wrap_asprintf(char **ret, const char *format, ...);
void __wrap_free(void *block);

static bool fails(void)
{
	bool failing = false;

	pthread_mutex_lock(&memory.lock);
	if (memory.left > 0) {
		memory.left--;
	} else if (memory.left == 0) {
		if (!memory.for_good)
			memory.left = -1;
		memory.failed++;
		failing = true;
	}
	pthread_mutex_unlock(&memory.lock);
	if (failing)
		errno = ENOMEM;
	return failing;
}

static void count(int blocks)
{
	pthread_mutex_lock(&memory.lock);
	memory.live += blocks;
	pthread_mutex_unlock(&memory.lock);
}

static void *counted(void *block)
{
	count(block != NULL);
	return block;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *block, size_t bytes)
{
	if (fails())
		return NULL;
	return block ? __real_realloc(block, bytes) : counted(__real_realloc(NULL, bytes));
}

void *__wrap_reallocarray(void *block, size_t count, size_t bytes)
{
	if (fails())
		return NULL;
	return block ? __real_reallocarray(block, count, bytes)
	             : counted(__real_reallocarray(NULL, count, bytes));
}

char *__wrap_strdup(const char *string)
{
	return fails() ? NULL : counted(__real_strdup(string));
}

char *__wrap_strndup(const char *string, size_t bytes)
{
	return fails() ? NULL : counted(__real_strndup(string, bytes));
}

char *__wrap_getcwd(char *buffer, size_t bytes)
{
	if (buffer)
		return __real_getcwd(buffer, bytes);
	return fails() ? NULL : counted(__real_getcwd(NULL, bytes));
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
{
	int length = fails() ? -1 : __real_vasprintf(ret, format, arguments);

	count(length >= 0);
	return length;
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = __wrap_vasprintf(ret, format, arguments);
	va_end(arguments);
	return length;
}

void __wrap_free(void *block)
{
	count(-(block != NULL));
	__real_free(block);
}

/* There is memory again. */
static void relieve(void)
{
	pthread_mutex_lock(&memory.lock);
	memory.left = -1;
	pthread_mutex_unlock(&memory.lock);
}

/* Somebody complains: there must have been a reason. */
static void complained(void)
{
	relieve();
	assert_true(memory.failed > 0);
}

/* Does something until no allocation is left to fail; there are at least so many. */
static void each(void (*what)(void), long least)
{
	for (int for_good = 0; for_good <= 1; for_good++) {
		for (long n = 0;; n++) {
			long live = memory.live;

			memory.failed = 0;
			memory.for_good = for_good;
			memory.left = n;
			what();
			memory.left = -1;
			if (memory.live != live)
				fail_msg("%ld blocks are left over after allocation %ld failed",
				         memory.live - live, n);
			if (memory.failed == 0) {
				assert_true(n >= least);
				break;
			}
		}
	}
}

/* Decoding */

static const char example[] =
	"{\"agent_list\":[{\"agent_id\":\"gpu-node-01\",\"agent_status\":\"idle\","
	"\"agent_labels\":[\"gpu\",\"a100\"],\"gpu_capacity\":8,\"running_count\":3,"
	"\"running_tasks\":[\"019abc12\"],\"system_stats\":{\"os_type\":\"posix\",\"gpu_devices\":"
	"[{\"device_name\":\"RTX 4090\",\"vram_total\":25769803776,\"vram_free\":22548578304}]}}],"
	"\"page_meta\":{\"current_page\":1,\"per_page\":20,\"total_count\":42}}";

static const char hostile[] =
	" { \"agent_list\" : [ {\"agent_id\":\"../\\u001b\",\"agent_status\":1},"
	"7, {\"agent_id\":\"\xff\\ud800\\u001B\",\"gpu_capacity\":1e400,\"agent_labels\":"
	"[\"\",\"\",7,\"\xc2\x9b\"]}, {}, {\"agent_id\":\"\",\"system_stats\":{\"gpu_devices\":"
	"[7,{},{\"vram_total\":9007199254740993}]}} ],\"page_meta\":{\"total_count\":-1}}";

static const struct body {
	const char *text;
	size_t bytes;
} bodies[] = {{example, sizeof(example) - 1}, {hostile, sizeof(hostile) - 1}};

static const struct body *body;
static struct page *right;

static void decode(void)
{
	struct failure failure = {0};
	struct page *page = NULL;
	int err = decode_page(body->text, body->bytes, &page, &failure);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(failure.cause, FAILURE_MEMORY);
		assert_null(page);
		complained();
		assert_int_equal(decode_page(body->text, body->bytes, &page, &failure), 0);
	}
	assert_int_equal(page->agent_count, right->agent_count);
	assert_int_equal(page->malformed, right->malformed);
	assert_int_equal(page->total_count, right->total_count);
	for (size_t i = 0; i < page->agent_count; i++)
		for (enum agent_field_id field = 0; field < AGENT_FIELDS; field++)
			if (agent_fields[field].place != AGENT_PLACE_GPU)
				assert_true(
					agent_same(page->agents[i], right->agents[i], field, 0));
	page_free(page);
}

static void test_decode(void **state)
{
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		body = &bodies[i];
		if (decode_page(body->text, body->bytes, &right, &failure) < 0)
			fail_msg("%s", failure.message);
		each(decode, 3);
		page_free(right);
	}
}

/* Who has no memory to look into an error shows its beginning, and no expiry. */
static void decode_words(void)
{
	static const char words[] = "{\"message\":\"no team\"}", token[] = "{\"exp\":7}";
	char text[64];
	int64_t expiry;

	decode_message(words, sizeof(words) - 1, text, sizeof(text));
	if (strcmp(text, "no team") != 0)
		assert_string_equal(text, words);
	expiry = decode_expiry(token, sizeof(token) - 1);
	if (expiry != 7)
		assert_int_equal(expiry, 0);
}

static void test_words(void **state)
{
	(void)state;
	each(decode_words, 2);
}

/* Text, names and options */

static void write_text(void)
{
	char expected[512] = "";
	struct text text;
	bool again;

	for (int i = 0; i < 20; i++)
		strcat(expected, "\\x1b[31m 7\n");
	text_init(&text, 1 << 16);
	do {
		for (int i = 0; i < 20; i++) {
			text_escaped(&text, "\x1b[31m");
			text_printf(&text, " %d", 7);
			text_bytes(&text, "\n", 1);
		}
		again = text_error(&text) < 0;
		if (again) {
			assert_int_equal(text_error(&text), -ENOMEM);
			complained();
			text_clear(&text);
		}
	} while (again);
	assert_int_equal(text.length, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.length);
	text_done(&text);
}

static void write_name(void)
{
	char name[NAME_BYTES];

	name_encode("../\x1b", name);
	assert_string_equal(name, "%2E.%2F%1B");
}

static void test_text(void **state)
{
	(void)state;
	each(write_text, 2);
	each(write_name, 0);
}

static void parse(void)
{
	static const char *const words[] = {"fleetfs",
	                                    "--token-file=t",
	                                    "-ottl=5,allow_other,fsname=a\\,b",
	                                    "--team",
	                                    "x",
	                                    "https://127.0.0.1/",
	                                    "m"};
	char *const *argv = (char *const *)(uintptr_t)words;
	char why[OPTIONS_WHY_BYTES] = "";
	struct options options;
	struct text text;
	int status = options_parse(7, argv, &options, why);

	if (status != 0) {
		assert_int_equal(status, 1);
		assert_true(*why);
		complained();
		assert_int_equal(options_parse(7, argv, &options, why), 0);
	}
	assert_string_equal(options.source, "https://127.0.0.1");
	assert_string_equal(options.cacert, "/ca.pem");
	assert_string_equal(strrchr(options.ca_dirs, '/'), "/b");
	assert_string_equal(options.mountpoint, "m");
	assert_string_equal(options.team, "x");
	assert_string_equal(options.fuse, "allow_other,fsname=a\\,b");
	assert_string_equal(strrchr(options.token_file, '/'), "/t");
	assert_int_equal(options.ttl_ms, 5000);
	text_init(&text, 1 << 16);
	options_text(&options, options.mountpoint, &text);
	if (text_error(&text))
		complained();
	text_done(&text);
	options_done(&options);
}

static void test_options(void **state)
{
	(void)state;
	setenv("SSL_CERT_FILE", "/ca.pem", 1);
	setenv("SSL_CERT_DIR", "a:b", 1);
	each(parse, 8);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
}

/* The token and the fetching thread */

static struct credential *find_token(void)
{
	struct failure failure = {0};
	struct credential *credential = NULL;
	int err = credential_new(NULL, "team", &credential, &failure);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		assert_null(credential);
		complained();
		assert_int_equal(credential_new(NULL, "team", &credential, &failure), 0);
	}
	assert_string_equal(credential_token(credential), getenv("FLEETFS_TOKEN"));
	assert_string_equal(credential_team(credential), "team");
	return credential;
}

static struct client *start_client(const char *base)
{
	const struct client_config config = {
		.base = base,
		.cacert = "/ca.pem",
		.ca_dirs = "/cas",
		.timeout_ms = 5000,
		.connect_timeout_ms = 5000,
		.per_page = 20,
		.max_connections = 2,
	};
	struct credential *credential = find_token();
	struct client *client = NULL;
	int err = client_new(&config, credential, &client);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		complained();
		assert_int_equal(client_new(&config, credential, &client), 0);
	}
	return client;
}

static struct fetch *next_fetch(struct client *client)
{
	struct fetch *fetch;

	while (!(fetch = client_take(client))) {
		struct pollfd polled = {.fd = client_fd(client), .events = POLLIN};

		assert_int_equal(poll(&polled, 1, 20000), 1);
	}
	return fetch;
}

static void fetch_one(void)
{
	struct client *client = start_client("http://127.0.0.1:1/api"); /* nobody answers */

	for (unsigned int number = 1; number <= 3; number++) {
		struct fetch *fetch;

		if (client_want(client, number, NULL, false) < 0) {
			complained();
			assert_int_equal(client_want(client, number, NULL, false), 0);
		}
		fetch = next_fetch(client);
		assert_int_equal(fetch->number, number);
		assert_null(fetch->page);
		if (fetch->failure.cause == FAILURE_MEMORY)
			complained();
		else
			assert_int_equal(fetch->failure.cause, FAILURE_UNREACHABLE);
		fetch_free(fetch);
	}
	client_free(client);
}

/* An API in a process of its own, whose memory is of no interest: nothing of it ever changes. */
static pid_t serve(char *ret_base, size_t room)
{
	static const char unchanged[] = "HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n";
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char head[2048];
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &bytes);
	snprintf(ret_base, room, "http://127.0.0.1:%u/api", ntohs(address.sin_port));
	pid = fork();
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0 && (fd = accept(listener, NULL, NULL)) >= 0) {
		while (recv(fd, head, sizeof(head), 0) > 0)
			send(fd, unchanged, sizeof(unchanged) - 1, MSG_NOSIGNAL);
		close(fd);
	}
	close(listener);
	return pid;
}

static char unchanging[64]; /* its URL */

static void fetch_unchanged(void)
{
	const struct validator condition = {.etag = "\"a\"",
	                                    .last_modified = "Tue, 14 Nov 2023 22:13:10 GMT"};
	struct client *client = start_client(unchanging);

	for (int i = 0; i < 2; i++) {
		struct fetch *fetch;

		if (client_want(client, 1, &condition, false) < 0) {
			complained();
			assert_int_equal(client_want(client, 1, &condition, false), 0);
		}
		fetch = next_fetch(client);
		if (!fetch->page) {
			assert_int_equal(fetch->failure.cause, FAILURE_MEMORY);
			complained();
		} else {
			assert_true(fetch->page->unchanged);
			assert_string_equal(fetch->page->validator.etag, "\"b\"");
		}
		fetch_free(fetch);
	}
	client_free(client);
}

static void test_fetch_unchanged(void **state)
{
	pid_t server = serve(unchanging, sizeof(unchanging));

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	setenv("FLEETFS_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjU2MDB9.x", 1);
	each(fetch_unchanged, 5);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static void test_fetch(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	setenv("FLEETFS_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjU2MDB9.x", 1);
	each(fetch_one, 5);
}

static char saved[] = "/tmp/fleetfs-memory-XXXXXX";

static void replay(void)
{
	struct replay *replay = replay_new(saved, 1, 0);

	if (!replay) {
		complained();
		replay = replay_new(saved, 1, 0);
		assert_non_null(replay);
	}
	for (unsigned int number = 1; number <= 3; number++) {
		struct fetch fetch = {.number = number};

		replay_answer(replay, false, &fetch);
		if (!fetch.page) {
			assert_int_equal(fetch.failure.cause, FAILURE_MEMORY);
			complained();
			replay_answer(replay, false, &fetch);
			assert_non_null(fetch.page);
		}
		assert_int_equal(fetch.page->agent_count + fetch.page->malformed, 1);
		page_free(fetch.page);
	}
	replay_free(replay);
}

static void test_replay(void **state)
{
	int fd = mkstemp(saved);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, hostile, sizeof(hostile) - 1), sizeof(hostile) - 1);
	close(fd);
	each(replay, 10);
	unlink(saved);
}

/* The API: machines in the order of its list, and how often each has changed. */

#define MACHINES 160

static struct kernel kernel;
static unsigned int machines[MACHINES];
static unsigned int versions[MACHINES]; /* by number */
static unsigned int machine_count;
static unsigned int per_page;

static void api_begin(unsigned int count, unsigned int to_a_page)
{
	machine_count = count;
	per_page = to_a_page;
	for (unsigned int i = 0; i < MACHINES; i++) {
		machines[i] = i;
		versions[i] = 1;
	}
}

static void api_remove(unsigned int position)
{
	machine_count--;
	memmove(&machines[position], &machines[position + 1],
	        (machine_count - position) * sizeof(machines[0]));
}

static void api_insert(unsigned int position, unsigned int machine)
{
	memmove(&machines[position + 1], &machines[position],
	        (machine_count - position) * sizeof(machines[0]));
	machines[position] = machine;
	machine_count++;
}

static bool api_has(unsigned int machine)
{
	for (unsigned int i = 0; i < machine_count; i++)
		if (machines[i] == machine)
			return true;
	return false;
}

/* Brings a page that is wanted as main.c would, except that it decodes by itself. */
static void bring(unsigned int number)
{
	static char text[16384];
	size_t at = (size_t)snprintf(text, sizeof(text), "{\"agent_list\":[");
	unsigned int first = (number - 1) * per_page;
	struct page *page = NULL;
	struct failure failure;

	for (unsigned int i = first; i < first + per_page && i < machine_count; i++) {
		unsigned int machine = machines[i], version = versions[machine];

		at += (size_t)snprintf(text + at, sizeof(text) - at,
		                       "%s{\"agent_id\":\"m%u\",\"agent_status\":\"v%u\","
		                       "\"agent_labels\":[\"a\",\"b%u\"],\"tool\":\"t\","
		                       "\"running_tasks\":[\"t%u\"],\"system_stats\":"
		                       "{\"gpu_devices\":[{\"device_name\":\"g%u\"}]}}",
		                       i > first ? "," : "", machine, version, version, machine,
		                       version);
	}
	at += (size_t)snprintf(text + at, sizeof(text) - at,
	                       "],\"page_meta\":{\"total_count\":%u}}", machine_count);
	decode_page(text, at, &page, &failure);
	kernel_bring(&kernel, number, page, FAILURE_MEMORY);
}

/* Once more, after a failure has been held against everybody for a second. */
static void breathe(void)
{
	complained();
	kernel_advance(&kernel, 2000);
}

static void await(uint64_t unique)
{
	while (kernel_is_waiting(&kernel, unique)) {
		if (kernel.wanted_count > 0)
			bring(kernel.wanted[0]);
		else
			kernel_advance(&kernel, 100);
	}
}

/* The answer to a request, which is no complaint, is in the kernel. */
#define ASK(request)                                         \
	do {                                                 \
		await(request);                              \
		if (kernel.error != -ENOMEM)                 \
			break;                               \
		breathe();                                   \
		await(request);                              \
		assert_int_not_equal(kernel.error, -ENOMEM); \
	} while (0)

static void mount(unsigned int count, unsigned int to_a_page)
{
	api_begin(count, to_a_page);
	if (kernel_init(&kernel, to_a_page) < 0) {
		complained();
		assert_int_equal(kernel_init(&kernel, to_a_page), 0);
	}
}

static void unmount(void)
{
	relieve();
	kernel_forget_all(&kernel);
	kernel_statfs(&kernel);
	assert_int_equal(kernel.status.nodes, 1);
	kernel_done(&kernel);
}

static uint64_t look_up(uint64_t folder, const char *name)
{
	uint64_t node;

	ASK(kernel_lookup(&kernel, folder, name));
	assert_int_equal(kernel.error, 0);
	/* The entry begins with the id. */
	memcpy(&node, kernel.data, sizeof(node));
	return node;
}

/* What every file of the tree holds, in order of the listing, as hashes of path and text. */
struct tree {
	uint64_t hashes[512];
	size_t count;
};

static struct tree *tree;

static void note_file(const char *path, uint64_t node, bool is_link)
{
	uint64_t hash = XXH3_64bits(path, strlen(path));
	const char *text;

	ASK(kernel_getattr(&kernel, node));
	assert_int_equal(kernel.error, 0);
	if (is_link)
		ASK(kernel_readlink(&kernel, node));
	else
		ASK(kernel_read(&kernel, node, 0, 1 << 20));
	assert_int_equal(kernel.error, 0);
	/* What a mount tells about itself is another thing each time, as are the list's times. */
	text = kernel.data;
	if (strcmp(path, "/fleet/metrics.prom") == 0)
		text = memmem(text, kernel.bytes, "# HELP fleet_list_verified", 26);
	if (strcmp(path, "/fleet/fleet.html") == 0)
		text = memmem(text, kernel.bytes, "\n]}\n", 4);
	assert_non_null(text);
	if (!strstr(path, "/.fleetfs/"))
		hash = XXH3_64bits_withSeed(text, kernel.bytes - (size_t)(text - kernel.data),
		                            hash);
	assert_true(tree->count < sizeof(tree->hashes) / sizeof(tree->hashes[0]));
	tree->hashes[tree->count++] = hash;
}

static void note_folder(const char *path, uint64_t folder)
{
	struct kernel_entry entries[64];
	uint64_t offset = 0;
	size_t count = 0;
	char below[600];

	for (;;) {
		/* Small, so that most listings take several. */
		ASK(kernel_readdirplus(&kernel, folder, offset, 2048));
		assert_int_equal(kernel.error, 0);
		if (kernel.bytes == 0)
			break;
		for (size_t i = 0; i < kernel.entry_count; i++) {
			offset = kernel.entries[i].next;
			assert_true(count < 64);
			if (*kernel.entries[i].name != '.' || kernel.entries[i].node != 0)
				entries[count++] = kernel.entries[i];
		}
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(below, sizeof(below), "%.300s/%s", path, entries[i].name);
		if (entries[i].node == 0) /* a document, which nobody has looked up */
			entries[i].node = look_up(folder, entries[i].name);
		if (S_ISDIR(entries[i].mode))
			note_folder(below, entries[i].node);
		else
			note_file(below, entries[i].node, S_ISLNK(entries[i].mode));
	}
}

static struct tree expected, found;

static void read_tree(void)
{
	struct fleet_health health;

	mount(5, 2);
	found.count = 0;
	tree = &found;
	note_folder("", KERNEL_ROOT);
	/* A list that kept still was read once, and agreed with the API's count. */
	fleet_health(kernel.fleet, &health);
	assert_true(health.verified);
	assert_int_equal(health.passes, 1);
	if (expected.count > 0) {
		assert_int_equal(found.count, expected.count);
		assert_memory_equal(found.hashes, expected.hashes,
		                    found.count * sizeof(found.hashes[0]));
	}
	unmount();
}

static void test_tree(void **state)
{
	(void)state;
	read_tree();
	expected = found;
	each(read_tree, 60);
}

static void look_around(void)
{
	uint64_t agents, machine, file;

	mount(5, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	ASK(kernel_access(&kernel, agents, 4));
	assert_int_equal(kernel.error, 0);
	ASK(kernel_statfs(&kernel));
	assert_int_equal(kernel.error, 0);
	machine = look_up(agents, "m3");
	assert_true(machine != 0);
	file = look_up(machine, "status");
	ASK(kernel_read(&kernel, file, 0, 100));
	assert_memory_equal(kernel.data, "v1\n", 3);
	assert_int_equal(look_up(agents, "nobody"), 0);
	assert_int_equal(look_up(machine, "nothing"), 0);
	file = look_up(machine, "agent.json");
	kernel_forget(&kernel, file, 1);
	kernel_forget(&kernel, machine, 1);
	unmount();
}

/* Several that wait for the same page; one gives up. */
static void wait_together(void)
{
	uint64_t agents, requests[4];

	mount(5, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	requests[0] = kernel_lookup(&kernel, agents, "m0");
	requests[1] = kernel_readdirplus(&kernel, agents, 0, 4096);
	requests[2] = kernel_lookup(&kernel, agents, "nobody");
	requests[3] = kernel_lookup(&kernel, agents, "m4");
	kernel_interrupt(&kernel, requests[3]);
	for (int i = 0; i < 3; i++)
		await(requests[i]);
	relieve();
	kernel_advance(&kernel, 2000);
	assert_true(look_up(agents, "m0") != 0);
	assert_int_equal(look_up(agents, "nobody"), 0);
	unmount();
}

static void test_operations(void **state)
{
	(void)state;
	each(look_around, 20);
	each(wait_together, 20);
}

/* Agents come, change and go. */

static void list_agents(uint64_t agents, unsigned int ret_seen[static MACHINES])
{
	uint64_t offset = 0;

	memset(ret_seen, 0, MACHINES * sizeof(ret_seen[0]));
	do {
		ASK(kernel_readdirplus(&kernel, agents, offset, 600));
		assert_int_equal(kernel.error, 0);
		for (size_t i = 0; i < kernel.entry_count; i++) {
			const char *name = kernel.entries[i].name;

			offset = kernel.entries[i].next;
			if (*name == 'm')
				ret_seen[atoi(name + 1)]++;
		}
	} while (kernel.bytes > 0);
}

/* The folder of a view of those who have a label that all have. */
static uint64_t look_up_group(void)
{
	return look_up(look_up(KERNEL_ROOT, "by-label"), "a");
}

/* With memory, all is as the API says. */
static void expect_now(uint64_t agents)
{
	static unsigned int seen[MACHINES];
	struct fleet_health health;
	char name[8], status[16];

	relieve();
	/* What was on its way has come long since. */
	while (kernel.wanted_count > 0)
		bring(kernel.wanted[0]);
	kernel_advance(&kernel, 2000);
	/* Whoever left may have been missed but once. */
	for (int i = 0; i < 2; i++) {
		kernel_advance(&kernel, KERNEL_TTL_MS + 1);
		list_agents(agents, seen);
	}
	for (unsigned int i = 0; i < MACHINES; i++) {
		uint64_t machine, file;

		assert_int_equal(seen[i], api_has(i));
		if (i > 5)
			continue;
		snprintf(name, sizeof(name), "m%u", i);
		machine = look_up(agents, name);
		assert_int_equal(machine != 0, api_has(i));
		if (machine == 0)
			continue;
		file = look_up(machine, "status");
		ASK(kernel_read(&kernel, file, 0, 100));
		snprintf(status, sizeof(status), "v%u\n", versions[i]);
		assert_int_equal(kernel.bytes, strlen(status));
		assert_memory_equal(kernel.data, status, kernel.bytes);
	}
	list_agents(look_up_group(), seen);
	for (unsigned int i = 0; i < MACHINES; i++)
		assert_int_equal(seen[i], api_has(i));
	fleet_health(kernel.fleet, &health);
	assert_int_equal(health.agents, machine_count);
	assert_true(health.verified && !health.failing);
}

static void come_and_go(void)
{
	static unsigned int seen[MACHINES];
	uint64_t agents, group;

	mount(4, 2);
	agents = look_up(KERNEL_ROOT, "agents");
	group = look_up_group();
	for (unsigned int turn = 0; turn < 2; turn++) {
		list_agents(turn == 0 ? agents : group, seen);
		for (unsigned int i = 0; i < MACHINES; i++)
			assert_int_equal(seen[i], i < 4);
	}

	versions[0] = 2;
	api_remove(1);
	api_insert(3, 4);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	list_agents(agents, seen);
	/* Perhaps as of before, perhaps as of now. */
	assert_true(seen[0] == 1 && seen[1] <= 1 && seen[2] == 1 && seen[3] == 1 && seen[4] <= 1);

	versions[0] = 3;
	api_remove(1);
	fleet_expire(kernel.fleet);
	list_agents(group, seen);
	assert_true(seen[0] == 1 && seen[1] <= 1 && seen[2] <= 1 && seen[3] == 1 && seen[4] <= 1);
	expect_now(agents);
	unmount();
}

/* The log of events */

static size_t times_in(const char *text, const char *line)
{
	size_t times = 0;

	for (; (text = strstr(text, line)); text += strlen(line))
		times++;
	return times;
}

/* Whatever failed meanwhile, each change is in it once. */
static void log_events(void)
{
	static const char *const lines[] = {
		"m0\tstatus\tv1\tv2\n",      "m0\tlabels/b1\tb1\t-\n", "m0\tlabels/b2\t-\tb2\n",
		"m0\tgpus/0/name\tg1\tg2\n", "m1\tagent\tleft\t-\n",   "m4\tagent\t-\tjoined\n",
	};
	uint64_t log;
	size_t ends = 0;

	mount(4, 2);
	log = look_up(look_up(KERNEL_ROOT, "fleet"), "events.log");
	versions[0] = 2;
	api_remove(1);
	api_insert(3, 4);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	ASK(kernel_getattr(&kernel, log));
	assert_int_equal(kernel.error, 0);
	expect_now(look_up(KERNEL_ROOT, "agents"));
	ASK(kernel_read(&kernel, log, 0, 1 << 20));
	assert_int_equal(kernel.error, 0);
	kernel.data[kernel.bytes] = '\0';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(times_in(kernel.data, lines[i]), 1);
	for (size_t i = 0; i < kernel.bytes; i++)
		ends += kernel.data[i] == '\n';
	assert_int_equal(ends, sizeof(lines) / sizeof(lines[0]));
	unmount();
}

static void test_events(void **state)
{
	(void)state;
	each(log_events, 60);
}

/* The fleet by itself */

static int walk(uint64_t *cursor, struct record **ret_record)
{
	struct query query = fleet_query(kernel.fleet);
	int err;

	while ((err = fleet_walk(kernel.fleet, cursor, &query, ret_record)) == -EAGAIN)
		bring(kernel.wanted[0]);
	if (err == -ENOMEM) {
		breathe();
		query = fleet_query(kernel.fleet);
		while ((err = fleet_walk(kernel.fleet, cursor, &query, ret_record)) == -EAGAIN)
			bring(kernel.wanted[0]);
	}
	return err;
}

/* So many further agents of a listing, or those that are left. */
static void walk_on(uint64_t *cursor, unsigned int most, unsigned int seen[static MACHINES])
{
	struct record *record;

	while (most-- > 0) {
		assert_int_equal(walk(cursor, &record), 0);
		if (!record)
			return;
		seen[atoi(record->name + 1)]++;
	}
}

/*
 * A listing of 128 agents, which is as many as fit before its memory has to grow, and one that is
 * looked for a second time: before the pages around it have come, another agent is met elsewhere.
 */
static void meet_in_second_look(void)
{
	static unsigned int seen[MACHINES];
	uint64_t cursor = 0;
	struct record *record;
	struct query query;

	mount(129, 32);
	memset(seen, 0, sizeof(seen));
	walk_on(&cursor, MACHINES, seen);
	for (unsigned int i = 0; i < MACHINES; i++)
		assert_int_equal(seen[i], i < 129);

	api_remove(0);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	memset(seen, 0, sizeof(seen));
	cursor = 0;
	walk_on(&cursor, 128, seen);
	api_insert(120, 150);
	kernel_advance(&kernel, KERNEL_TTL_MS + 1);
	query = fleet_query(kernel.fleet);
	if (fleet_find(kernel.fleet, "m128", &query, &record) == -EAGAIN)
		for (size_t i = 0; i < kernel.wanted_count; i++)
			if (kernel.wanted[i] == 4)
				bring(4);
	walk_on(&cursor, MACHINES, seen);
	for (unsigned int i = 1; i < 129; i++)
		assert_int_equal(seen[i], 1);
	assert_true(seen[0] <= 1 && seen[150] <= 1);
	expect_now(look_up(KERNEL_ROOT, "agents"));
	unmount();
}

static void test_come_and_go(void **state)
{
	(void)state;
	each(come_and_go, 100);
	each(meet_in_second_look, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),     cmocka_unit_test(test_words),
		cmocka_unit_test(test_text),       cmocka_unit_test(test_options),
		cmocka_unit_test(test_fetch),      cmocka_unit_test(test_fetch_unchanged),
		cmocka_unit_test(test_replay),     cmocka_unit_test(test_tree),
		cmocka_unit_test(test_operations), cmocka_unit_test(test_come_and_go),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
