/* SPDX-License-Identifier: MIT */
#include "api/http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "api/http/fetcher.h"
#include "api/http/mailbox.h"

#define JOIN_S 1 /* how long client_free() waits for the thread */

struct client {
	struct mailbox mailbox;
	struct fetcher *fetcher;
	struct credential *credential; /* used by the fetching thread only */
	pthread_t thread;
};

static void *client_thread(void *data)
{
	struct client *client = data;

	fetcher_run(client->fetcher);
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

/* Frees a client except its credential. The thread must not run. */
static void client_dismantle(struct client *client)
{
	fetcher_free(client->fetcher);
	mailbox_done(&client->mailbox);
	free(client);
	curl_global_cleanup();
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
	if (!client || result < 0) {
		free(client);
		curl_global_cleanup();
		return result;
	}
	client->credential = credential;
	result = fetcher_new(config, credential, &client->mailbox, &client->fetcher);
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
	fetcher_wake(client->fetcher);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += JOIN_S;
	if (pthread_clockjoin_np(client->thread, NULL, CLOCK_MONOTONIC, &deadline) != 0)
		return false;
	credential = client->credential;
	client_dismantle(client);
	credential_free(credential);
	return true;
}

int client_request_page(struct client *client, unsigned int number,
                        const struct validator *condition, bool no_cache)
{
	struct fetch_job *job = fetch_job_new(number, condition, no_cache);

	if (!job)
		return -ENOMEM;
	mailbox_want(&client->mailbox, job);
	fetcher_wake(client->fetcher);
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

void client_redact(struct client *client, char *text, size_t room)
{
	fetcher_redact(client->fetcher, text, room);
}

void client_reread(struct client *client)
{
	mailbox_reread(&client->mailbox);
}

const char *client_version(void)
{
	/* libldap, which libcurl may be linked with, would otherwise read files in the home and the
	 * current directory, whose file systems may hang. */
	setenv("LDAPNOINIT", "1", 0);
	return curl_version();
}

void client_system_ca(const char **ret_bundle, const char **ret_directory)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	*ret_bundle = info->cainfo;
	*ret_directory = info->capath;
}
