/* SPDX-License-Identifier: MIT */
#include "tests/sim/sim.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/scan.h"
#include "tests/sim/server.h"

#define SIM_AGENTS_MAX  10000000
#define SIM_THREADS_MAX 64

struct options {
	uint64_t port;
	uint64_t agents;
	uint64_t seed;
	uint64_t churn_ms;
	uint64_t threads;
	const char *file;
	const char *token;
	const char *jwt;
	const char *team;
	bool gzip;
	bool with_parent;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(void *context)
{
	const struct sim *sim = context;

	eventfd_write(sim->wake_fd, 1);
}

void sim_set_churn(struct sim *sim, uint64_t period_ms)
{
	sim->churn_ms = period_ms;
	sim->next_step_ms = period_ms ? now_ms() + (int64_t)period_ms : INT64_MAX;
	eventfd_write(sim->wake_fd, 1);
}

bool sim_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!text[0])
		return false;
	for (; *text; text++) {
		const unsigned int digit = (unsigned int)(*text - '0');

		if (digit > 9 || number > most / 10)
			return false;
		number = 10 * number + digit;
		if (number > most)
			return false;
	}
	if (number < least)
		return false;
	*ret_number = number;
	return true;
}

/* Runs the steps and lets go the requests that are due. When to do so again, INT64_MAX for never.
 */
static int64_t tick(struct sim *sim)
{
	const int64_t at_ms = now_ms();
	int64_t due_ms;

	pthread_mutex_lock(&sim->lock);
	due_ms = gate_tick(sim->gate, at_ms);
	if (sim->next_step_ms <= at_ms) {
		fleet_step(sim->fleet);
		/* Steps that a slow machine missed are not made up for. */
		sim->next_step_ms = now_ms() + (int64_t)sim->churn_ms;
	}
	if (sim->next_step_ms < due_ms)
		due_ms = sim->next_step_ms;
	pthread_mutex_unlock(&sim->lock);
	return due_ms;
}

/* The main thread's loop: timers, until a signal ends it. */
static void run(struct sim *sim, int signal_fd)
{
	struct pollfd fds[] = {
		{.fd = signal_fd, .events = POLLIN},
		{.fd = sim->wake_fd, .events = POLLIN},
	};
	eventfd_t count;

	while (!fds[0].revents) {
		const int64_t due_ms = tick(sim);
		int64_t wait_ms = due_ms - now_ms();

		if (due_ms == INT64_MAX)
			wait_ms = -1;
		else if (wait_ms < 0)
			wait_ms = 0;
		else if (wait_ms > 60000)
			wait_ms = 60000;
		if (poll(fds, 2, (int)wait_ms) > 0 && fds[1].revents)
			eventfd_read(sim->wake_fd, &count);
	}
}

static int serve(struct sim *sim, const struct options *options, int signal_fd)
{
	struct MHD_Daemon *daemon;
	uint16_t port = (uint16_t)options->port;

	daemon = server_start(sim, &port, (unsigned int)options->threads);
	if (!daemon) {
		fprintf(stderr, "fleetfs-sim: cannot listen on port %u\n", port);
		return EXIT_FAILURE;
	}
	printf("http://127.0.0.1:%u/api/v1\n", port);
	fflush(stdout);
	run(sim, signal_fd);
	server_stop(sim, daemon);
	return EXIT_SUCCESS;
}

/* Takes the agent_list of an answer that stands in a file. 0 or -errno. */
static int load(struct fleet *fleet, const char *path)
{
	struct scan_piece list;
	struct stat st;
	FILE *file = fopen(path, "re");
	char *text = NULL;
	int r = 0;

	if (!file)
		return -errno;
	if (fstat(fileno(file), &st) < 0)
		r = -errno;
	else if (!(text = malloc((size_t)st.st_size + 1)))
		r = -ENOMEM;
	else if (fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		r = -EIO;
	if (!r)
		r = scan_member(text, (size_t)st.st_size, "agent_list", &list);
	if (!r)
		r = fleet_replace(fleet, list.text, list.bytes);
	free(text);
	fclose(file);
	return r;
}

static void sim_done(struct sim *sim)
{
	gate_free(sim->gate);
	faults_free(sim->faults);
	pages_free(sim->pages);
	fleet_free(sim->fleet);
	free(sim->token);
	if (sim->wake_fd >= 0)
		close(sim->wake_fd);
	pthread_mutex_destroy(&sim->lock);
}

/* Fills a sim of zeros. Returns 0 or -errno. Call sim_done() also after an error. */
static int sim_init(struct sim *sim, const struct options *options)
{
	int r;

	pthread_mutex_init(&sim->lock, NULL);
	sim->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sim->wake_fd < 0)
		return -errno;
	r = fleet_new(options->seed, options->file ? 0 : options->agents, &sim->fleet);
	if (r < 0)
		return r;
	if (options->file) {
		r = load(sim->fleet, options->file);
		if (r < 0)
			return r;
	}
	sim->pages = pages_new(sim->fleet, options->gzip);
	sim->gate = gate_new(wake, sim);
	sim->faults = faults_new();
	sim->token = strdup(options->token);
	if (!sim->pages || !sim->gate || !sim->faults || !sim->token)
		return -ENOMEM;
	sim->jwt = options->jwt;
	sim->team = options->team;
	sim_set_churn(sim, options->churn_ms);
	return 0;
}

