/* SPDX-License-Identifier: MIT */
#include "api/http/redact.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/unescape.h"

#define LEAST_BYTES 8 /* consecutive bytes of a secret that count as the secret */
#define LEAST_ALONE 4 /* a shorter password of a proxy is too common to be replaced by itself */
#define LAYERS      4 /* encodings on top of each other that are decoded */

void redact_wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void redact_done(struct redact *redact)
{
	for (size_t i = 0; i < REDACT_SECRETS; i++)
		redact_wipe(redact->secrets[i].text);
	*redact = (struct redact){0};
}

static void redact_add_secret(struct redact *redact, const char *secret, bool whole)
{
	char *copy;

	if (!secret || !*secret)
		return;
	for (size_t i = 0; i < REDACT_SECRETS; i++)
		if (redact->secrets[i].text && strcmp(redact->secrets[i].text, secret) == 0)
			return;
	copy = strdup(secret);
	if (!copy) {
		redact->incomplete = true;
		return;
	}
	redact_wipe(redact->secrets[redact->next].text);
	redact->secrets[redact->next] = (struct redact_secret){.text = copy, .whole = whole};
	redact->next = redact->next + 1 < REDACT_SECRETS ? redact->next + 1 : redact->pinned;
}

void redact_add(struct redact *redact, const char *secret)
{
	redact_add_secret(redact, secret, false);
}

void redact_pin(struct redact *redact)
{
	redact->pinned = redact->next;
}

/* Adds "user:password", or a user that is an access token: its password is empty or missing. */
static void redact_add_user(struct redact *redact, const char *user)
{
	const char *colon = user ? strchr(user, ':') : NULL;
	const char *password = colon ? colon + 1 : user;

	if (!user) {
		redact->incomplete = true;
	} else if (strlen(password) >= LEAST_ALONE) {
		redact_add(redact, user);
		redact_add(redact, password);
	} else if (colon && *password) {
		redact_add_secret(redact, user, true);
	} else if (colon && colon - user >= LEAST_ALONE) {
		char *token = strndup(user, (size_t)(colon - user));

		if (token)
			redact_add(redact, token);
		else
			redact->incomplete = true;
		redact_wipe(token);
	}
}

void redact_add_proxy(struct redact *redact, const char *url)
{
	const char *scheme = url ? strstr(url, "://") : NULL;
	const char *begin = scheme ? scheme + 3 : url;
	const char *end = begin ? strrchr(begin, '@') : NULL;
	char *user, *decoded;

	if (!end)
		return;
	user = strndup(begin, (size_t)(end - begin));
	decoded = user ? curl_unescape(user, 0) : NULL;
	redact_add_user(redact, user);
	redact_add_user(redact, decoded);
	redact_wipe(user);
	if (decoded)
		explicit_bzero(decoded, strlen(decoded));
	curl_free(decoded);
}

/* The text being searched, with some layers of encoding decoded. Each byte has the range of bytes
 * in the original text that it was decoded from. */
struct decoded {
	bool bare; /* only the letters and digits are left */
	size_t length;
	char *bytes;
	size_t *from; /* the first byte of that range */
	size_t *to;   /* the byte after the last */
};

/* Decodes one layer of encoding. Returns false if there was none. */
static bool redact_decode_layer(struct decoded *text)
{
	size_t length = 0;

	for (size_t at = 0; at < text->length; length++) {
		size_t bytes;
		char one = unescape_one(text->bytes + at, text->length - at, &bytes);

		text->bytes[length] = one;
		text->from[length] = text->from[at];
		text->to[length] = text->to[at + bytes - 1];
		at += bytes;
	}
	if (length == text->length)
		return false;
	text->length = length;
	return true;
}

/* Drops all bytes but letters and digits, in place. Returns the new length. from, to: the ranges of
 * the bytes, or NULL. */
static size_t strip_separators(char *bytes, size_t length, size_t *from, size_t *to)
{
	size_t kept = 0;

	for (size_t at = 0; at < length; at++) {
		if (!isalnum((unsigned char)bytes[at]))
			continue;
		bytes[kept] = bytes[at];
		if (from && to) {
			from[kept] = from[at];
			to[kept] = to[at];
		}
		kept++;
	}
	return kept;
}

/* Makes text comparable, in place: in lower case, and with the digits + and / of base64 in place of
 * the - and _ of its URL-safe form. */
static void redact_normalize(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '-')
			text[i] = '+';
		else if (text[i] == '_')
			text[i] = '/';
		else
			text[i] = (char)tolower((unsigned char)text[i]);
	}
}

static size_t common_length(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	size_t most = a_bytes < b_bytes ? a_bytes : b_bytes;
	size_t length = 0;

	while (length < most && a[length] == b[length])
		length++;
	return length;
}

/* Returns how many consecutive bytes of a secret count as the secret, by its length. 10 or more: 8.
 * 6 to 9: all but 2, which may be missing because the text was cut there. 4 or 5: 4. Fewer: all. */
static size_t least_bytes(size_t secret_bytes)
{
	if (secret_bytes >= LEAST_BYTES + 2)
		return LEAST_BYTES;
	return secret_bytes > 5 ? secret_bytes - 2 : secret_bytes < 4 ? secret_bytes : 4;
}

/* Marks the original bytes of every part of `secret` of at least `least` bytes. Text and secret are
 * normalized. */
