/* SPDX-License-Identifier: MIT */
#include "fs/fuse/loop.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "api/model/clock.h"
#include "fs/fuse/ops.h"

#define MAX_BUSY_MS       2000 /* the longest wait for is_busy() after the end of the loop */
#define BUSY_MS           10   /* how often is_busy() is checked after the end of the loop */
#define REQUESTS_IN_A_ROW 256  /* served before fetch results and deadlines */

/* Serves the requests that the kernel has queued. Reading before polling saves a system call for
 * each request that follows a reply at once. Returns 1, 0 if unmounted, or -errno. */
static int loop_serve_requests(struct fuse_session *session, struct fuse_buf *buffer)
{
	for (int i = 0; i < REQUESTS_IN_A_ROW; i++) {
		int got = fuse_session_receive_buf(session, buffer);

		if (got == -EAGAIN)
			return 1;
		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got;
		fuse_session_process_buf(session, buffer);
	}
	return 1;
}

/* Returns whether the loop ends. */
static bool loop_handle_signals(const struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signals_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (loop->handle_signal(loop->user, (int)info.ssi_signo, info.ssi_code))
			return true;
	}
	return false;
}

/* One turn. more: the last result of take_result(). Returns 1, 0 if the loop ends, or -errno. */
static int loop_turn(const struct loop *loop, struct fuse_buf *buffer, bool *more)
{
	struct pollfd polled[] = {
		{.fd = fuse_session_fd(loop->session), .events = POLLIN},
		{.fd = loop->results_fd, .events = POLLIN},
		{.fd = loop->signals_fd, .events = POLLIN},
	};
	int err = loop_serve_requests(loop->session, buffer);
	int64_t due_ms;

	if (err <= 0)
		return err;
	due_ms = ops_run_due(loop->ops);
	if (*more)
		due_ms = 0;
	if (poll(polled, 3, due_ms > INT_MAX ? INT_MAX : (int)due_ms) < 0)
		return errno == EINTR ? 1 : -errno;
	if (polled[1].revents || *more) {
		*more = loop->take_result(loop->user);
		ops_retry(loop->ops);
	}
	return polled[2].revents && loop_handle_signals(loop) ? 0 : 1;
}

/* Serves requests while a thread waits for the kernel. The thread may also wait for another file
 * system, which hangs, so this ends after MAX_BUSY_MS. */
static void loop_serve_busy(const struct loop *loop, struct fuse_buf *buffer)
{
	struct pollfd polled = {.fd = fuse_session_fd(loop->session), .events = POLLIN};
	int64_t end_ms = clock_ns(CLOCK_MONOTONIC) / 1000000 + MAX_BUSY_MS;

	while (loop->is_busy(loop->user) && clock_ns(CLOCK_MONOTONIC) / 1000000 < end_ms &&
	       loop_serve_requests(loop->session, buffer) > 0)
		poll(&polled, 1, BUSY_MS);
}

int loop_run(const struct loop *loop)
{
	struct fuse_buf buffer = {0};
	bool more = false;
	int err = 1;

	while (err > 0 && !fuse_session_exited(loop->session))
		err = loop_turn(loop, &buffer, &more);
	loop_serve_busy(loop, &buffer);
	free(buffer.mem);
	/* The kernel returns ENODEV when the mount is gone. */
	return err == -ENODEV || err > 0 ? 0 : err;
}
