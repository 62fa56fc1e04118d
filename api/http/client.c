/* SPDX-License-Identifier: MIT */
#include "api/http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/http/mailbox.h"
#include "api/http/pool.h"
#include "api/http/proxy.h"
#include "api/http/redact.h"
#include "api/http/request.h"
#include "api/http/request_result.h"
#include "api/http/split.h"
#include "api/replay/replay.h"

#define JOIN_S 1 /* how long client_free() waits for the thread */

struct client {
	struct request_settings settings; /* of the API; immutable */
	struct mailbox mailbox;
	CURLM *multi;
	pthread_t thread;

	/* Used by the fetching thread only. */
	struct replay
		*replay; /* NULL: pages come from the API; else the members below are unused */
	struct request *requests;
	unsigned int request_count;
	struct pool pool;
	struct credential *credential;
	struct redact secrets;     /* tokens, former ones too; passwords of proxies */
	unsigned int token_number; /* increases whenever the token changes */
	bool warned;               /* that a proxy can read the token */
};

/* Hands a result over. All text from a response passes here, so secrets are removed here. */
static void client_deliver(struct client *client, struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	if (client->credential)
		fetch->token_expiry = credential_expiry(client->credential);
	redact_text(&client->secrets, fetch->failure.message, sizeof(fetch->failure.message));
	redact_text(&client->secrets, fetch->note, sizeof(fetch->note));
	mailbox_deliver(&client->mailbox, job);
}

/* Reads the token again if its file has changed, or in any case if force. Notes the outcome. */
static void client_refresh_token(struct client *client, bool force, struct fetch *fetch)
{
	struct failure failure = {.message = ""};

	if (credential_refresh(client->credential, force, &failure)) {
		client->token_number++;
		redact_add(&client->secrets, credential_token(client->credential));
		snprintf(fetch->note, sizeof(fetch->note), "token read again from %s",
		         credential_source(client->credential));
	} else if (*failure.message) {
		snprintf(fetch->note, sizeof(fetch->note), "%.200s; the old token stays in use",
		         failure.message);
	}
}

/* Frees all that a request holds except its job. */
static void client_drop_request(struct client *client, struct request *request)
{
	CURLSH *share = request->share;

	request_done(request);
	pool_release(&client->pool, share, false);
}

static void client_start_request(struct client *client, struct request *request,
                                 struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	/* A validator that came with another token is not sent: that token may be of another team,
	 * whose list may have the same ETag or be older than the date. */
	if (fetch->condition.token_number != client->token_number)
		fetch->condition = (struct validator){0};
	if (request_prepare(request, &client->settings, job, client->credential,
	                    pool_share(&client->pool)) < 0 ||
	    curl_multi_add_handle(client->multi, request->easy) != CURLM_OK) {
		client_drop_request(client, request);
		request_result_no_memory(&client->settings, job);
		client_deliver(client, job);
		return;
	}
	request->job = job;
	request->token_number = client->token_number;
	fetch->requests++;
}

static struct request *client_idle_request(struct client *client)
{
	for (unsigned int i = 0; i < client->request_count; i++)
		if (!client->requests[i].job)
			return &client->requests[i];
	return NULL;
}

static void client_start_wanted(struct client *client)
{
	struct request *request;
	struct fetch_job *job;
	bool reread;

	while ((request = client_idle_request(client)) &&
	       (job = mailbox_next(&client->mailbox, &reread))) {
		/* The CA bundle is read for each new connection. */
		if (reread)
			pool_retire(&client->pool);
		client_refresh_token(client, reread, job->fetch);
		client_start_request(client, request, job);
	}
}

static void client_replay_wanted(struct client *client)
{
	struct fetch_job *job;
	bool reread;

	while ((job = mailbox_next(&client->mailbox, &reread))) {
		replay_answer(client->replay, reread, job->fetch);
		client_deliver(client, job);
	}
}

/* Whether the outcome of a request makes all connections of its pool suspect: there was no response
 * at all, or no complete response in time. */
