/* SPDX-License-Identifier: MIT */
#include "api/http/fetch_job.h"

#include <stdlib.h>

#include "api/http/split.h"

struct fetch_job *fetch_job_new(unsigned int number, const struct validator *condition,
                                bool no_cache)
{
	struct fetch_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->fetch = calloc(1, sizeof(*job->fetch));
	if (!job->fetch) {
		free(job);
		return NULL;
	}
	job->fetch->number = number;
	if (condition)
		job->fetch->condition = *condition;
	job->fetch->no_cache = no_cache;
	return job;
}

struct fetch *fetch_job_finish(struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	split_free(job->split);
	free(job);
	return fetch;
}

void fetch_job_free(struct fetch_job *job)
{
	if (job)
		fetch_free(fetch_job_finish(job));
}
