/* SPDX-License-Identifier: MIT */
#include "api/http/fetcher.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/http/client.h"
#include "api/http/pool.h"
#include "api/http/proxy.h"
#include "api/http/redact.h"
#include "api/http/request.h"
#include "api/http/request_result.h"
#include "api/http/split.h"
#include "api/replay/replay.h"

struct fetcher {
	struct mailbox *mailbox; /* borrowed */
	CURLM *multi;
	struct replay *replay; /* the saved list; NULL: the source is the API */

	pthread_mutex_t secrets_lock; /* for secrets, which other threads read (fetcher_redact()) */
	struct redact secrets;        /* tokens, former ones too; passwords of proxies */

	/* Of the API; unused with a saved list. Only the fetching thread uses them. */
	struct request_settings settings; /* immutable */
	struct request *requests;
	unsigned int request_count;
	struct pool pool;
	struct credential *credential; /* borrowed */
	unsigned int token_number;     /* increases whenever the token changes */
	bool warned;                   /* that a proxy can read the token */
};

/* Removes secrets from what the log shows of a page: the beginnings of the IDs of dropped agents.
 */
static void fetcher_redact_page(struct fetcher *fetcher, struct page *page)
{
	for (size_t i = 0; page && i < page->fault_count; i++)
		redact_text(&fetcher->secrets, page->faults[i].id, sizeof(page->faults[i].id));
}

/* Hands a result over. All text from a response passes here, so secrets are removed here. */
static void fetcher_deliver(struct fetcher *fetcher, struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	if (fetcher->credential)
		fetch->token_expiry = credential_expiry(fetcher->credential);
	pthread_mutex_lock(&fetcher->secrets_lock);
	redact_text(&fetcher->secrets, fetch->failure.message, sizeof(fetch->failure.message));
	redact_text(&fetcher->secrets, fetch->note, sizeof(fetch->note));
	fetcher_redact_page(fetcher, fetch->page);
	pthread_mutex_unlock(&fetcher->secrets_lock);
	mailbox_deliver(fetcher->mailbox, job);
}

/* Reads the token again if its file has changed, or in any case if force. Notes the outcome. Sets
 * *ret_failure if the file is not acceptable. */
static void fetcher_refresh_token(struct fetcher *fetcher, bool force, struct fetch *fetch,
                                  struct failure *ret_failure)
{
	ret_failure->message[0] = '\0';
	if (credential_refresh(fetcher->credential, force, ret_failure)) {
		fetcher->token_number++;
		pthread_mutex_lock(&fetcher->secrets_lock);
		redact_add(&fetcher->secrets, credential_token(fetcher->credential));
		pthread_mutex_unlock(&fetcher->secrets_lock);
		snprintf(fetch->note, sizeof(fetch->note), "token read again from %s",
		         credential_source(fetcher->credential));
	} else if (*ret_failure->message) {
		snprintf(fetch->note, sizeof(fetch->note), "%.200s; the old token stays in use",
		         ret_failure->message);
	}
}

/* Frees all that a request holds. Its job, which remains the caller's, is no longer part of it. */
static void fetcher_drop_request(struct fetcher *fetcher, struct request *request)
{
	CURLSH *share = request->share;

	request_done(request);
	pool_release(&fetcher->pool, share, false);
}

static void fetcher_start_request(struct fetcher *fetcher, struct request *request,
                                  struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	/* A validator that came with another token is not sent: that token may be of another team,
	 * whose list may have the same ETag or be older than the date. */
	if (fetch->condition.token_number != fetcher->token_number)
		fetch->condition = (struct validator){0};
	if (request_prepare(request, &fetcher->settings, job, fetcher->credential,
	                    pool_share(&fetcher->pool)) < 0 ||
	    curl_multi_add_handle(fetcher->multi, request->easy) != CURLM_OK) {
		fetcher_drop_request(fetcher, request);
		request_result_no_memory(&fetcher->settings, job);
		fetcher_deliver(fetcher, job);
		return;
	}
	request->job = job;
	request->token_number = fetcher->token_number;
	fetch->requests++;
}

static struct request *fetcher_idle_request(struct fetcher *fetcher)
{
	for (unsigned int i = 0; i < fetcher->request_count; i++)
		if (!fetcher->requests[i].job)
			return &fetcher->requests[i];
	return NULL;
}

static void fetcher_start_wanted(struct fetcher *fetcher)
{
	struct failure reread_failure; /* noted; it matters only if the API rejects the old token */
	struct request *request;
	struct fetch_job *job;
	bool reread;

	while ((request = fetcher_idle_request(fetcher)) &&
	       (job = mailbox_next(fetcher->mailbox, &reread))) {
		/* The CA bundle is read for each new connection. */
		if (reread)
			pool_retire(&fetcher->pool);
		fetcher_refresh_token(fetcher, reread, job->fetch, &reread_failure);
		fetcher_start_request(fetcher, request, job);
	}
}

