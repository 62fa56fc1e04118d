/* SPDX-License-Identifier: MIT */
#include "fs/tree/question.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/pattern.h"
#include "fs/tree/question_field.h"
#include "fs/tree/tree.h"

#define MAX_NUMBER (INT64_C(1) << 53) /* the limit of the API's numbers, too */

enum question_operator {
	QUESTION_EQUAL,
	QUESTION_NOT_EQUAL,
	QUESTION_LESS,
	QUESTION_LESS_EQUAL,
	QUESTION_GREATER,
	QUESTION_GREATER_EQUAL,
	QUESTION_SORT,
	QUESTION_SORT_DESCENDING,
};

static const char *const operator_texts[] = {
	[QUESTION_EQUAL] = "=",    [QUESTION_NOT_EQUAL] = "!=",
	[QUESTION_LESS] = "<",     [QUESTION_LESS_EQUAL] = "<=",
	[QUESTION_GREATER] = ">",  [QUESTION_GREATER_EQUAL] = ">=",
	[QUESTION_SORT] = "sort=", [QUESTION_SORT_DESCENDING] = "sort=-",
};

struct question {
	unsigned int refs;
	struct question *previous; /* a reference; NULL: none */
	size_t depth;
	enum question_operator op;
	struct question_field field;
	int64_t number;       /* VALUE of an operator that compares integers */
	size_t pattern_count; /* VALUE of `=` and `!=`; 0: the empty VALUE */
	struct pattern *patterns[];
};

/* Parsing */

/* Parses a decimal integer from -2^53 to 2^53. with_unit: K, M, G or T may follow. */
static bool question_parse_integer(const char *text, bool with_unit, int64_t *ret_number)
{
	static const char units[] = "KMGT";
	bool is_negative = *text == '-';
	const char *at = text + is_negative, *unit;
	int64_t number = 0;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		number = 10 * number + (*at - '0');
		if (number > MAX_NUMBER)
			return false;
	}
	unit = with_unit && *at ? strchr(units, *at) : NULL;
	if (unit) {
		int bits = 10 * (int)(unit - units + 1);

		if (number > MAX_NUMBER >> bits)
			return false;
		number <<= bits;
		at++;
	}
	*ret_number = is_negative ? -number : number;
	return *at == '\0';
}

/* Parses a list of patterns. Returns 0, -EINVAL or -ENOMEM. */
static int question_parse_patterns(struct question *question, const char *value)
{
	const char *end;
	int err = 0;

	for (; err == 0 && *value; value = *end ? end + 1 : end) {
		end = strchrnul(value, ',');
		/* A comma at the end precedes an empty pattern, which this loop would not see. */
		if (*end && end[1] == '\0')
			return -EINVAL;
		err = pattern_parse(value, (size_t)(end - value),
		                    &question->patterns[question->pattern_count]);
		question->pattern_count += err == 0;
	}
	return err;
}

/* Splits a component into FIELD, of which ret_field_bytes is the length, operator and VALUE.
 * Returns false if it has no operator. */
static bool question_split(const char *name, size_t *ret_field_bytes,
                           enum question_operator *ret_operator, const char **ret_value)
{
	const char *at = strpbrk(name, "=<>");
	bool is_not, or_equal;

	if (!at)
		return false;
	is_not = *at == '=' && at > name && at[-1] == '!';
	or_equal = *at != '=' && at[1] == '=';
	*ret_field_bytes = (size_t)(at - name) - is_not;
	if (*at == '=')
		*ret_operator = is_not ? QUESTION_NOT_EQUAL : QUESTION_EQUAL;
	else if (*at == '<')
		*ret_operator = or_equal ? QUESTION_LESS_EQUAL : QUESTION_LESS;
	else
		*ret_operator = or_equal ? QUESTION_GREATER_EQUAL : QUESTION_GREATER;
	*ret_value = at + 1 + or_equal;
	return true;
}

/* Fills in a component. Returns 0, -EINVAL or -ENOMEM. */
static int question_fill(struct question *question, const char *name)
{
	size_t field_bytes = 0;
	const char *value = NULL;

	if (!question_split(name, &field_bytes, &question->op, &value))
		return -EINVAL;
	if (field_bytes == 4 && memcmp(name, "sort", 4) == 0 && question->op == QUESTION_EQUAL) {
		bool is_descending = *value == '-';

		question->op = is_descending ? QUESTION_SORT_DESCENDING : QUESTION_SORT;
		value += is_descending;
		return question_field_find(value, strlen(value), &question->field) ? 0 : -EINVAL;
	}
	if (question->depth > QUESTION_MAX_CONDITIONS)
		return -EINVAL;
	if (!question_field_find(name, field_bytes, &question->field))
		return -EINVAL;
	if (question->op == QUESTION_EQUAL || question->op == QUESTION_NOT_EQUAL)
		return question_parse_patterns(question, value);
	return question_parse_integer(value, true, &question->number) ? 0 : -EINVAL;
}

