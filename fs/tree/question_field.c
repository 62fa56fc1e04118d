/* SPDX-License-Identifier: MIT */
#include "fs/tree/question_field.h"

#include <string.h>

#include "fs/tree/tree.h"

#define LINE_BYTES 78

/* Fields whose name in a condition is not the name of a file. */
static const struct {
	const char *name;
	enum agent_field_id id;
} aliases[] = {{"label", AGENT_LABELS}, {"gpu", AGENT_GPU_NAME}, {"task", AGENT_RUNNING_TASKS}};

#define ALIASES (sizeof(aliases) / sizeof(aliases[0]))

/* What precedes the name of a file in the name of its field. NULL if the row is not the file of a
 * field that conditions can name. */
static const char *question_field_prefix(const struct tree_row *row)
{
	if (!tree_is_field_file(row))
		return NULL;
	switch ((enum tree_directory)row->parent) {
	case TREE_AGENT:
		return "";
	case TREE_SYSTEM_STATS:
		return "system_stats.";
	case TREE_GPU:
		return agent_fields[row->field].type == AGENT_TYPE_NUMBER ? "" : NULL;
	default:
		return NULL;
	}
}

/* Whether a name of this length is prefix and suffix together. */
static bool question_field_is(const char *name, size_t length, const char *prefix,
                              const char *suffix)
{
	size_t prefix_bytes = strlen(prefix);

	return length == prefix_bytes + strlen(suffix) &&
	       strncmp(name, prefix, prefix_bytes) == 0 &&
	       strncmp(name + prefix_bytes, suffix, length - prefix_bytes) == 0;
}

bool question_field_find(const char *name, size_t length, struct question_field *ret_field)
{
	for (size_t i = 0; i < ALIASES; i++) {
		if (!question_field_is(name, length, "", aliases[i].name))
			continue;
		*ret_field = (struct question_field){.id = aliases[i].id};
		return true;
	}
	for (size_t i = 0; i < tree_row_count; i++) {
		const struct tree_row *row = &tree_rows[i];
		const char *prefix = question_field_prefix(row);

		if (!prefix || !question_field_is(name, length, prefix, row->name))
			continue;
		*ret_field = (struct question_field){.id = row->field, .row = row};
		return true;
	}
	return false;
}

void question_field_print(const struct question_field *field, struct text *text)
{
	if (field->row)
		text_printf(text, "%s%s", question_field_prefix(field->row), field->row->name);
	for (size_t i = 0; !field->row && i < ALIASES; i++)
		if (aliases[i].id == field->id)
			text_printf(text, "%s", aliases[i].name);
}

/* Appends a word, on a new line if the current one has no room for it. *line: where the current
 * line begins in the text; updated. */
static void question_field_print_word(const char *indent, const char *prefix, const char *name,
                                      size_t *line, struct text *text)
{
	size_t bytes = strlen(prefix) + strlen(name);
	bool is_first = text->length == *line;

	if (!is_first && text->length - *line + 1 + bytes > LINE_BYTES) {
		text_printf(text, "\n");
		*line = text->length;
		is_first = true;
	}
	text_printf(text, "%s%s%s", is_first ? indent : " ", prefix, name);
}

void question_field_print_all(const char *indent, struct text *text)
{
	size_t line = text->length;

	for (size_t i = 0; i < ALIASES; i++)
		question_field_print_word(indent, "", aliases[i].name, &line, text);
	for (size_t i = 0; i < tree_row_count; i++) {
		const char *prefix = question_field_prefix(&tree_rows[i]);

		if (prefix)
			question_field_print_word(indent, prefix, tree_rows[i].name, &line, text);
	}
	text_printf(text, "\n");
}

size_t question_value_count(const struct question_field *field, const struct agent *agent)
{
	/* The file running_tasks does not contain current_task_id, which agent_string_count()
	 * counts. */
	if (field->id == AGENT_RUNNING_TASKS && field->row)
		return agent->running_tasks.count;
	return agent_string_count(agent, field->id);
}

bool question_value(const struct question_field *field, const struct agent *agent, size_t index,
                    struct question_value *ret_value)
{
	if (agent_fields[field->id].type == AGENT_TYPE_NUMBER) {
		ret_value->text = NULL;
		ret_value->number = *(const int64_t *)agent_value(agent, field->id, index);
		return ret_value->number != AGENT_ABSENT;
	}
	ret_value->text = agent_string(agent, field->id, index);
	return ret_value->text != NULL;
}

int64_t question_field_since_ns(const struct question_field *field, const struct record *record)
{
	enum agent_field_id whole = field->id;
	size_t count = question_value_count(field, record->agent);
	int64_t since_ns;

	if (agent_fields[whole].place == AGENT_PLACE_GPU)
		whole = AGENT_GPU_NAME; /* the set of GPUs, see cache/changes.h */
	since_ns = record_since(record, whole, CHANGES_WHOLE);
	if (field->id == AGENT_RUNNING_TASKS && !field->row) {
		int64_t current_ns = record_since(record, AGENT_CURRENT_TASK_ID, CHANGES_WHOLE);

		since_ns = current_ns > since_ns ? current_ns : since_ns;
	}
	for (size_t i = 0; i < count; i++) {
		/* Not tree_value_since_ns(): for `gpu` it returns the time of a model, which stays
		 * the same when a GPU gets the model of another GPU, or loses its model. */
		int64_t value_ns = record_since(record, field->id, (uint16_t)i);

		since_ns = value_ns > since_ns ? value_ns : since_ns;
	}
	return since_ns;
}
