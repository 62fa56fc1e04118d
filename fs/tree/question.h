/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_QUESTION_H
#define FLEETFS_FS_TREE_QUESTION_H

/*
 * Questions about agents: the grammar and meaning of the paths below where/. fs/fuse/where.h makes
 * directories of them.
 *
 *	where/status=idle/label=a100/sort=-vram_free
 *
 * A question is a path of components. Each is a condition: FIELD, operator and VALUE without spaces
 * between. The last one may be `sort=FIELD` or `sort=-FIELD` instead. An agent matches the question
 * if all conditions hold for it.
 *
 * FIELD is one of these:
 *
 *	NAME                 a file of agents/<agent>/, such as status (fs/tree/tree.h)
 *	NAME                 a file of gpus/<n>/ that contains a number, such as vram_free
 *	system_stats.NAME    a file of system_stats/
 *	label                the labels
 *	gpu                  the models of the GPUs
 *	task                 the running tasks and current_task_id
 *
 * An agent has any number of values in a field: one for each label, task or GPU; none if the value
 * is absent; otherwise one.
 *
 * `=` holds if a value matches one of the patterns in VALUE (fs/tree/pattern.h), which commas
 * separate. `=` with an empty VALUE holds if there is no value. `!=` holds if `=` with the same
 * VALUE does not. `<`, `<=`, `>` and `>=` hold if a value is an integer that compares so with
 * VALUE. VALUE is then an integer from -2^53 to 2^53. It may end with K, M, G or T: times 1024,
 * 1024^2 and so on.
 *
 * A struct question is the last component, with a reference to the question of the components
 * before it. It is immutable.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "cache/record.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

#define QUESTION_MAX_CONDITIONS 8
/* The limit of a key, in bytes. Nine components of 255 bytes never exceed it. */
#define QUESTION_MAX_KEY 16384

struct question;

/* Parses a component. previous: the question that it extends, to which the result holds a
 * reference; NULL: none. Returns 0 and a question with one reference; -EINVAL if the component is
 * wrong, or may not follow previous; or -ENOMEM. */
int question_parse(struct question *previous, const char *name, struct question **ret_question);

/* Adds a reference. */
struct question *question_ref(struct question *question);

/* Releases a reference; the last one frees the question. NULL is allowed. */
void question_unref(struct question *question);

/* Appends the last component in canonical form. */
void question_print(const struct question *question, struct text *text);

/* Appends a key. Two questions have the same key if question_print() writes their components as the
 * same set of texts; sequence and repetition do not matter. */
void question_key(const struct question *question, struct text *text);

/* The number of components. */
size_t question_depth(const struct question *question);

/* Whether the last component is `sort=`. */
bool question_is_sorted(const struct question *question);

/* Whether an agent matches the question. *work is increased as by pattern_matches(), so that a
 * caller can limit the time of a slice. */
bool question_matches(const struct question *question, const struct agent *agent, size_t *work);

/* Returns since when an agent has matched the question, wall clock: the time at which the last of
 * the conditions became true. It is derived from the times of the agent's present values. */
int64_t question_since_ns(const struct question *question, const struct record *record);

/* What an agent is sorted by: its largest value in the field of `sort=`. Integers are smaller than
 * other texts, which compare byte by byte. */
struct question_sort_key {
	enum { SORT_KEY_NUMBER, SORT_KEY_TEXT, SORT_KEY_ABSENT } kind;
	int64_t number;   /* of SORT_KEY_NUMBER */
	const char *text; /* of SORT_KEY_TEXT; borrowed from the agent */
};

/* Returns the sort key of an agent for a question with question_is_sorted(). *work is increased by
 * the number of values. */
struct question_sort_key question_sort_key(const struct question *question,
                                           const struct agent *agent, size_t *work);

/* Compares sort keys of a question, ascending or descending as its `sort=` demands.
 * SORT_KEY_ABSENT is always last. Returns less than, equal to or more than 0. */
int question_compare_sort_keys(const struct question *question, const struct question_sort_key *a,
                               const struct question_sort_key *b);

/* Appends the text of where/README. */
void question_readme(const struct status *status, struct text *text);

#endif
