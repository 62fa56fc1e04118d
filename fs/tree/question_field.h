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

/* A field that a condition can name. */
struct question_field {
	enum agent_field_id id;
	const struct tree_row *row; /* the file that shows it; NULL: `label`, `gpu` or `task` */
};

/* Finds a field by its name. length: of the name, in bytes. Returns false if no field has it. */
bool question_field_find(const char *name, size_t length, struct question_field *ret_field);

/* Appends the name of a field. */
void question_field_print(const struct question_field *field, struct text *text);

/* Appends the names of all fields, in lines that begin with the indent. */
void question_field_print_all(const char *indent, struct text *text);

/* A value of a field. */
struct question_value {
	const char *text; /* borrowed from the agent; NULL: it is a number */
	int64_t number;
};

/* The number of indexes for question_value(). The value at an index may be absent. */
size_t question_value_count(const struct question_field *field, const struct agent *agent);

/* Finds the value with this index, which must be below question_value_count(). The index of a
 * string is that of agent_string(). Returns false if the value is absent. */
bool question_value(const struct question_field *field, const struct agent *agent, size_t index,
                    struct question_value *ret_value);

/* Returns when the values of a field, or their number, last changed; wall clock. */
int64_t question_field_since_ns(const struct question_field *field, const struct record *record);

#endif
