/* SPDX-License-Identifier: MIT */
#include "fs/reports/jobs.h"

void jobs_init(struct jobs *jobs)
{
	jobs->ends = (struct job){.next = &jobs->ends, .previous = &jobs->ends};
}

bool jobs_are_queued(const struct jobs *jobs)
{
	return jobs->ends.next != &jobs->ends;
}

bool job_is_queued(const struct job *job)
{
	return job->next != NULL;
}

void jobs_add(struct jobs *jobs, struct job *job)
{
	if (job_is_queued(job))
		return;
	job->next = &jobs->ends;
	job->previous = jobs->ends.previous;
	job->previous->next = job;
	jobs->ends.previous = job;
}

void job_remove(struct job *job)
{
	if (!job_is_queued(job))
		return;
	job->previous->next = job->next;
	job->next->previous = job->previous;
	job->next = NULL;
	job->previous = NULL;
}

bool jobs_run_slice(struct jobs *jobs)
{
	struct job *job = jobs->ends.next;

	if (!jobs_are_queued(jobs))
		return false;
	job_remove(job);
	return job->slice(job);
}