int question_parse(struct question *previous, const char *name, struct question **ret_question)
{
	size_t patterns = 1;
	struct question *question;
	int err;

	if (previous && question_is_sorted(previous))
		return -EINVAL;
	for (const char *at = name; *at; at++)
		patterns += *at == ',';
	question = calloc(1, sizeof(*question) + patterns * sizeof(struct pattern *));
	if (!question)
		return -ENOMEM;
	question->refs = 1;
	question->previous = previous ? question_ref(previous) : NULL;
	question->depth = previous ? previous->depth + 1 : 1;
	err = question_fill(question, name);
	if (err < 0)
		question_unref(question);
	else
		*ret_question = question;
	return err;
}

struct question *question_ref(struct question *question)
{
	question->refs++;
	return question;
}

void question_unref(struct question *question)
{
	while (question && --question->refs == 0) {
		struct question *previous = question->previous;

		for (size_t i = 0; i < question->pattern_count; i++)
			pattern_free(question->patterns[i]);
		free(question);
		question = previous;
	}
}

size_t question_depth(const struct question *question)
{
	return question->depth;
}

bool question_is_sorted(const struct question *question)
{
	return question->op >= QUESTION_SORT;
}

/* Printing */

void question_print(const struct question *question, struct text *text)
{
	bool is_sorted = question_is_sorted(question);

	if (!is_sorted)
		question_field_print(&question->field, text);
	text_printf(text, "%s", operator_texts[question->op]);
	if (is_sorted)
		question_field_print(&question->field, text);
	else if (question->op > QUESTION_NOT_EQUAL)
		text_printf(text, "%" PRId64, question->number);
	for (size_t i = 0; i < question->pattern_count; i++) {
		text_bytes(text, ",", i > 0);
		pattern_print(question->patterns[i], text);
	}
}

static int question_compare_texts(const void *a, const void *b)
{
	const struct text *one = a, *other = b;

	return strcmp(one->bytes, other->bytes);
}

void question_key(const struct question *question, struct text *text)
{
	struct text components[QUESTION_MAX_CONDITIONS + 1];
	size_t count = 0;
	int err = 0;

	do {
		text_init(&components[count], QUESTION_MAX_KEY);
		question_print(question, &components[count]);
		text_bytes(&components[count], "", 1);
		if (text_error(&components[count]) < 0)
			err = text_error(&components[count]);
		count++;
		question = question->previous;
	} while (question);
	if (err == 0)
		qsort(components, count, sizeof(components[0]), question_compare_texts);
	for (size_t i = 0; err == 0 && i < count; i++)
		if (i == 0 || strcmp(components[i].bytes, components[i - 1].bytes) != 0)
			text_printf(text, "%s/", components[i].bytes);
	for (size_t i = 0; i < count; i++)
		text_done(&components[i]);
	if (err < 0)
		text->error = err;
}

/* Matching */

static bool question_compares(const struct question *question, int64_t number)
{
	switch (question->op) {
	case QUESTION_LESS:
		return number < question->number;
	case QUESTION_LESS_EQUAL:
		return number <= question->number;
	case QUESTION_GREATER:
		return number > question->number;
	case QUESTION_GREATER_EQUAL:
		return number >= question->number;
	default:
		return false;
	}
}

/* Whether a value matches one of the patterns of VALUE. */
static bool question_matches_pattern(const struct question *question,
                                     const struct question_value *value, size_t *work)
{
	struct pattern_value prepared;
	char digits[24];

	if (!value->text)
		snprintf(digits, sizeof(digits), "%" PRId64, value->number);
	pattern_value_init(&prepared, value->text ? value->text : digits, work);
	for (size_t i = 0; i < question->pattern_count; i++)
		if (pattern_matches(question->patterns[i], &prepared, work))
			return true;
	return false;
}

/* Whether a value matches VALUE, for any operator; `!=` is treated as `=`. */
static bool question_value_matches(const struct question *question,
                                   const struct question_value *value, size_t *work)
{
	int64_t number = value->number;

	++*work;
	if (question->op <= QUESTION_NOT_EQUAL)
		return question_matches_pattern(question, value, work);
	return (!value->text || question_parse_integer(value->text, false, &number)) &&
	       question_compares(question, number);
}

