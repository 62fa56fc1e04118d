/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_QUESTION_FIELD_H
#define FLEETFS_FS_TREE_QUESTION_FIELD_H

/* The fields that conditions of where/ name, and their values. See fs/tree/question.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/agent.h"
#include "cache/record.h"
#include "fs/tree/text.h"

struct tree_row;

struct question_field {
	enum agent_field_id id;
	const struct tree_row *row; /* the file that shows it; NULL: `label`, `gpu` or `task` */
};

/* Finds the field of a name of this length. Returns whether there is one. */
bool question_field_find(const char *name, size_t length, struct question_field *ret_field);

/* Appends the name of a field. */
void question_field_print(const struct question_field *field, struct text *text);

/* Appends the names of all fields, in lines with this indent. */
void question_field_print_all(const char *indent, struct text *text);

/* A value of a field. */
struct question_value {
	const char *text; /* borrowed from the agent; NULL: it is a number */
	int64_t number;
};

/* The number of indexes of question_value() for an agent; some of the values may be absent. */
size_t question_value_count(const struct question_field *field, const struct agent *agent);

/* Returns a value, by its index; for a string that is the index of agent_string(). Returns false if
 * it is absent. */
bool question_value(const struct question_field *field, const struct agent *agent, size_t index,
                    struct question_value *ret_value);

/* When a value of a field last changed, or the number of its values; wall clock. */
int64_t question_field_since_ns(const struct question_field *field, const struct record *record);

#endif