static bool is_pool_suspect(const struct request *request, const struct fetch *fetch)
{
	return request->connection.lost_silent ||
	       (!fetch->page && (fetch->failure.cause == FAILURE_TIMEOUT ||
	                         fetch->failure.cause == FAILURE_UNREACHABLE));
}

/* Warns once that a proxy can read the token: allow_http permits a plain http source, and then the
 * request is not encrypted on its way to the proxy either. */
static void client_warn_of_proxy(struct client *client, struct fetch *fetch)
{
	if (client->warned || client->settings.tls || !*fetch->trace.proxy || *fetch->note)
		return;
	client->warned = true;
	snprintf(fetch->note, sizeof(fetch->note),
	         "the proxy %s can read the token, since the source is plain http",
	         fetch->trace.proxy);
}

/* After a response with status 401: reads the token again, once per job. Returns whether the
 * request must be sent again, because the token has changed since it was sent. */
static bool client_retry_denied(struct client *client, const struct request *request,
                                struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;
	int64_t expiry = credential_expiry(client->credential);
	bool first = !job->denied;

	job->denied = true;
	if (first)
		client_refresh_token(client, true, fetch);
	/* The new token may already have been read for another request. */
	if (first && request->token_number != client->token_number)
		return true;
	if (expiry != 0 && expiry <= fetch->failure.at_ns / 1000000000)
		fetch->failure.remedy = "the JWT has expired: get a new one";
	return false;
}

/* Whether a job needs another request: client.h lists the cases. */
static bool client_must_continue(struct client *client, const struct request *request,
                                 struct fetch_job *job)
{
	struct fetch *fetch = job->fetch;

	if (!fetch->page && fetch->failure.http_status == 401 &&
	    client_retry_denied(client, request, job))
		return true;
	if (!fetch->page && fetch->failure.cause == FAILURE_OLD && !fetch->no_cache) {
		fetch->no_cache = true;
		return true;
	}
	/* The headers of a part would be as large as those of the page. */
	return request->response.stop != RESPONSE_HEADERS_TOO_LARGE &&
	       split_continue(job, client->settings.per_page);
}

/* Reads the outcome of a request. Then sends the job's next request, or delivers its result. */
static void client_finish_request(struct client *client, struct request *request, CURLcode code)
{
	struct fetch_job *job = request->job;
	struct fetch *fetch = job->fetch;
	CURLSH *share = request->share;

	request_result_read(request, &client->settings, code, job);
	request_end(request);
	request->job = NULL;
	request->share = NULL;
	pool_release(&client->pool, share, is_pool_suspect(request, fetch));
	client_warn_of_proxy(client, fetch);
	if (fetch->page)
		fetch->page->validator.token_number = request->token_number;
	if (client_must_continue(client, request, job))
		client_start_request(client, request, job);
	else
		client_deliver(client, job);
}

/* Returns whether a request has ended. */
static bool client_finish_ended(struct client *client)
{
	bool any = false;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct request *request = NULL;

		/* This frees the message. */
		curl_multi_remove_handle(client->multi, easy);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
		client_finish_request(client, request, code);
		any = true;
	}
	return any;
}

static void *client_thread(void *data)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct client *client = data;
	int running;

	while (!mailbox_is_stopped(&client->mailbox)) {
		if (client->replay)
			client_replay_wanted(client);
		else
			client_start_wanted(client);
		curl_multi_perform(client->multi, &running);
		if (client_finish_ended(client))
			continue;
		/* Waits for sockets, curl's timers and curl_multi_wakeup(). If it fails because
		 * there is no memory, it returns at once; the pause avoids a busy loop. */
		if (curl_multi_poll(client->multi, NULL, 0, INT_MAX, NULL) != CURLM_OK)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static int client_start_thread(struct client *client)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&client->thread, NULL, client_thread, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0)
		pthread_setname_np(client->thread, "fleetfs-fetch");
	return -result;
}

