/* SPDX-License-Identifier: MIT */
/* The loop of the FUSE thread, on the fake kernel (tests/unit/kernel.h), which sends no request. */
#include "fs/fuse/loop.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/fuse/filesystem.h"
#include "fs/fuse/ops.h"
#include "tests/unit/kernel.h"

#define PARTS 5 /* of the fetch result */

static struct kernel kernel;

struct counts {
	struct job job; /* queues itself again after each slice */
	unsigned int slices;
	unsigned int parts;
	int signal_fd; /* to send a signal to the loop */
};

static bool count_slice(struct job *job)
{
	JOB_OWNER(job, struct counts, job)->slices++;
	jobs_add(&ops_filesystem(kernel.ops)->jobs, job);
	return false;
}

/* Takes a part of the result. After the last one, sends a signal that ends the loop. */
static bool count_part(void *user)
{
	static const struct signalfd_siginfo info = {.ssi_signo = SIGTERM};
	struct counts *counts = user;

	if (++counts->parts < PARTS)
		return true;
	assert_int_equal(write(counts->signal_fd, &info, sizeof(info)), sizeof(info));
	return false;
}

static bool end_loop(void *user, int number, int code)
{
	(void)user;
	(void)code;
	return number == SIGTERM;
}

static bool is_not_busy(void *user)
{
	(void)user;
	return false;
}

static void test_job_runs_between_the_parts_of_a_result(void **state)
{
	int connection[2], signals[2], results = eventfd(1, EFD_CLOEXEC);
	struct counts counts = {.job.slice = count_slice};
	struct loop loop = {.results_fd = results,
	                    .user = &counts,
	                    .take_result = count_part,
	                    .handle_signal = end_loop,
	                    .is_busy = is_not_busy};

	assert_true(results >= 0);
	assert_int_equal(pipe2(signals, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, connection),
		0);
	assert_int_equal(kernel_init(&kernel, 1), 0);
	/* Reading from /dev/null would end the loop. */
	assert_true(dup2(connection[0], fuse_session_fd(kernel.session)) >= 0);
	loop.session = kernel.session;
	loop.ops = kernel.ops;
	loop.signals_fd = signals[0];
	counts.signal_fd = signals[1];
	jobs_add(&ops_filesystem(kernel.ops)->jobs, &counts.job);
	assert_int_equal(loop_run(&loop), 0);
	/* One slice in each turn, as one part. */
	assert_true(counts.parts >= PARTS);
	assert_int_equal(counts.slices, counts.parts);
	job_remove(&counts.job);
	kernel_done(&kernel);
	close(results);
	for (int i = 0; i < 2; i++) {
		close(signals[i]);
		close(connection[i]);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_runs_between_the_parts_of_a_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
