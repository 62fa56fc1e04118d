/* SPDX-License-Identifier: MIT */
#include "api/client.h"

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

#include "api/pool.h"
#include "api/proxy.h"
#include "api/redact.h"
#include "api/replay.h"
#include "api/request.h"
#include "api/split.h"

/* How long client_free() waits for the thread, which a file system that hangs may block. */
#define JOIN_S 1

struct queue {
	struct arrival *first;
	struct arrival **end; /* where the next one is linked in */
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

static void queue_push(struct queue *queue, struct arrival *arrival)
{
	arrival->next = NULL;
	*queue->end = arrival;
	queue->end = &arrival->next;
}

static struct arrival *queue_pop(struct queue *queue)
{
	struct arrival *arrival = queue->first;

	if (!arrival)
		return NULL;
	queue->first = arrival->next;
	if (!queue->first)
		queue->end = &queue->first;
	arrival->next = NULL;
	return arrival;
}

static void queue_clear(struct queue *queue)
{
	struct arrival *arrival;

	while ((arrival = queue_pop(queue)))
		arrival_free(arrival);
}

void arrival_free(struct arrival *arrival)
{
	if (!arrival)
		return;
	page_free(arrival->page);
	split_free(arrival->split);
	free(arrival);
}

/* Hands an arrival over. All text that comes from a response passes here, so secrets are removed
 * here. */
static void deliver(struct client *client, struct arrival *arrival)
{
	if (client->credential)
		arrival->token_expiry = credential_expiry(client->credential);
	redact_text(&client->secrets, arrival->failure.message, sizeof(arrival->failure.message));
	redact_text(&client->secrets, arrival->note, sizeof(arrival->note));
	pthread_mutex_lock(&client->lock);
	if (!client->arrived.first)
		eventfd_write(client->event_fd, 1);
	queue_push(&client->arrived, arrival);
	pthread_mutex_unlock(&client->lock);
}

static void refresh_token(struct client *client, bool force, struct arrival *arrival)
{
	struct failure why = {.message = ""};

	if (credential_refresh(client->credential, force, &why)) {
		client->token_number++;
		redact_add(&client->secrets, credential_token(client->credential));
		snprintf(arrival->note, sizeof(arrival->note), "token read again from %s",
		         credential_source(client->credential));
	} else if (*why.message) {
		snprintf(arrival->note, sizeof(arrival->note), "%.200s; the old token stays in use",
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

static void start(struct client *client, struct request *request, struct arrival *arrival)
{
	/* That another token's list is unchanged says nothing: it may be another team's, under the
	 * same ETag, or old enough. */
	if (arrival->condition.token_number != client->token_number)
		arrival->condition = (struct validator){0};
	if (request_prepare(request, &client->settings, arrival, client->credential,
	                    pool_share(&client->pool)) < 0 ||
	    curl_multi_add_handle(client->multi, request->easy) != CURLM_OK) {
		client_drop_request(client, request);
		request_no_memory(&client->settings, arrival);
		deliver(client, arrival);
		return;
	}
	request->arrival = arrival;
	request->token_number = client->token_number;
	arrival->requests++;
}

static struct request *idle_request(struct client *client)
{
	for (unsigned int i = 0; i < client->request_count; i++)
		if (!client->requests[i].arrival)
			return &client->requests[i];
	return NULL;
}

/* The next one, or NULL; *ret_reread: the token, or the file, is to be looked at first. */
static struct arrival *next_wanted(struct client *client, bool *ret_reread)
{
	struct arrival *arrival;

	pthread_mutex_lock(&client->lock);
	arrival = client->stop ? NULL : queue_pop(&client->wanted);
	if (arrival) {
		*ret_reread = client->reread;
		client->reread = false;
	}
	pthread_mutex_unlock(&client->lock);
	return arrival;
}

static void start_wanted(struct client *client)
{
	struct request *request;
	struct arrival *arrival;
	bool reread;

	while ((request = idle_request(client)) && (arrival = next_wanted(client, &reread))) {
		/* The CA bundle is read for each new connection: make them all new. */
		if (reread)
			pool_retire(&client->pool);
		refresh_token(client, reread, arrival);
		start(client, request, arrival);
	}
}

static void replay_wanted(struct client *client)
{
	struct arrival *arrival;
	bool reread;

	while ((arrival = next_wanted(client, &reread))) {
		replay_answer(client->replay, reread, arrival);
		deliver(client, arrival);
	}
}

/* Whether a request ended in a way that makes every connection of its pool suspect: without a
 * response, or without all of it in time. */
static bool is_pool_doubtful(const struct request *request, const struct arrival *arrival)
{
	return request->lost_silent ||
	       (!arrival->page && (arrival->failure.cause == FAILURE_TIMEOUT ||
	                           arrival->failure.cause == FAILURE_UNREACHABLE));
}

/* Warns once that a proxy can read the token: allow_http permits a plain http source, and then the
 * request is not encrypted on its way to the proxy either. */
static void warn_of_proxy(struct client *client, struct arrival *arrival)
{
	if (client->warned || client->settings.tls || !*arrival->route.proxy || *arrival->note)
		return;
	client->warned = true;
	snprintf(arrival->note, sizeof(arrival->note),
	         "the proxy %s can read the token, since the source is plain http",
	         arrival->route.proxy);
}

static void finish(struct client *client, struct request *request, CURLcode code)
{
	struct arrival *arrival = request->arrival;
	CURLSH *share = request->share;

	request->arrival = NULL;
	request->share = NULL;
	request_finish(request, &client->settings, code, arrival);
	pool_release(&client->pool, share, is_pool_doubtful(request, arrival));
	warn_of_proxy(client, arrival);
	if (arrival->page)
		arrival->page->validator.token_number = request->token_number;
	if (!arrival->page && arrival->failure.http_status == 401) {
		int64_t expiry = credential_expiry(client->credential);
		bool first = !arrival->denied;

		arrival->denied = true;
		if (first)
			refresh_token(client, true, arrival);
		/* Another request may have met the new token first. */
		if (first && request->token_number != client->token_number) {
			start(client, request, arrival);
			return;
		}
		if (expiry != 0 && expiry <= arrival->failure.at_ns / 1000000000)
			arrival->failure.remedy = "the JWT has expired: get a new one";
	}
	if (!arrival->page && arrival->failure.cause == FAILURE_OLD && !arrival->past_caches) {
		arrival->past_caches = true;
		start(client, request, arrival);
		return;
	}
	/* The headers of a part would be as large as those of the page. */
	if (request->stop != REQUEST_STOP_HEADERS &&
	    split_goes_on(arrival, client->settings.per_page)) {
		start(client, request, arrival);
		return;
	}
	deliver(client, arrival);
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

static void *fetch(void *data)
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
	result = pthread_create(&client->thread, NULL, fetch, client);
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

		if (request->arrival)
			curl_multi_remove_handle(client->multi, request->easy);
		arrival_free(request->arrival);
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
                bool past_caches)
{
	struct arrival *arrival = calloc(1, sizeof(*arrival));

	if (!arrival)
		return -ENOMEM;
	arrival->number = number;
	if (condition)
		arrival->condition = *condition;
	arrival->past_caches = past_caches;
	pthread_mutex_lock(&client->lock);
	queue_push(&client->wanted, arrival);
	pthread_mutex_unlock(&client->lock);
	curl_multi_wakeup(client->multi);
	return 0;
}

int client_fd(const struct client *client)
{
	return client->event_fd;
}

struct arrival *client_take(struct client *client)
{
	struct arrival *arrival;
	eventfd_t count;

	pthread_mutex_lock(&client->lock);
	arrival = queue_pop(&client->arrived);
	if (arrival && !client->arrived.first)
		eventfd_read(client->event_fd, &count);
	pthread_mutex_unlock(&client->lock);
	return arrival;
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
