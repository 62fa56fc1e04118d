/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/reports/jobs.h"

static struct jobs jobs;

struct countdown {
	struct job job;
	int slices; /* left to do */
};

static bool countdown_slice(struct job *job)
{
	struct countdown *countdown = JOB_OWNER(job, struct countdown, job);

	assert_false(job_is_queued(job));
	if (--countdown->slices > 0)
		jobs_add(&jobs, job);
	return countdown->slices == 0;
}

static void test_empty_queue_does_nothing(void **state)
{
	jobs_init(&jobs);
	assert_false(jobs_are_queued(&jobs));
	assert_false(jobs_run_slice(&jobs));
	(void)state;
}

static void test_job_moves_to_the_end_after_each_slice(void **state)
{
	struct countdown long_one = {.job.slice = countdown_slice, .slices = 3};
	struct countdown short_one = {.job.slice = countdown_slice, .slices = 1};

	jobs_init(&jobs);
	jobs_add(&jobs, &long_one.job);
	jobs_add(&jobs, &short_one.job);
	jobs_add(&jobs, &long_one.job); /* is in the queue already */
	assert_false(jobs_run_slice(&jobs));
	assert_int_equal(long_one.slices, 2);
	assert_true(jobs_run_slice(&jobs));
	assert_int_equal(short_one.slices, 0);
	assert_false(job_is_queued(&short_one.job));
	assert_false(jobs_run_slice(&jobs));
	assert_true(jobs_run_slice(&jobs));
	assert_int_equal(long_one.slices, 0);
	assert_false(jobs_are_queued(&jobs));
	(void)state;
}

static void test_removed_job_does_not_run(void **state)
{
	struct countdown first = {.job.slice = countdown_slice, .slices = 5};
	struct countdown second = {.job.slice = countdown_slice, .slices = 5};

	jobs_init(&jobs);
	jobs_add(&jobs, &first.job);
	jobs_add(&jobs, &second.job);
	job_remove(&first.job);
	job_remove(&first.job);
	assert_false(job_is_queued(&first.job));
	assert_false(jobs_run_slice(&jobs));
	assert_int_equal(first.slices, 5);
	assert_int_equal(second.slices, 4);
	job_remove(&second.job);
	assert_false(jobs_are_queued(&jobs));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_queue_does_nothing),
		cmocka_unit_test(test_job_moves_to_the_end_after_each_slice),
		cmocka_unit_test(test_removed_job_does_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
