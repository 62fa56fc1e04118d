/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_REPORTS_JOBS_H
#define FLEETFS_FS_REPORTS_JOBS_H

/*
 * The queue of jobs: work on the whole fleet that takes longer than other requests may wait.
 *
 * A job works in slices of about 0.25 ms. The loop runs one slice in each of its turns and answers
 * the kernel's requests in between. After a slice a job moves to the end of the queue, so a short
 * job does not wait for the end of a long one.
 *
 * A few slices take longer, in proportion to what is built. The last slice of a job releases memory
 * of the build, and what was built from the previous list: up to 12 ms for 100,000 agents. A slice
 * in which a table or an array doubles takes up to 20 ms then. One in which a text of 16 MB doubles
 * takes 20 ms, and up to 50 ms for 32 MB.
 *
 * A job is embedded in the struct that it works on; the queue owns nothing.
 *
 * Not thread-safe: only the FUSE thread uses jobs.
 */

#include <stdbool.h>
#include <stddef.h>

/* The struct that a job is a member of. */
#define JOB_OWNER(job, type, member) ((type *)(void *)((char *)(job)-offsetof(type, member)))

struct job {
	struct job *next; /* in the queue; NULL: not in a queue */
	struct job *previous;
	/* Does one slice. The job is not in the queue then: the function adds it again if there is
	 * more to do, and may also free it. Returns whether the job has ended, so that requests
	 * that wait for its result are to be run again. */
	bool (*slice)(struct job *job);
};

struct jobs {
	struct job ends; /* head of a ring: next is the first job, previous the last one */
};

/* An empty queue. It must not move afterwards. */
void jobs_init(struct jobs *jobs);

/* Whether there is a job in the queue. */
bool jobs_are_queued(const struct jobs *jobs);

/* Appends a job, unless it is in the queue already. */
void jobs_add(struct jobs *jobs, struct job *job);

/* Runs one slice of the first job, if there is one. Returns what the slice returned. */
bool jobs_run_slice(struct jobs *jobs);

/* Whether a job is in a queue. */
bool job_is_queued(const struct job *job);

/* Removes a job from its queue, if it is in one. */
void job_remove(struct job *job);

#endif
