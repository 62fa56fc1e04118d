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
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "api/http/pool.h"
#include "api/http/proxy.h"
#include "api/http/redact.h"
#include "api/http/request.h"
#include "api/http/split.h"
#include "api/replay/replay.h"

/* How long client_free() waits for the thread, which a file system that hangs may block. */
#define JOIN_S 1

struct queue {
	struct fetch *first;
	struct fetch **end; /* where the next one is linked in */
};

struct client {
	struct request_settings settings;
	unsigned int request_count;
	int event_fd; /* counts 1 while `arrived` is not empty, else 0 */
	CURLM *multi;
	pthread_t thread;

	/* The fetching thread's alone. */
	struct pool pool;
	struct replay *replay; /* NULL: pages are the API's, and what follows is used */
	struct request *requests;
	struct credential *credential;
	struct redact secrets;     /* tokens, former ones too; passwords of proxies */
	unsigned int token_number; /* goes up whenever the token changes */
	bool warned;               /* that a proxy can read the token */

	pthread_mutex_t lock; /* guards what follows */
	struct queue wanted;  /* an arrival is made with its want, so that it can always be had */
	struct queue arrived;
	bool reread;
	bool stop;
};

static void queue_push(struct queue *queue, struct fetch *fetch)
{
	fetch->next = NULL;
	*queue->end = fetch;
	queue->end = &fetch->next;
}

static struct fetch *queue_pop(struct queue *queue)
{
	struct fetch *fetch = queue->first;

	if (!fetch)
		return NULL;
	queue->first = fetch->next;
	if (!queue->first)
		queue->end = &queue->first;
	fetch->next = NULL;
	return fetch;
}

static void queue_clear(struct queue *queue)
{
	struct fetch *fetch;

	while ((fetch = queue_pop(queue)))
		fetch_free(fetch);
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	page_free(fetch->page);
	split_free(fetch->split);
	free(fetch);
}

/* Hands an arrival over. All text that comes from a response passes here, so secrets are removed
 * here. */
static void deliver(struct client *client, struct fetch *fetch)
{
	if (client->credential)
		fetch->token_expiry = credential_expiry(client->credential);
	redact_text(&client->secrets, fetch->failure.message, sizeof(fetch->failure.message));
	redact_text(&client->secrets, fetch->note, sizeof(fetch->note));
	pthread_mutex_lock(&client->lock);
	if (!client->arrived.first)
		eventfd_write(client->event_fd, 1);
	queue_push(&client->arrived, fetch);
	pthread_mutex_unlock(&client->lock);
}

static void refresh_token(struct client *client, bool force, struct fetch *fetch)
{
	struct failure why = {.message = ""};

	if (credential_refresh(client->credential, force, &why)) {
		client->token_number++;
		redact_add(&client->secrets, credential_token(client->credential));
		snprintf(fetch->note, sizeof(fetch->note), "token read again from %s",
		         credential_source(client->credential));
	} else if (*why.message) {
		snprintf(fetch->note, sizeof(fetch->note), "%.200s; the old token stays in use",
		         why.message);
	}
}

/* Frees all that a request holds but its arrival, which the caller keeps. */
static void client_drop_request(struct client *client, struct request *request)
{
	CURLSH *share = request->share;

	request_done(request);
	pool_release(&client->pool, share, false);
}

static void start(struct client *client, struct request *request, struct fetch *fetch)
{
	/* That another token's list is unchanged says nothing: it may be another team's, under the
	 * same ETag, or old enough. */
	if (fetch->condition.token_number != client->token_number)
		fetch->condition = (struct validator){0};
	if (request_prepare(request, &client->settings, fetch, client->credential,
	                    pool_share(&client->pool)) < 0 ||
	    curl_multi_add_handle(client->multi, request->easy) != CURLM_OK) {
		client_drop_request(client, request);
		request_no_memory(&client->settings, fetch);
		deliver(client, fetch);
		return;
	}
	request->fetch = fetch;
	request->token_number = client->token_number;
	fetch->requests++;
}

static struct request *idle_request(struct client *client)
{
	for (unsigned int i = 0; i < client->request_count; i++)
		if (!client->requests[i].fetch)
			return &client->requests[i];
	return NULL;
}