static void fetcher_replay_wanted(struct fetcher *fetcher)
{
	struct fetch_job *job;
	bool reread;

	while ((job = mailbox_next(fetcher->mailbox, &reread))) {
		replay_fetch(fetcher->replay, reread, job->fetch);
		fetcher_deliver(fetcher, job);
	}
}

/* Whether the outcome of a request makes all connections of its pool suspect: curl could not
 * transfer the response as a whole, for any reason except that fleetfs rejected it on the way; or
 * the status rejects the connection (408 Request Timeout, 421 Misdirected Request); or it reports a
 * gateway without a working server (502, 503, 504), which a load balancer may have assigned to the
 * connection. */
static bool is_pool_suspect(const struct request *request, CURLcode code, unsigned int status)
{
	const struct response *response = &request->response;
	bool complete = code == CURLE_OK && headers_are_complete(&response->headers);

	return request->connection.lost_silent || status == 408 || status == 421 ||
	       (status >= 502 && status <= 504) ||
	       (response->stop == RESPONSE_NOT_STOPPED && !complete);
}

/* Warns once that a proxy can read the token: allow_http permits a plain http source, and then the
 * request is not encrypted on its way to the proxy either. A result has room for one note, so
 * another note defers the warning to the next result. */
static void fetcher_warn_of_proxy(struct fetcher *fetcher, struct fetch *fetch)
{
	if (fetcher->warned || fetcher->settings.tls || !*fetch->trace.proxy || *fetch->note)
		return;
	fetcher->warned = true;
	snprintf(fetch->note, sizeof(fetch->note),
	         "the proxy %s can read the token, since the source is plain http",
	         fetch->trace.proxy);
}

/* Appends to the message of a rejected token why its file could not be read again. */
static void fetcher_explain_denied(const struct failure *reread_failure, struct failure *failure)
{
	const struct failure denied = *failure;

	failure_set(failure, denied.cause, "%.250s; the token was not read again: %s",
	            denied.message, reread_failure->message);
	failure->remedy = "correct the token file";
}

/* After a response with status 401: reads the token again, once per job. Returns whether the
 * request must be sent again, because the token has changed since it was sent. */
static bool fetcher_retry_denied(struct fetcher *fetcher, const struct request *request,
                                 struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;
	int64_t expiry = credential_expiry(fetcher->credential);
	struct failure reread_failure = {.message = ""};
	bool first = !job->denied;

	job->denied = true;
	if (first)
		fetcher_refresh_token(fetcher, true, fetch, &reread_failure);
	/* The new token may already have been read for another request. */
	if (first && request->token_number != fetcher->token_number)
		return true;
	if (expiry != 0 && expiry <= fetch->failure.at_ns / 1000000000)
		fetch->failure.remedy = "the JWT has expired: get a new one";
	if (*reread_failure.message)
		fetcher_explain_denied(&reread_failure, &fetch->failure);
	return false;
}

/* Whether a job needs another request: client.h lists the cases. */
static bool fetcher_must_continue(struct fetcher *fetcher, const struct request *request,
                                  struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	if (!fetch->page && fetch->failure.http_status == 401 &&
	    fetcher_retry_denied(fetcher, request, job))
		return true;
	if (!fetch->page && fetch->failure.cause == FAILURE_OLD && !fetch->no_cache) {
		fetch->no_cache = true;
		return true;
	}
	/* The headers of a part would be as large as those of the page. */
	return request->response.stop != RESPONSE_HEADERS_TOO_LARGE &&
	       split_continue(job, fetcher->settings.per_page);
}

/* Reads the outcome of a request. Then sends the job's next request, or delivers its result. */
static void fetcher_finish_request(struct fetcher *fetcher, struct request *request, CURLcode code)
{
	struct fetch_job *job = request->job;
	struct fetch *fetch = job->fetch;
	CURLSH *share = request->share;

	request_result_read(request, &fetcher->settings, code, job);
	request_release_handle(request);
	request->job = NULL;
	request->share = NULL;
	pool_release(&fetcher->pool, share,
	             is_pool_suspect(request, code, fetch->failure.http_status));
	if (fetch->page)
		fetch->page->validator.token_number = request->token_number;
	if (fetcher_must_continue(fetcher, request, job)) {
		fetcher_start_request(fetcher, request, job);
		return;
	}
	fetcher_warn_of_proxy(fetcher, fetch);
	fetcher_deliver(fetcher, job);
}