/* Frees a client, complete or not, except its credential. The thread must not run. */
static void client_dismantle(struct client *client)
{
	for (unsigned int i = 0; client->requests && i < client->request_count; i++) {
		struct request *request = &client->requests[i];
		struct fetch_job *job = request->job;

		if (job)
			curl_multi_remove_handle(client->multi, request->easy);
		client_drop_request(client, request);
		fetch_job_free(job);
	}
	pool_retire(&client->pool);
	free(client->requests);
	replay_free(client->replay);
	curl_multi_cleanup(client->multi);
	mailbox_done(&client->mailbox);
	redact_done(&client->secrets);
	request_settings_done(&client->settings);
	free(client);
	curl_global_cleanup();
}

static int client_init_requests(struct client *client, const struct client_config *config)
{
	int result = request_settings_init(&client->settings, config);

	if (result < 0)
		return result;
	proxy_add_secrets(&client->secrets);
	for (size_t i = 0; credential_spare(client->credential, i); i++)
		redact_add(&client->secrets, credential_spare(client->credential, i));
	redact_add(&client->secrets, credential_token(client->credential));
	client->request_count = config->max_connections;
	client->requests = calloc(client->request_count, sizeof(*client->requests));
	return client->requests ? 0 : -ENOMEM;
}

static int client_init_source(struct client *client, const struct client_config *config)
{
	if (config->base)
		return client_init_requests(client, config);
	client->replay = replay_new(config->file, config->per_page, config->ttl_ms);
	return client->replay ? 0 : -ENOMEM;
}

static int client_init_multi(struct client *client, const struct client_config *config)
{
	client->multi = curl_multi_init(); /* the thread of a replay waits on it, too */
	if (!client->multi)
		return -ENOMEM;
	/* If descriptors are scarce, curl makes a multi handle that cannot be woken up. */
	if (curl_multi_wakeup(client->multi) != CURLM_OK)
		return -EMFILE;
	curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	                  (long)config->max_connections);
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                  (long)config->max_connections);
#if LIBCURL_VERSION_NUM >= 0x081400
	/* Otherwise client_free() waits for a resolver that does not respond. */
	curl_multi_setopt(client->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return 0;
}

int client_new(const struct client_config *config, struct credential *credential,
               struct client **ret_client)
{
	struct client *client;
	int result;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	client = calloc(1, sizeof(*client));
	result = client ? mailbox_init(&client->mailbox) : -ENOMEM;
	if (result < 0) {
		free(client);
		curl_global_cleanup();
		return result;
	}
	client->credential = credential;
	result = client_init_source(client, config);
	if (result == 0)
		result = client_init_multi(client, config);
	if (result == 0)
		result = client_start_thread(client);
	if (result < 0) {
		client_dismantle(client);
		return result;
	}
	*ret_client = client;
	return 0;
}

bool client_free(struct client *client)
{
	struct credential *credential;
	struct timespec deadline;

	if (!client)
		return true;
	mailbox_stop(&client->mailbox);
	curl_multi_wakeup(client->multi);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += JOIN_S;
	if (pthread_clockjoin_np(client->thread, NULL, CLOCK_MONOTONIC, &deadline) != 0)
		return false;
	credential = client->credential;
	client_dismantle(client);
	credential_free(credential);
	return true;
}

int client_want(struct client *client, unsigned int number, const struct validator *condition,
                bool no_cache)
{
	struct fetch_job *job = fetch_job_new(number, condition, no_cache);

	if (!job)
		return -ENOMEM;
	mailbox_want(&client->mailbox, job);
	curl_multi_wakeup(client->multi);
	return 0;
}

int client_fd(const struct client *client)
{
	return client->mailbox.event_fd;
}

struct fetch *client_take(struct client *client)
{
	return mailbox_take(&client->mailbox);
}

void client_reread(struct client *client)
{
	mailbox_reread(&client->mailbox);
}

const char *client_version(void)
{
	return curl_version();
}

void client_system_ca(const char **ret_bundle, const char **ret_directory)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	*ret_bundle = info->cainfo;
	*ret_directory = info->capath;
}
