/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_TOKEN_H
#define FLEETFS_API_HTTP_TOKEN_H

/* A bearer token: its kinds, the check of its text, and the expiry of a JWT. No state. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/failure.h"

#define TOKEN_VARIABLES 2

/* The environment variables that may contain a token, in order of precedence. */
extern const char *const token_variables[TOKEN_VARIABLES];

enum token_kind {
	TOKEN_OTHER,
	TOKEN_JWT,
	TOKEN_INTEGRATION,
	TOKEN_DEVICE,
	TOKEN_AGENT, /* an agent's own key, which cannot read the API */
	TOKEN_KINDS
};

/* Returns the kind of a token, by its prefix. */
enum token_kind token_kind_of(const char *token);

/* Returns the name of a kind for messages: "JWT", "integration key (sk-)"; static. */
const char *token_kind_name(enum token_kind kind);

/* Whether a token of this kind is sent with X-Team-ID. The other kinds belong to one team. */
bool token_takes_team(enum token_kind kind);

/* Hides the tokens in a text: a word that begins with the prefix of a kind and is long enough
 * counts as a token, and the rest of the word after its prefix becomes `***`. For messages that
 * quote the command line, where a token may stand by mistake. */
void token_hide(char *text);

/*
 * Checks that text, which is not terminated by NUL, can be a token: not empty, no line end, only
 * bytes of 0x21 to 0x7e, no quotation marks or `NAME=` around it. source is named in the message.
 * Returns 0; or -EINVAL, with cause and message in *ret_failure. The message never contains the
 * token.
 */
int token_check(const char *text, size_t bytes, const char *source, struct failure *ret_failure);

/* Returns when a JWT expires according to its `exp` claim, in seconds since 1970; 0: not known. Its
 * signature is not verified. */
int64_t token_jwt_expiry(const char *jwt);

#endif
