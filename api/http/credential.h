/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_CREDENTIAL_H
#define FLEETFS_API_HTTP_CREDENTIAL_H

/*
 * The bearer token: where it comes from, what kind it is, when it changed.
 *
 * Sources, in this order: token_file; $CREDENTIALS_DIRECTORY/fleetfs.token; $FLEETFS_TOKEN;
 * $CYBERUN_KEY; fleetfs/token in the user's configuration directory (api/model/environment.h). The
 * first source that exists is used, and if it is faulty, credential_new() fails. An empty variable
 * counts as unset.
 *
 * A token file is a regular file (symlinks are followed) owned by the user or root, of at most 64
 * KiB. Group and others have no permission, with two exceptions: in $CREDENTIALS_DIRECTORY, and a
 * file of root on a read-only file system, which is how containers get secrets. It has one line; a
 * newline at its end is allowed. Every byte of a token is in 0x21 to 0x7e, since the token is
 * copied verbatim into a header; of a team, in [A-Za-z0-9_-].
 *
 * Kinds: `sk-…` and `dk-…` are sent alone; a JWT (`eyJ…`) needs a team; `ak-…` is an agent's own
 * key, which cannot read the API, and is refused; anything else is sent as it is, with the team if
 * set.
 *
 * Used by the fetching thread alone after credential_new(). The token's memory is wiped when freed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/failure.h"

struct credential;

/*
 * Finds and reads the token. token_file and team may be NULL; both are copied. 0, or -errno with
 * FAILURE_CREDENTIAL and a sentence that says what is wrong and what to do in *ret_failure (cause
 * and message only), e.g. -ENOENT when there is no token anywhere. The sentence never holds the
 * token.
 */
int credential_new(const char *token_file, const char *team, struct credential **ret,
                   struct failure *ret_failure);

/* Overwrites the token in this process' environment, where every program of the same user could
 * read it (/proc/PID/environ). After credential_new(). */
void credential_scrub_environment(void);

/* NULL is fine. */
void credential_free(struct credential *credential);

/*
 * Reads the file again if it is another than the one read last (device, inode, size, mtime or ctime
 * differ), or if force. True when the token is now a different one. A file that is gone or no
 * longer acceptable leaves the token as it was and tells why in *ret_failure (else untouched: set
 * its message to "" before). A token from the environment never changes.
 */
bool credential_refresh(struct credential *credential, bool force, struct failure *ret_failure);

/* Valid until the next refresh or free. */
const char *credential_token(const struct credential *credential);

/* Returns a token that an environment variable has, in use or not, by its index from 0 on; NULL
 * after the last one. For redaction. Valid as long as the credential. */
const char *credential_spare(const struct credential *credential, size_t index);

/* The value of X-Team-ID to send, or NULL for none. Valid as long as the credential. */
const char *credential_team(const struct credential *credential);

/* It is sent with a team if one is set, and none is. */
bool credential_lacks_team(const struct credential *credential);

/* What kind it is, for people: "JWT", "integration key (sk-)", "device key (dk-)", "token". */
const char *credential_kind(const struct credential *credential);

/* Where it was found, for people: a path or "$FLEETFS_TOKEN". Never the token. */
const char *credential_source(const struct credential *credential);

/* When a JWT says it expires (`exp`), seconds since 1970; 0: not known. It is not verified. */
int64_t credential_expiry(const struct credential *credential);

#endif