/* Finishes all requests that curl has ended. Returns whether there were any. */
static bool fetcher_finish_ended(struct fetcher *fetcher)
{
	bool any = false;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct request *request = NULL;

		/* This frees the message. */
		curl_multi_remove_handle(fetcher->multi, easy);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
		fetcher_finish_request(fetcher, request, code);
		any = true;
	}
	return any;
}

void fetcher_run(struct fetcher *fetcher)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int running;

	while (!mailbox_is_stopped(fetcher->mailbox)) {
		if (fetcher->replay)
			fetcher_replay_wanted(fetcher);
		else
			fetcher_start_wanted(fetcher);
		curl_multi_perform(fetcher->multi, &running);
		if (fetcher_finish_ended(fetcher))
			continue;
		/* Waits for sockets, curl's timers and curl_multi_wakeup(). If it fails because
		 * there is no memory, it returns at once; the pause avoids a busy loop. */
		if (curl_multi_poll(fetcher->multi, NULL, 0, INT_MAX, NULL) != CURLM_OK)
			nanosleep(&pause, NULL);
	}
}

void fetcher_redact(struct fetcher *fetcher, char *text, size_t room)
{
	pthread_mutex_lock(&fetcher->secrets_lock);
	redact_text(&fetcher->secrets, text, room);
	pthread_mutex_unlock(&fetcher->secrets_lock);
}

void fetcher_wake(struct fetcher *fetcher)
{
	curl_multi_wakeup(fetcher->multi);
}

static int fetcher_init_requests(struct fetcher *fetcher, const struct client_config *config)
{
	int result = request_settings_init(&fetcher->settings, config);

	if (result < 0)
		return result;
	proxy_add_secrets(&fetcher->secrets);
	for (size_t i = 0; credential_environment_token(fetcher->credential, i); i++)
		redact_add(&fetcher->secrets, credential_environment_token(fetcher->credential, i));
	redact_pin(&fetcher->secrets); /* these do not change; the token of a file may */
	redact_add(&fetcher->secrets, credential_token(fetcher->credential));
	fetcher->request_count = config->max_connections;
	fetcher->requests = calloc(fetcher->request_count, sizeof(*fetcher->requests));
	return fetcher->requests ? 0 : -ENOMEM;
}

static int fetcher_init_source(struct fetcher *fetcher, const struct client_config *config)
{
	if (config->base)
		return fetcher_init_requests(fetcher, config);
	fetcher->replay = replay_new(config->file, config->per_page, config->ttl_ms);
	return fetcher->replay ? 0 : -ENOMEM;
}

static int fetcher_init_multi(struct fetcher *fetcher, const struct client_config *config)
{
	fetcher->multi = curl_multi_init(); /* the thread of a replay waits on it, too */
	if (!fetcher->multi)
		return -ENOMEM;
	/* If descriptors are scarce, curl makes a multi handle that cannot be woken up. */
	if (curl_multi_wakeup(fetcher->multi) != CURLM_OK)
		return -EMFILE;
	curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	                  (long)config->max_connections);
	curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                  (long)config->max_connections);
#if LIBCURL_VERSION_NUM >= 0x081400
	/* Otherwise fetcher_free() waits for a resolver that does not respond. */
	curl_multi_setopt(fetcher->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return 0;
}

int fetcher_new(const struct client_config *config, struct credential *credential,
                struct mailbox *mailbox, struct fetcher **ret_fetcher)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	int result;

	if (!fetcher)
		return -ENOMEM;
	fetcher->mailbox = mailbox;
	fetcher->credential = credential;
	pthread_mutex_init(&fetcher->secrets_lock, NULL);
	result = fetcher_init_source(fetcher, config);
	if (result == 0)
		result = fetcher_init_multi(fetcher, config);
	if (result < 0) {
		fetcher_free(fetcher);
		return result;
	}
	*ret_fetcher = fetcher;
	return 0;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	for (unsigned int i = 0; fetcher->requests && i < fetcher->request_count; i++) {
		struct request *request = &fetcher->requests[i];
		struct fetch_job *job = request->job;

		if (job)
			curl_multi_remove_handle(fetcher->multi, request->easy);
		fetcher_drop_request(fetcher, request);
		fetch_job_free(job);
	}
	pool_retire(&fetcher->pool);
	free(fetcher->requests);
	replay_free(fetcher->replay);
	curl_multi_cleanup(fetcher->multi);
	pthread_mutex_destroy(&fetcher->secrets_lock);
	redact_done(&fetcher->secrets);
	request_settings_done(&fetcher->settings);
	free(fetcher);
}