/* An option that takes a number, or else a text. */
static const struct {
	const char *name;
	size_t offset; /* in struct options */
	bool number;
	uint64_t least, most;
	const char *usage;
} rows[] = {
	{"port", offsetof(struct options, port), true, 0, UINT16_MAX, "N; 0: any (default)"},
	{"agents", offsetof(struct options, agents), true, 0, SIM_AGENTS_MAX, "N (default 42)"},
	{"seed", offsetof(struct options, seed), true, 0, INT64_MAX, "N (default 1)"},
	{"churn", offsetof(struct options, churn_ms), true, 0, SIM_MS_MAX,
         "MS between two steps; 0: none (default)"},
	{"threads", offsetof(struct options, threads), true, 1, SIM_THREADS_MAX,
         "N that answer requests (default 1)"},
	{"file", offsetof(struct options, file), false, 0, 0,
         "FILE with an answer; serve its agent_list instead"},
	{"token", offsetof(struct options, token), false, 0, 0, "TOKEN accepted (default sk-sim)"},
	{"jwt", offsetof(struct options, jwt), false, 0, 0, "TOKEN accepted too (default none)"},
	{"team", offsetof(struct options, team), false, 0, 0,
         "TEAM that a JWT has to name (default team_sim)"},
};

#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

/* Beyond the rows: options without a value. */
enum {
	OPTION_GZIP = 256,
	OPTION_WITH_PARENT,
	OPTION_HELP,
};

static void usage(FILE *out)
{
	int i;

	fputs("usage: fleetfs-sim [options]\n", out);
	for (i = 0; i < ROWS; i++)
		fprintf(out, "  --%-12s %s\n", rows[i].name, rows[i].usage);
	fputs("  --gzip         compress answers for clients that take it\n"
	      "  --with-parent  end when the thread that started it does\n",
	      out);
}

static bool set_value(struct options *options, int row, const char *value)
{
	char *place = (char *)options + rows[row].offset;
	uint64_t number;

	if (!rows[row].number) {
		memcpy(place, &value, sizeof(value));
		return true;
	}
	if (!sim_number(value, rows[row].least, rows[row].most, &number)) {
		fprintf(stderr,
		        "fleetfs-sim: --%s takes a number from %" PRIu64 " to %" PRIu64 "\n",
		        rows[row].name, rows[row].least, rows[row].most);
		return false;
	}
	memcpy(place, &number, sizeof(number));
	return true;
}

/* 0: go on; 1: help was asked for; -EINVAL: told on stderr what is wrong. */
static int parse(int argc, char **argv, struct options *options)
{
	struct option longs[ROWS + 4] = {
		[ROWS] = {"gzip", no_argument, NULL, OPTION_GZIP},
		{"with-parent", no_argument, NULL, OPTION_WITH_PARENT},
		{"help", no_argument, NULL, OPTION_HELP},
	};
	int i, c;

	for (i = 0; i < ROWS; i++)
		longs[i] = (struct option){rows[i].name, required_argument, NULL, i};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPTION_GZIP)
			options->gzip = true;
		else if (c == OPTION_WITH_PARENT)
			options->with_parent = true;
		else if (c == OPTION_HELP)
			return 1;
		else if (c < 0 || c >= ROWS || !set_value(options, c, optarg))
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

/* SIGTERM and SIGINT as a file descriptor, blocked in every thread that is started later. */
static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	const pid_t parent = getppid();
	struct options options = {
		.agents = 42,
		.seed = 1,
		.threads = 1,
		.token = "sk-sim",
		.team = "team_sim",
	};
	struct sim sim = {0};
	int signal_fd, r, status = EXIT_FAILURE;

	r = parse(argc, argv, &options);
	if (r) {
		usage(r > 0 ? stdout : stderr);
		return r > 0 ? EXIT_SUCCESS : 2;
	}
	if (options.with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			return EXIT_FAILURE; /* it was quicker */
	}
	signal_fd = open_signals();
	if (signal_fd < 0) {
		perror("fleetfs-sim: signalfd");
		return EXIT_FAILURE;
	}
	r = sim_init(&sim, &options);
	if (r < 0)
		fprintf(stderr, "fleetfs-sim: cannot start%s%s: %s\n", options.file ? " with " : "",
		        options.file ? options.file : "", strerror(-r));
	else
		status = serve(&sim, &options, signal_fd);
	sim_done(&sim);
	close(signal_fd);
	return status;
}
