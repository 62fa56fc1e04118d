/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_HTTP_REQUEST_SETTINGS_H
#define FLEETFS_API_HTTP_REQUEST_SETTINGS_H

/* The settings that all requests share, and the API's base URL. Immutable once made. */

#include <stdbool.h>
#include <stdint.h>

struct client_config;

struct request_settings {
	char *base; /* without user information, because it is shown in messages, and without `/` at
	               the end; from curl's allocator */
	char *ca_bundle;      /* cacert, else that of the system; NULL: none */
	char *ca_directories; /* ca_dirs, else those of the system unless ca_exclusive; separated by
	                         `:`; NULL: none */
	bool direct; /* the host is this machine: no proxy, even if the environment names one */
	bool tls;    /* https */

	/* As in struct client_config */
	bool diagnostics;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	unsigned int per_page;
};

/* Copies the settings. Returns 0; -EINVAL if the base is not an http or https URL, or has a query
 * or a fragment; or -ENOMEM. After curl_global_init(). */
int request_settings_init(struct request_settings *ret_settings,
                          const struct client_config *config);

/* Frees the copies. */
void request_settings_done(struct request_settings *settings);

#endif