/* The next one, or NULL; *ret_reread: the token, or the file, is to be looked at first. */
static struct fetch *next_wanted(struct client *client, bool *ret_reread)
{
	struct fetch *fetch;

	pthread_mutex_lock(&client->lock);
	fetch = client->stop ? NULL : queue_pop(&client->wanted);
	if (fetch) {
		*ret_reread = client->reread;
		client->reread = false;
	}
	pthread_mutex_unlock(&client->lock);
	return fetch;
}

static void start_wanted(struct client *client)
{
	struct request *request;
	struct fetch *fetch;
	bool reread;

	while ((request = idle_request(client)) && (fetch = next_wanted(client, &reread))) {
		/* The CA bundle is read for each new connection: make them all new. */
		if (reread)
			pool_retire(&client->pool);
		refresh_token(client, reread, fetch);
		start(client, request, fetch);
	}
}

static void replay_wanted(struct client *client)
{
	struct fetch *fetch;
	bool reread;

	while ((fetch = next_wanted(client, &reread))) {
		replay_answer(client->replay, reread, fetch);
		deliver(client, fetch);
	}
}

/* Whether a request ended in a way that makes every connection of its pool suspect: without a
 * response, or without all of it in time. */
static bool is_pool_doubtful(const struct request *request, const struct fetch *fetch)
{
	return request->lost_silent ||
	       (!fetch->page && (fetch->failure.cause == FAILURE_TIMEOUT ||
	                         fetch->failure.cause == FAILURE_UNREACHABLE));
}

/* Warns once that a proxy can read the token: allow_http permits a plain http source, and then the
 * request is not encrypted on its way to the proxy either. */
static void warn_of_proxy(struct client *client, struct fetch *fetch)
{
	if (client->warned || client->settings.tls || !*fetch->trace.proxy || *fetch->note)
		return;
	client->warned = true;
	snprintf(fetch->note, sizeof(fetch->note),
	         "the proxy %s can read the token, since the source is plain http",
	         fetch->trace.proxy);
}

static void finish(struct client *client, struct request *request, CURLcode code)
{
	struct fetch *fetch = request->fetch;
	CURLSH *share = request->share;

	request->fetch = NULL;
	request->share = NULL;
	request_finish(request, &client->settings, code, fetch);
	pool_release(&client->pool, share, is_pool_doubtful(request, fetch));
	warn_of_proxy(client, fetch);
	if (fetch->page)
		fetch->page->validator.token_number = request->token_number;
	if (!fetch->page && fetch->failure.http_status == 401) {
		int64_t expiry = credential_expiry(client->credential);
		bool first = !fetch->denied;

		fetch->denied = true;
		if (first)
			refresh_token(client, true, fetch);
		/* Another request may have met the new token first. */
		if (first && request->token_number != client->token_number) {
			start(client, request, fetch);
			return;
		}
		if (expiry != 0 && expiry <= fetch->failure.at_ns / 1000000000)
			fetch->failure.remedy = "the JWT has expired: get a new one";
	}
	if (!fetch->page && fetch->failure.cause == FAILURE_OLD && !fetch->no_cache) {
		fetch->no_cache = true;
		start(client, request, fetch);
		return;
	}
	/* The headers of a part would be as large as those of the page. */
	if (request->stop != REQUEST_STOP_HEADERS &&
	    split_goes_on(fetch, client->settings.per_page)) {
		start(client, request, fetch);
		return;
	}
	deliver(client, fetch);
}

/* Whether any request came to its end. */
static bool finish_ended(struct client *client)
{
	bool any = false;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct request *request = NULL;

		/* The message is gone with this call. */
		curl_multi_remove_handle(client->multi, easy);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
		finish(client, request, code);
		any = true;
	}
	return any;
}

static bool is_stopped(struct client *client)
{
	bool stop;

	pthread_mutex_lock(&client->lock);
	stop = client->stop;
	pthread_mutex_unlock(&client->lock);
	return stop;
}

