/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CREDENTIAL_H
#define FLEETFS_API_HTTP_CREDENTIAL_H

/*
 * The bearer token that is sent to the API: finds it, checks it, and reads it again after it was
 * replaced.
 *
 * Sources, in this order: token_file; $CREDENTIALS_DIRECTORY/fleetfs.token; $FLEETFS_TOKEN;
 * $CYBERUN_KEY; fleetfs/token in the user's configuration directory (api/model/environment.h). The
 * first source that exists is used, and if it is faulty, credential_new() fails. An empty variable
 * counts as unset. token_file.h has the conditions for files.
 *
 * A source has one line; a newline at its end is allowed. Every byte of a token is in 0x21 to 0x7e,
 * since the token is copied verbatim into a header. A team consists of [A-Za-z0-9_-].
 *
 * Kinds: `sk-...` and `dk-...` are sent alone; a JWT (`eyJ...`) needs a team; `ak-...` is an
 * agent's own key, which cannot read the API, and is rejected; any other token is sent as it is,
 * with the team if one is set.
 *
 * Used by the fetching thread alone after credential_new(). The token's memory is wiped when freed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/http/token.h"
#include "api/model/failure.h"

struct credential;

/*
 * Finds and reads the token. token_file and team may be NULL; both are copied. Returns 0; or
 * -errno, with cause and message in *ret_failure, e.g. -ENOENT if there is no token at all. The
 * message says what is wrong and what to do, and never contains the token.
 */
int credential_new(const char *token_file, const char *team, struct credential **ret,
                   struct failure *ret_failure);

/* Overwrites the tokens in the environment of this process, where every program of the same user
 * can read them (/proc/PID/environ). Call it after credential_new(). */
void credential_scrub_environment(void);

/* NULL is allowed. */
void credential_free(struct credential *credential);

/*
 * Reads the token's file again if device, inode, size, mtime or ctime differ from when it was last
 * read, or in any case if force. Returns whether the token changed. If the file is missing or no
 * longer acceptable, keeps the token and sets cause and message in *ret_failure; otherwise leaves
 * *ret_failure as it is. A token from the environment never changes.
 */
bool credential_refresh(struct credential *credential, bool force, struct failure *ret_failure);

/* Returns the token. Valid until the next refresh or free. */
const char *credential_token(const struct credential *credential);

/* Returns a token of the environment by its index, from 0; NULL after the last one. These are all
 * of them, also the ones that are not in use. For redaction. Valid as long as the credential. */
const char *credential_environment_token(const struct credential *credential, size_t index);

/* Returns the value of X-Team-ID to send, or NULL for none. Valid as long as the credential. */
const char *credential_team(const struct credential *credential);

/* Whether no team is set, though the token would be sent with one. */
bool credential_lacks_team(const struct credential *credential);

/* Returns the kind of the token. */
enum token_kind credential_kind(const struct credential *credential);

/* Returns the kind of the token for messages: "JWT", "integration key (sk-)", "device key (dk-)",
 * "token". Static. */
const char *credential_kind_name(const struct credential *credential);

/* Returns the source of the token, for messages: a path or "$FLEETFS_TOKEN". Valid as long as the
 * credential. */
const char *credential_source(const struct credential *credential);

/* Returns when a JWT expires according to its `exp` claim, in seconds since 1970; 0: not known. Its
 * signature is not verified. */
int64_t credential_expiry(const struct credential *credential);

#endif
