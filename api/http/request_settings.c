/* SPDX-License-Identifier: MIT */
#include "api/http/request_settings.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/client.h"
#include "api/model/host.h"

static bool url_has_part(CURLU *url, CURLUPart which)
{
	char *part = NULL;
	bool has = curl_url_get(url, which, &part, 0) == CURLUE_OK;

	curl_free(part);
	return has;
}

/* Sets base, direct and tls. 0 or -EINVAL. */
static int settings_read_base(CURLU *url, const char *base, struct request_settings *settings)
{
	char *scheme = NULL;
	char *host = NULL;
	char *whole = NULL;
	int result = -EINVAL;

	if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    !url_has_part(url, CURLUPART_QUERY) && !url_has_part(url, CURLUPART_FRAGMENT) &&
	    curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
	    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0)) {
		for (size_t end = strlen(whole); end > 0 && whole[end - 1] == '/'; end--)
			whole[end - 1] = '\0';
		settings->base = whole;
		settings->direct = host_is_loopback(host);
		settings->tls = strcmp(scheme, "https") == 0;
		whole = NULL;
		result = 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(whole);
	return result;
}

/* Sets the CAs to trust: the bundle and the directories of the configuration, or else those of the
 * system; with ca_exclusive no directories of the system. 0 or -ENOMEM. */
static int settings_choose_cas(const struct client_config *config,
                               struct request_settings *settings)
{
	const char *bundle, *directories;

	client_system_ca(&bundle, &directories);
	if (config->cacert)
		bundle = config->cacert;
	if (config->ca_dirs || config->ca_exclusive)
		directories = config->ca_dirs;
	if (bundle && !(settings->ca_bundle = strdup(bundle)))
		return -ENOMEM;
	if (directories && !(settings->ca_directories = strdup(directories)))
		return -ENOMEM;
	return 0;
}

int request_settings_init(struct request_settings *ret_settings, const struct client_config *config)
{
	struct request_settings settings = {
		.ttl_ms = config->ttl_ms,
		.stale_ms = config->stale_ms,
		.timeout_ms = config->timeout_ms,
		.connect_timeout_ms = config->connect_timeout_ms,
		.per_page = config->per_page,
		.diagnostics = config->diagnostics,
	};
	CURLU *url = curl_url();
	int result;

	if (!url)
		return -ENOMEM;
	result = settings_read_base(url, config->base, &settings);
	curl_url_cleanup(url);
	if (result == 0)
		result = settings_choose_cas(config, &settings);
	if (result == 0)
		*ret_settings = settings;
	else
		request_settings_done(&settings);
	return result;
}

void request_settings_done(struct request_settings *settings)
{
	curl_free(settings->base);
	free(settings->ca_bundle);
	free(settings->ca_directories);
}