static void redact_mark_secret(const struct decoded *text, const char *secret, size_t secret_bytes,
                               size_t least, bool *marks)
{
	const char *end = secret + secret_bytes;

	for (size_t at = 0; at + least <= text->length; at++) {
		const char *from = memchr(secret, text->bytes[at], secret_bytes);

		for (; from; from = memchr(from + 1, text->bytes[at], (size_t)(end - from - 1))) {
			size_t length = common_length(text->bytes + at, text->length - at, from,
			                              (size_t)(end - from));

			if (length >= least)
				memset(marks + text->from[at], true,
				       text->to[at + length - 1] - text->from[at]);
		}
	}
}

/* Encodes a secret in base64 as it appears after `skip` other bytes (modulo 3). Omits the digits at
 * both ends, which depend on the neighbouring bytes, too. ret_digits has room for
 * 4 / 3 * secret_bytes digits. */
static size_t encode_base64(const char *secret, size_t secret_bytes, size_t skip, char *ret_digits)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = 0;
	uint32_t bits = 0;
	int count = 0;

	for (size_t i = (3 - skip % 3) % 3; i < secret_bytes; i++) {
		bits = bits << 8 | (unsigned char)secret[i];
		for (count += 8; count >= 6; count -= 6)
			ret_digits[length++] = digits[bits >> (count - 6) & 63];
	}
	return length;
}

/* Encodes a secret in hex. ret_digits has room for 2 * secret_bytes digits. */
static void encode_hex(const char *secret, size_t secret_bytes, char *ret_digits)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < secret_bytes; i++) {
		ret_digits[2 * i] = digits[(unsigned char)secret[i] >> 4];
		ret_digits[2 * i + 1] = digits[(unsigned char)secret[i] & 15];
	}
}

/* Marks a secret, or parts of it, in one form, which is normalized here. In a bare text a form with
 * few letters and digits is too common to be marked. */
static void redact_mark_form(const struct decoded *text, char *form, size_t bytes, bool whole,
                             bool *marks)
{
	redact_normalize(form, bytes);
	if (text->bare) {
		bytes = strip_separators(form, bytes, NULL, NULL);
		if (bytes < LEAST_BYTES)
			return;
	}
	redact_mark_secret(text, form, bytes, whole ? bytes : least_bytes(bytes), marks);
}

/* Marks a secret in every form. work: room for the longest form, which is the hex one. */
static void redact_mark_forms(const struct decoded *text, const struct redact_secret *secret,
                              char *work, bool *marks)
{
	size_t bytes = strlen(secret->text);

	memcpy(work, secret->text, bytes);
	redact_mark_form(text, work, bytes, secret->whole, marks);
	if (2 * bytes >= LEAST_BYTES) {
		encode_hex(secret->text, bytes, work);
		redact_mark_form(text, work, 2 * bytes, secret->whole, marks);
	}
	for (size_t skip = 0; skip < 3; skip++) {
		size_t length = encode_base64(secret->text, bytes, skip, work);

		if (length >= LEAST_BYTES)
			redact_mark_form(text, work, length, secret->whole, marks);
	}
}

static bool redact_mark_secrets(const struct redact *redact, const struct decoded *text,
                                bool *marks)
{
	for (size_t i = 0; i < REDACT_SECRETS; i++) {
		const struct redact_secret *secret = &redact->secrets[i];
		size_t room;
		char *work;

		if (!secret->text)
			continue;
		room = 2 * strlen(secret->text) + 4;
		work = malloc(room);
		if (!work)
			return false;
		redact_mark_forms(text, secret, work, marks);
		explicit_bzero(work, room);
		free(work);
	}
	return true;
}

/* Marks the bytes of the original text that belong to secrets: after each layer, and at last with
 * whatever separates the characters dropped, as in a hex dump, an array or UTF-16. Returns false
 * without memory. */
static bool redact_find_secrets(const struct redact *redact, const char *original, bool *marks)
{
	size_t length = strlen(original);
	struct decoded text = {
		.length = length,
		.bytes = strdup(original),
		.from = calloc(length + 1, sizeof(*text.from)),
		.to = calloc(length + 1, sizeof(*text.to)),
	};
	bool done = text.bytes && text.from && text.to;
	bool more = done;

	for (size_t i = 0; done && i < length; i++) {
		text.from[i] = i;
		text.to[i] = i + 1;
	}
	for (int layer = 0; done && more && layer <= LAYERS; layer++) {
		redact_normalize(text.bytes, text.length);
		done = redact_mark_secrets(redact, &text, marks);
		more = redact_decode_layer(&text);
	}
	if (done) {
		redact_normalize(text.bytes, text.length);
		text.bare = true;
		text.length = strip_separators(text.bytes, text.length, text.from, text.to);
		done = redact_mark_secrets(redact, &text, marks);
	}
	free(text.bytes);
	free(text.from);
	free(text.to);
	return done;
}

static void redact_write_marked(char *text, size_t room, const char *original, const bool *marks)
{
	size_t length = 0;

	for (size_t i = 0; original[i]; i++) {
		const char *piece = marks[i] ? REDACT_MARK : original + i;
		size_t bytes = marks[i] ? strlen(REDACT_MARK) : 1;

		if (marks[i] && i > 0 && marks[i - 1])
			continue;
		if (length + bytes >= room)
			break;
		memcpy(text + length, piece, bytes);
		length += bytes;
	}
	text[length] = '\0';
}

void redact_text(const struct redact *redact, char *text, size_t room)
{
	size_t length = strlen(text);
	char *original;
	bool *marks;

	if (length == 0)
		return;
	original = strdup(text);
	marks = calloc(length, sizeof(*marks));
	if (redact->incomplete || !original || !marks || !redact_find_secrets(redact, text, marks))
		snprintf(text, room, "%s", REDACT_MARK);
	else
		redact_write_marked(text, room, original, marks);
	free(original);
	free(marks);
}