/* Whether one condition holds, for any operator. Searches for a value that matches VALUE, or for
 * any value if VALUE is empty. `=` and comparisons hold if one is found, `!=` if none is; with an
 * empty VALUE it is the other way round. */
static bool question_holds(const struct question *question, const struct agent *agent, size_t *work)
{
	bool is_equality = question->op <= QUESTION_NOT_EQUAL;
	bool is_of_absence = is_equality && question->pattern_count == 0; /* the empty VALUE */
	bool holds_if_found = is_of_absence == (question->op == QUESTION_NOT_EQUAL);
	size_t count = question_value_count(&question->field, agent);
	bool found = false;

	for (size_t i = 0; i < count && !found; i++) {
		struct question_value value;

		if (question_value(&question->field, agent, i, &value))
			found = is_of_absence || question_value_matches(question, &value, work);
	}
	return found == holds_if_found;
}

/* Tests the first condition first: often it leaves few agents, and each further condition reads a
 * field in another part of the agent's memory. */
bool question_matches(const struct question *question, const struct agent *agent, size_t *work)
{
	const struct question *components[QUESTION_MAX_CONDITIONS + 1];
	size_t depth = question->depth;

	for (const struct question *at = question; at; at = at->previous)
		components[at->depth - 1] = at;
	for (size_t i = 0; i < depth; i++)
		if (!question_is_sorted(components[i]) &&
		    !question_holds(components[i], agent, work))
			return false;
	return true;
}

/* Returns when one condition became true: when the first value that matches appeared (for
 * `FIELD!=`, the first value); or, if it holds because no value matches, when the values last
 * changed. */
static int64_t question_condition_since_ns(const struct question *question,
                                           const struct record *record)
{
	const struct question_field *field = &question->field;
	size_t count = question_value_count(field, record->agent), work = 0;
	int64_t since_ns = INT64_MAX;

	if (question->op != QUESTION_NOT_EQUAL || question->pattern_count == 0)
		for (size_t i = 0; i < count; i++) {
			struct question_value value;
			int64_t value_ns;

			if (!question_value(field, record->agent, i, &value) ||
			    (question->op != QUESTION_NOT_EQUAL &&
			     !question_value_matches(question, &value, &work)))
				continue;
			value_ns = tree_value_since_ns(record, field->id, i);
			since_ns = value_ns < since_ns ? value_ns : since_ns;
		}
	return since_ns < INT64_MAX ? since_ns : question_field_since_ns(field, record);
}

int64_t question_since_ns(const struct question *question, const struct record *record)
{
	int64_t since_ns = record->first_ns;

	for (; question; question = question->previous) {
		int64_t condition_ns = question_is_sorted(question)
		                               ? since_ns
		                               : question_condition_since_ns(question, record);

		since_ns = condition_ns > since_ns ? condition_ns : since_ns;
	}
	return since_ns;
}

/* Sorting */

/* Compares sort keys that are not absent, ascending. */
static int question_compare_values(const struct question_sort_key *a,
                                   const struct question_sort_key *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == SORT_KEY_TEXT)
		return strcmp(a->text, b->text);
	return (a->number > b->number) - (a->number < b->number);
}

int question_compare_sort_keys(const struct question *question, const struct question_sort_key *a,
                               const struct question_sort_key *b)
{
	int order;

	if (a->kind == SORT_KEY_ABSENT || b->kind == SORT_KEY_ABSENT)
		return (a->kind == SORT_KEY_ABSENT) - (b->kind == SORT_KEY_ABSENT);
	order = question_compare_values(a, b);
	return question->op == QUESTION_SORT_DESCENDING ? -order : order;
}

struct question_sort_key question_sort_key(const struct question *question,
                                           const struct agent *agent, size_t *work)
{
	struct question_sort_key largest = {.kind = SORT_KEY_ABSENT};
	size_t count = question_value_count(&question->field, agent);

	*work += count;
	for (size_t i = 0; i < count; i++) {
		struct question_sort_key key = {.kind = SORT_KEY_NUMBER};
		struct question_value value;

		if (!question_value(&question->field, agent, i, &value))
			continue;
		key.text = value.text;
		key.number = value.number;
		if (value.text && !question_parse_integer(value.text, false, &key.number))
			key.kind = SORT_KEY_TEXT;
		if (largest.kind == SORT_KEY_ABSENT || question_compare_values(&key, &largest) > 0)
			largest = key;
	}
	return largest;
}
