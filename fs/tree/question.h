/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_QUESTION_H
#define FLEETFS_FS_TREE_QUESTION_H

/*
 * Questions about agents: the directories of where/. Their grammar and meaning, without any I/O;
 * fs/fuse/where.h makes directories of them.
 *
 *	where/status=idle/label=a100/sort=-vram_free
 *
 * A question is a path of components. Each is a condition, `FIELD OPERATOR VALUE` without spaces
 * between, or, as the last one, an order: `sort=FIELD` or `sort=-FIELD`. An agent answers the
 * question if all conditions hold for it.
 *
 * FIELD is the name of a file of agents/<agent>/ (fs/tree/tree.h), with `system_stats.` before the
 * files of system_stats/; a number of gpus/<n>/, such as vram_free; or one of the names `label`,
 * `gpu` (the model) and `task`. An agent has any number of values in a field: one for each label,
 * task or GPU; none if the value is absent; otherwise one.
 *
 * `=` holds if a value matches one of the patterns in VALUE (fs/tree/pattern.h), which commas
 * separate; an empty VALUE holds if there is no value. `!=` holds if `=` with the same VALUE does
 * not. `<`, `<=`, `>` and `>=` hold if a value is an integer that compares so with VALUE. VALUE is
 * then an integer of at most 2^53 and may end in K, M, G or T (1024, 1024^2, …).
 *
 * A component is parsed once, and is immutable. It refers to the components before it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "cache/record.h"
#include "fs/tree/status.h"
#include "fs/tree/text.h"

#define QUESTION_MAX_CONDITIONS 8
#define QUESTION_MAX_KEY \
	16384 /* limit of question_key(): more than nine components of 255 escaped bytes */

struct question;

/* Parses a component. previous: the components before it, of which the question takes a reference;
 * NULL: none. Returns 0 and a reference; -EINVAL if it is wrong, or has no place after these; or
 * -ENOMEM. */
int question_parse(struct question *previous, const char *name, struct question **ret_question);

/* Adds a reference. */
struct question *question_ref(struct question *question);

/* Releases a reference. NULL is allowed. */
void question_unref(struct question *question);

/* Appends the last component in canonical form. */
void question_print(const struct question *question, struct text *text);

/* Appends a text that is the same for all questions that have the same conditions, in any order,
 * and the same order of answers. */
void question_key(const struct question *question, struct text *text);

/* The number of components. */
size_t question_depth(const struct question *question);

/* Whether the last component is an order. */
bool question_is_sorted(const struct question *question);

/* Whether an agent answers the question. *work is increased by the number of comparisons, so that a
 * caller can limit the time of a slice. */
bool question_matches(const struct question *question, const struct agent *agent, size_t *work);

/* Returns since when an agent has answered the question: the latest time at which one of its
 * conditions became true, judged by the agent's present values. Wall clock. */
int64_t question_since_ns(const struct question *question, const struct record *record);

/* What an agent is sorted by: the largest value in the field of an order. Integers are smaller than
 * other texts, which compare byte by byte. */
struct question_rank {
	enum { RANK_NUMBER, RANK_TEXT, RANK_ABSENT } kind;
	int64_t number;
	const char *text; /* borrowed from the agent */
};

struct question_rank question_rank(const struct question *question, const struct agent *agent,
                                   size_t *work);

/* Compares ranks in the order of the question, in which RANK_ABSENT is last. Returns less than,
 * equal to or more than 0. */
int question_compare_ranks(const struct question *question, const struct question_rank *a,
                           const struct question_rank *b);

/* Appends the text of where/README. */
void question_readme(const struct status *status, struct text *text);

#endif