static void *client_thread(void *data)
{
	const struct timespec breath = {.tv_nsec = 10000000};
	struct client *client = data;
	int running;

	while (!is_stopped(client)) {
		if (client->replay)
			replay_wanted(client);
		else
			start_wanted(client);
		curl_multi_perform(client->multi, &running);
		if (finish_ended(client))
			continue;
		/* Wakes for sockets, curl's own timers and curl_multi_wakeup() only. It fails for
		 * want of memory, and then must not be asked again and again. */
		if (curl_multi_poll(client->multi, NULL, 0, INT_MAX, NULL) != CURLM_OK)
			nanosleep(&breath, NULL);
	}
	return NULL;
}

static int start_thread(struct client *client)
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

/* All but the thread and the credential; also of one that is half made. */
static void dismantle(struct client *client)
{
	for (unsigned int i = 0; client->requests && i < client->request_count; i++) {
		struct request *request = &client->requests[i];

		if (request->fetch)
			curl_multi_remove_handle(client->multi, request->easy);
		fetch_free(request->fetch);
		client_drop_request(client, request);
	}
	pool_retire(&client->pool);
	free(client->requests);
	replay_free(client->replay);
	curl_multi_cleanup(client->multi);
	queue_clear(&client->wanted);
	queue_clear(&client->arrived);
	redact_done(&client->secrets);
	request_settings_done(&client->settings);
	if (client->event_fd >= 0)
		close(client->event_fd);
	pthread_mutex_destroy(&client->lock);
	free(client);
	curl_global_cleanup();
}

static int assemble_requests(struct client *client, const struct client_config *config)
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

static int assemble(struct client *client, const struct client_config *config)
{
	int result = 0;

	if (config->base)
		result = assemble_requests(client, config);
	else if (!(client->replay = replay_new(config->file, config->per_page, config->ttl_ms)))
		result = -ENOMEM;
	if (result < 0)
		return result;
	client->multi = curl_multi_init(); /* also what the thread of a replay sleeps on */
	if (!client->multi)
		return -ENOMEM;
	/* curl goes without the means to be woken up when descriptors are few; nobody else can. */
	if (curl_multi_wakeup(client->multi) != CURLM_OK)
		return -EMFILE;
	curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	                  (long)config->max_connections);
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                  (long)config->max_connections);
#if LIBCURL_VERSION_NUM >= 0x081400 /* or client_free() waits for a resolver that does not answer \
                                     */
	curl_multi_setopt(client->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	client->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (client->event_fd < 0)
		return -errno;
	return start_thread(client);
}

int client_new(const struct client_config *config, struct credential *credential,
               struct client **ret_client)
{
	struct client *client;
	int result;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	client->event_fd = -1;
	client->credential = credential;
	client->wanted.end = &client->wanted.first;
	client->arrived.end = &client->arrived.first;
	pthread_mutex_init(&client->lock, NULL);
	result = assemble(client, config);
	if (result < 0) {
		dismantle(client);
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
	pthread_mutex_lock(&client->lock);
	client->stop = true;
	pthread_mutex_unlock(&client->lock);
	curl_multi_wakeup(client->multi);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += JOIN_S;
	if (pthread_clockjoin_np(client->thread, NULL, CLOCK_MONOTONIC, &deadline) != 0)
		return false;
	credential = client->credential;
	dismantle(client);
	credential_free(credential);
	return true;
}

int client_want(struct client *client, unsigned int number, const struct validator *condition,
                bool no_cache)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return -ENOMEM;
	fetch->number = number;
	if (condition)
		fetch->condition = *condition;
	fetch->no_cache = no_cache;
	pthread_mutex_lock(&client->lock);
	queue_push(&client->wanted, fetch);
	pthread_mutex_unlock(&client->lock);
	curl_multi_wakeup(client->multi);
	return 0;
}

int client_fd(const struct client *client)
{
	return client->event_fd;
}

struct fetch *client_take(struct client *client)
{
	struct fetch *fetch;
	eventfd_t count;

	pthread_mutex_lock(&client->lock);
	fetch = queue_pop(&client->arrived);
	if (fetch && !client->arrived.first)
		eventfd_read(client->event_fd, &count);
	pthread_mutex_unlock(&client->lock);
	return fetch;
}

void client_reread(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	client->reread = true;
	pthread_mutex_unlock(&client->lock);
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
