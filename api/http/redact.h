/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REDACT_H
#define FLEETFS_API_HTTP_REDACT_H

/*
 * Removes secrets from text that a server, or curl, wrote.
 *
 * An error page may echo the request, and with it the token. Such text goes into messages and the
 * log, so fetcher.c passes each message through redact_text() before it leaves the fetching thread.
 * Values of agents are only redacted where they are logged (client_redact()): the tree shows data
 * as the API sends it.
 *
 * A secret is found as it is, in upper or lower case, URL-encoded, with escapes of JSON, C or HTML,
 * with several of these on top of each other, in base64 and in hex; and with separators between its
 * characters or bytes, as in a hex dump or in UTF-16. Encodings that a server is unlikely to use,
 * such as base32, are not found. Text is cut to fit, so a part of a secret counts
 * as the secret: 8 consecutive characters, or fewer if the secret is shorter than 10.
 *
 * Plain data. The caller needs a lock if several threads use it, as those of client.h do.
 */

#include <stdbool.h>
#include <stddef.h>

/* At most 22 secrets are of the environment: five proxies with four forms each, and two tokens. The
 * others are tokens: enough for a day of hourly rotation. */
#define REDACT_SECRETS 48
#define REDACT_MARK    "[secret]"

/* Overwrites a secret and frees it. NULL is allowed. */
void redact_wipe(char *secret);

struct redact_secret {
	char *text; /* NULL: none */
	bool whole; /* only the whole text counts as the secret */
};

/* All zeroes: no secrets. */
struct redact {
	struct redact_secret secrets[REDACT_SECRETS];
	size_t pinned;   /* the first secrets, which are never replaced */
	size_t next;     /* index of the next secret, which replaces the oldest */
	bool incomplete; /* there was no memory for a secret, so any text may contain it */
};

/* Wipes and frees all secrets. */
void redact_done(struct redact *redact);

/* Adds a secret, which is copied. NULL, "" and known ones are ignored. */
void redact_add(struct redact *redact, const char *secret);

/* Retains the secrets that were added until now for good. Secrets that are added later replace only
 * each other. Call this before REDACT_SECRETS of them were added. */
void redact_pin(struct redact *redact);

/*
 * Adds "user:password" of a proxy's URL and the password, as they are and URL-decoded. If the
 * password has fewer than 4 characters, adds only "user:password", which must then occur as a
 * whole. Such a password by itself would match parts of most messages; the marks would make them
 * unreadable and reveal the password. If the password is empty or missing, the user counts as an
 * access token, and is added if it has at least 4 characters.
 */
void redact_add_proxy(struct redact *redact, const char *url);

/* Replaces each secret in text by REDACT_MARK, in place. room: the size of the buffer; the result
 * is cut to fit. If there is no memory for the search, replaces the whole text. */
void redact_text(const struct redact *redact, char *text, size_t room);

#endif
