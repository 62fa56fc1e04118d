/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_FETCHER_H
#define FLEETFS_API_HTTP_FETCHER_H

/*
 * The work of the fetching thread: takes wanted pages from a mailbox, fetches them from the API or
 * from a saved list, and delivers the results. client.h lists when it makes several requests for a
 * page.
 *
 * The fetching thread calls fetcher_run(). No other function may be called meanwhile, except
 * fetcher_wake() and fetcher_redact().
 */

#include <stddef.h>

#include "api/http/credential.h"
#include "api/http/mailbox.h"

struct client_config;
struct fetcher;

/* Copies config. Borrows credential, which is NULL if the source is a file, and mailbox. Returns 0
 * or -errno. After curl_global_init(). */
int fetcher_new(const struct client_config *config, struct credential *credential,
                struct mailbox *mailbox, struct fetcher **ret_fetcher);

/* Aborts all requests and frees everything that is not borrowed. NULL is allowed. */
void fetcher_free(struct fetcher *fetcher);

/* Fetches pages until mailbox_stop() and fetcher_wake() were called. */
void fetcher_run(struct fetcher *fetcher);

/* Replaces each secret in text, in place (redact_text()). Any thread. */
void fetcher_redact(struct fetcher *fetcher, char *text, size_t room);

/* Makes fetcher_run() check the mailbox. Any thread. */
void fetcher_wake(struct fetcher *fetcher);

#endif
