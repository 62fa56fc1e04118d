/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REDACT_H
#define FLEETFS_API_HTTP_REDACT_H

/*
 * Removes secrets from text that a server, or curl, wrote.
 *
 * An error page may echo the request, and with it the token. Such text goes into messages and the
 * log, so client.c passes each message through redact_text() before it leaves the fetching thread.
 * Agents' values are not touched: the tree shows data as the API sends it.
 *
 * A secret is found as it is, in other case, URL-encoded, with escapes of JSON, C or HTML, with
 * several of these on top of each other, in base64 and in hex. Encodings that a server is unlikely
 * to use, such as base32, are not found. Text is cut to fit, so a part of a secret counts as the
 * secret: 8 consecutive characters, or fewer if the secret is shorter than 10.
 *
 * Plain data, one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#define REDACT_SECRETS 32 /* the newest are kept; a token that rotates hourly lasts for a day */
#define REDACT_MARK    "[secret]"

/* Overwrites a secret and frees it. NULL is fine. */
void redact_wipe(char *secret);

struct redact_secret {
	char *text; /* NULL: none */
	bool whole; /* a part of it does not count as the secret */
};

/* All zeroes: no secrets. */
struct redact {
	struct redact_secret secrets[REDACT_SECRETS];
	size_t next;     /* where the next one goes */
	bool incomplete; /* no memory for one of them: no text can be trusted any more */
};

void redact_done(struct redact *redact);

/* Remembers a secret; copied. NULL, "" and known ones are ignored. */
void redact_add(struct redact *redact, const char *secret);

/*
 * Remembers "user:password" of a proxy's URL and the password, as they are and URL-decoded. A
 * password of fewer than 4 characters only counts together with its whole user: by itself it would
 * be found in most messages, which would then be unreadable and reveal it by what they lack.
 */
void redact_add_proxy(struct redact *redact, const char *url);

/* Replaces each secret in text by REDACT_MARK, in place; cut to room bytes, NUL included. If there
 * is no memory to search with, all of the text is replaced. */
void redact_text(const struct redact *redact, char *text, size_t room);

#endif
