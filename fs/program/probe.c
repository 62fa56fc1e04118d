/* SPDX-License-Identifier: MIT */
#include "fs/program/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "fs/program/log.h"
#include "fs/program/process.h"
#include "fs/program/source.h"

/* By how much the wait is longer than `timeout`. The HTTP request ends after `timeout`, and its
 * failure says more precisely what timed out. */
#define EXTRA_WAIT_MS 500

#define OR_DELAY_CONNECT ", or mount with delay_connect"

static bool probe_is_interrupted(const struct probe *probe)
{
	struct signalfd_siginfo info;

	while (read(probe->signals_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (process_must_end((int)info.ssi_signo, info.ssi_code, probe->terminal_fd))
			return true;
	return false;
}

/* Waits for a result, or until the query is to be repeated. Returns 0 or -errno. */
static int probe_await(const struct probe *probe, const struct query *query, int64_t deadline_ms)
{
	struct pollfd polled[] = {
		{.fd = probe->results_fd, .events = POLLIN},
		{.fd = probe->signals_fd, .events = POLLIN},
		{.fd = probe->parent_fd},
	};
	int64_t now_ms = fleet_now_ms(probe->fleet);
	int64_t until_ms = deadline_ms < query->wake_ms ? deadline_ms : query->wake_ms;

	if (now_ms >= deadline_ms)
		return -ETIMEDOUT;
	poll(polled, 3, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
	/* In the background a signal of the terminal ends the parent only: POLLERR. */
	if ((polled[1].revents && probe_is_interrupted(probe)) || polled[2].revents)
		return -EINTR;
	while (fetch_results_take(probe->fetch_results))
		;
	return 0;
}

static bool probe_has_page(const struct probe *probe)
{
	struct fleet_health health;

	fleet_health(probe->fleet, &health);
	return health.arrived > 0;
}

/* As probe_next_agent(), but with first_page an arrived page is enough, even if it has no agent. */
static int probe_walk(const struct probe *probe, bool first_page, uint64_t *cursor,
                      struct record **ret_record)
{
	struct query query = fleet_query(probe->fleet);
	int64_t deadline_ms = query.began_ms + probe->options->timeout_ms + EXTRA_WAIT_MS;
	int err = fleet_walk(probe->fleet, cursor, &query, ret_record);

	while (err == -EAGAIN) {
		err = probe_await(probe, &query, deadline_ms);
		if (err == 0 && first_page && probe_has_page(probe))
			break;
		if (err == 0)
			err = fleet_walk(probe->fleet, cursor, &query, ret_record);
	}
	return err;
}

int probe_next_agent(const struct probe *probe, uint64_t *cursor, struct record **ret_record)
{
	return probe_walk(probe, false, cursor, ret_record);
}

/* Whether delay_connect would help, since the failure may be temporary. */
static bool probe_is_temporary(enum failure_cause cause)
{
	return cause == FAILURE_UNREACHABLE || cause == FAILURE_TIMEOUT ||
	       cause == FAILURE_SERVER || cause == FAILURE_BUSY;
}

int probe_report_failure(const struct probe *probe, int err)
{
	const struct failure *failure = fleet_last_failure(probe->fleet);
	const char *source = probe->options->source;
	bool is_file = source_is_file(source), mounting = !probe->options->check;

	if (err == -EINTR)
		return log_failed_start("interrupted");
	if (!failure)
		return log_failed_start("no response from %s within %g s: %s%s", source,
		                        (double)probe->options->timeout_ms / 1000,
		                        is_file ? "use a longer timeout"
		                                : "check the URL and the network",
		                        !is_file && mounting ? OR_DELAY_CONNECT : "");
	if (is_file) /* the message contains its path */
		return log_failed_start("%s: %s", failure->message, failure_remedy(failure));
	return log_failed_start("cannot list the agents at %s: %s: %s%s", source, failure->message,
	                        failure_remedy(failure),
	                        mounting && probe_is_temporary(failure->cause) ? OR_DELAY_CONNECT
	                                                                       : "");
}

int probe_first_page(const struct probe *probe)
{
	struct record *record;
	uint64_t cursor = 0;
	int err = probe_walk(probe, true, &cursor, &record);

	return err < 0 ? probe_report_failure(probe, err) : 0;
}
