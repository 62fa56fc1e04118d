/* SPDX-License-Identifier: MIT */
#include "cache/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

void set_done(struct set *set)
{
	free(set->words);
	*set = (struct set){0};
}

bool set_has(const struct set *set, size_t number)
{
	size_t word = number / WORD_BITS;

	return word < set->word_count && (set->words[word] >> (number % WORD_BITS) & 1);
}

int set_reserve(struct set *set, size_t number)
{
	size_t word = number / WORD_BITS;

	if (word >= set->word_count) {
		size_t more = word + 1 + word / 2;
		uint64_t *words = realloc(set->words, more * sizeof(*words));

		if (!words)
			return -ENOMEM;
		memset(words + set->word_count, 0, (more - set->word_count) * sizeof(*words));
		set->words = words;
		set->word_count = more;
	}
	return 0;
}

int set_add(struct set *set, size_t number)
{
	int err = set_reserve(set, number);

	if (err == 0)
		set->words[number / WORD_BITS] |= UINT64_C(1) << (number % WORD_BITS);
	return err;
}

void set_remove(struct set *set, size_t number)
{
	if (number / WORD_BITS < set->word_count)
		set->words[number / WORD_BITS] &= ~(UINT64_C(1) << (number % WORD_BITS));
}
